"""Serve the pages at http://127.0.0.1:5000; a worker beside it follows the keywords."""

import sys

from tweeter.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["web"]
    main()
