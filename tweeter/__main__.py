"""`python -m tweeter`: the same as the command `tweeter`."""

from tweeter.cli import main

if __name__ == "__main__":
    main()
