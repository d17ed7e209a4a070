"""Create the database, or bring it up to date; safe to run twice."""

from tweeter.__main__ import main

if __name__ == "__main__":
    main("init")
