"""`python -m tweeter`, and what the two scripts of 2016 run: the same as the command `tweeter`."""

import sys


def main(*words: str) -> None:
    """Run the command; words stand for those typed, if any are given."""
    if sys.platform == "win32":
        sys.exit("tweeter runs on Linux and macOS. On Windows use it inside WSL.")
    from tweeter.cli import main as run  # not on Windows: it lacks what these modules import

    if words:
        sys.argv[1:] = words
    run()


if __name__ == "__main__":
    main()
