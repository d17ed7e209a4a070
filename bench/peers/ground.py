"""What all peers share: their arguments, the way to a source on this machine, their last line."""

import argparse
import json
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from sqlalchemy import Engine, create_engine, event


class ToSource(HTTPAdapter):
    """Sends requests for the address that a package has built in to the source instead."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> Any:
        assert request.url is not None
        request.url = request.url.replace("https://api.twitter.com", self._url)
        return super().send(request, *args, **more)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="of the source")
    parser.add_argument("--count", type=int, required=True, help="posts to take")
    parser.add_argument("--file", required=True, help="where they go")
    parser.add_argument("--keywords", default="", help="a file of them")
    return parser.parse_args()


def database(file: str) -> Engine:
    """SQLite with the settings that tweeter gives it: a write-ahead log, every commit synced."""
    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    return engine


def done(**found: int) -> None:
    """Everything is where it should be, now; found: how much of what."""
    print(json.dumps({"done_ns": time.time_ns(), **found}), flush=True)
