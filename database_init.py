"""Create the database, or bring it up to date; safe to run twice."""

import sys

from tweeter.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["init"]
    main()
