"""The invented world: a day of the demo's posts, streams well and ill, a gap, an unread event.

Made without waiting and without workers: what they would have written is written here.
"""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, text, update

from tests.integration.running import ROOT, free_port, wait_for
from tests.pictures import posts
from tweeter.digest import digest
from tweeter.pipeline import KeywordBook
from tweeter.records import RawEvent, now_us
from tweeter.sources.demo import demo_events
from tweeter.sources.demo_words import DEMO_KEYWORDS
from tweeter.store import annotations, batches, keywords, ledger, migrate, streams, workers
from tweeter.store.engine import make_engine, writing
from tweeter.store.leases import Lease, owner
from tweeter.store.ledger import Turn
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import streams as stream_table

US = 1_000_000
HOUR_US = 3_600 * US
FAR_US = 24 * HOUR_US  # for leases and workers: nobody renews them here
INVENTED = 700


def _stretched(now: int) -> list[bytes]:
    """Events of the demo, spread over the last day, with their bursts."""
    found = []
    for number, (_, event) in enumerate(demo_events(2016, 1)):
        if number == INVENTED:
            return found
        share = number / INVENTED
        at = now - int((1 - share) * 22 * HOUR_US) - 20 * US
        found.append(msgspec.json.encode(event | {"at": at}))
    return found


def _take(engine: Engine, name: str, network: str, options: dict[str, Any]) -> Lease:
    stream_id = streams.ensure(engine, name, network, options)
    ((_, lease),) = streams.claim(engine, owner(), networks=[network], only=stream_id)
    return lease


def _store(engine: Engine, lease: Lease, shape: str, bodies: Sequence[bytes], now: int) -> None:
    book = KeywordBook(engine)
    book.refresh()
    revision, matcher = book.current()
    raws = [RawEvent(shape=shape, body=b, received_at=now, origin="quay.example") for b in bodies]
    batch = digest(raws, matcher, revision, is_live=False)
    batches.commit(engine, lease, batch)


def _gap(engine: Engine, lease: Lease, now: int) -> None:
    """Live for a day but for forty minutes."""
    hours = [
        (22.0, "live", ""),
        (9.2, "down", "The server closed the connection."),
        (8.5, "live", ""),
    ]
    for hour, state, cause in hours:
        kind = "closed" if state == "down" else ""
        outcome = "lost" if state == "live" and hour < 10 else ""
        at = now - int(hour * HOUR_US)
        ledger.enter(
            engine,
            lease,
            Turn(state=state, cause=cause, at=at, kind=kind, outcome=outcome),
        )


def fill(engine: Engine) -> None:
    """Everything that the pages show."""
    now = now_us()
    for expression in DEMO_KEYWORDS:  # those of the demo itself follow no other network
        keywords.add(engine, expression)
    keywords.add(engine, "aurora NOT borealis")  # nobody says it
    _age_keywords(engine, now)
    invented = _take(engine, "demo", "demo", {"seed": 2016})
    bluesky = _take(engine, "bluesky", "bluesky", {"url": "wss://jetstream.example"})
    mastodon = _take(engine, "mastodon/quay.example", "mastodon", {"server": "quay.example"})
    x = _take(engine, "x", "x", {})
    for lease in (invented, bluesky, mastodon):
        _gap(engine, lease, now)
    _store(engine, invented, "demo", _stretched(now), now)
    _store(engine, x, "x", [posts.x_post(now - 3 * US)], now)
    labelled = posts.bluesky_post(now - 6 * US, 2, labels=("nudity",))
    _store(engine, bluesky, "bluesky", [labelled, posts.bluesky_post(now - 4 * US), b"{oops"], now)
    _store(engine, mastodon, "mastodon", [posts.mastodon_post(now - 5 * US)], now)
    streams.set_state(
        engine, invented, "live", "Inventing posts. Remove the demo whenever you like."
    )
    streams.set_state(engine, bluesky, "live", "Connected to jetstream.example.")
    streams.set_state(
        engine,
        mastodon,
        "down",
        "quay.example closed the connection (1006).",
        failures=2,
        retry_at=now + 3 * 60 * US,
    )
    words = "X does not accept this token. Ends in …9f2c; check TWEETER_X_BEARER_TOKEN."
    streams.set_state(engine, x, "needs_attention", words)
    _notes(engine, now)
    workers.beat(engine, owner(), "celery@harbour")
    keep(engine, now)


def _notes(engine: Engine, now: int) -> None:
    """What a person wrote beside the chart: moments, a range, one that stands on every chart."""
    for keyword_id, words, began, ended in (
        (1, "The mayor speaks", 15.0, 0.0),
        (1, "Trains stand still between Varnholm and Quay", 7.5, 4.0),
        (annotations.EVERY, "Clocks go back", 7.0, 0.0),
    ):
        end = now - int(ended * HOUR_US) if ended else 0
        annotations.add(engine, keyword_id, words, now - int(began * HOUR_US), end)


def _age_keywords(engine: Engine, now: int) -> None:
    with writing(engine) as connection:
        connection.execute(
            update(keyword_table).values(created_at=now - 23 * HOUR_US, complete_at=now)
        )
        connection.execute(update(stream_table).values(since=now - 22 * HOUR_US))


def keep(engine: Engine, now: int) -> None:
    """Leases that last without being renewed; workers that beat just now."""
    with writing(engine) as connection:
        values = {"lease_until": now + FAR_US, "since": now - HOUR_US, "covered_until": now}
        connection.execute(update(stream_table).values(values))
        connection.execute(text("UPDATE workers SET heartbeat_at = :at"), {"at": now})


class World:
    """A web process of its own over a database, which `engine` opens too."""

    def __init__(self, url: str, engine: Engine, web: "subprocess.Popen[bytes]") -> None:
        self.url, self.engine, self._web = url, engine, web

    def beat(self) -> None:
        """Its workers, if it has any, are alive for the next seconds."""
        with writing(self.engine) as connection:
            connection.execute(text("UPDATE workers SET heartbeat_at = :at"), {"at": now_us()})

    def stop(self) -> None:
        """End the web process: pages that are open grow stale."""
        self._web.terminate()
        self._web.wait(timeout=15)


@contextmanager
def world(folder: Path, *, filled: bool = True, **settings: str) -> Iterator[World]:
    """Pages of the invented world, or of an installation that has nothing yet."""
    (folder / "data").mkdir(parents=True)
    engine = make_engine(f"sqlite:///{folder / 'data' / 'tweeter.db'}")
    migrate.upgrade(engine)
    if filled:
        fill(engine)
    port = free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith("TWEETER_")}
    env |= {"TWEETER_DATA_DIR": str(folder / "data"), "TWEETER_PORT": str(port)}
    env |= {"TWEETER_BLUESKY_URL": "", "TWEETER_SUPERVISED": "1"}
    env |= {f"TWEETER_{name}": value for name, value in settings.items()}
    with (folder / "web.log").open("ab") as log:
        web = subprocess.Popen(
            [sys.executable, "-m", "tweeter", "web"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(url), 30, (folder / "web.log").read_text())
        place = World(url, engine, web)
        yield place
    finally:
        web.terminate()
        web.wait(timeout=15)
        engine.dispose()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/static/icon.svg", timeout=2):
            return True
    except OSError:
        return False
