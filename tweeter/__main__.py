"""The command `tweeter`: `python -m tweeter`, and what the two scripts of 2016 run."""

import sys
from importlib import import_module

# Processes that run for months load no more than they need, and so no other command.
LEAN: dict[tuple[str, ...], str] = {
    ("up",): "tweeter.supervisor",
    ("broker",): "tweeter.broker",
    ("web",): "tweeter.cli_web",
}


def main(*words: str) -> None:
    """Run the command; words stand for those typed, if any are given."""
    if sys.platform == "win32":
        sys.exit("tweeter runs on Linux and macOS. On Windows use it inside WSL.")
    if words:
        sys.argv[1:] = words
    # Only now: on Windows there is not what these modules import.
    import_module(LEAN.get(tuple(sys.argv[1:]), "tweeter.cli")).main()


if __name__ == "__main__":
    main()
