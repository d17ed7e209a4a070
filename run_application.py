"""Serve the pages at http://127.0.0.1:5000; a worker beside it follows the keywords."""

from tweeter.__main__ import main

if __name__ == "__main__":
    main("web")
