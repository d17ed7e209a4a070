"""The demo: an invented stream from a seeded generator, for the first minute without network.

Several languages, hashtags, links, a burst every two minutes, edits, deletes, and now and then
a hostile text. Nobody real is in it.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tweeter.records import Keyword, RawEvent, now_us
from tweeter.sources.backoff import constant
from tweeter.sources.base import Sink
from tweeter.sources.demo_words import BURST, HOSTILE, ORDINARY, PEOPLE, PLACES, SITES

MEAN_PAUSE_S = 0.45
BURST_EVERY_S = 120.0
BURST_LASTS_S = 15.0


def demo_events(seed: int, start_at: int) -> Iterator[tuple[float, dict[str, Any]]]:
    """(seconds to wait before it, event), without end; the same for the same arguments.

    start_at, unix microseconds, makes ids differ from those of another run; events carry the
    time that has passed since then in "at".
    """
    dice = random.Random(f"{seed}:{start_at}")  # noqa: S311 (an invention, no secret)
    recent: deque[dict[str, Any]] = deque(maxlen=40)
    passed_s, count = 0.0, 0
    while True:
        burst = passed_s % BURST_EVERY_S > BURST_EVERY_S - BURST_LASTS_S
        pause_s = dice.expovariate(1 / MEAN_PAUSE_S) / (4 if burst else 1)
        pause_s = min(pause_s, 0.4) if count < 5 else min(pause_s, 4.0)
        passed_s += pause_s
        count += 1
        at = start_at + int(passed_s * 1e6)
        kind = dice.random()
        if kind < 0.04 and len(recent) > 10:
            gone = recent.popleft()
            yield pause_s, {"op": "delete", "id": gone["id"], "at": at}
        elif kind < 0.08 and len(recent) > 10:
            old = dice.choice(recent)
            yield pause_s, old | {"op": "edit", "text": f"{old['text']} (edited)", "at": at}
        else:
            post = _post(dice, f"demo-{start_at}-{count}", burst, at)
            recent.append(post)
            yield pause_s, post


def _post(dice: random.Random, post_id: str, burst: bool, at: int) -> dict[str, Any]:
    lang, text = dice.choice(BURST if burst and dice.random() < 0.8 else ORDINARY)
    if dice.random() < 0.02:
        lang, text = "en", dice.choice(HOSTILE)
    number = dice.randint(2, 90)
    text = text.replace("{n}", str(number)).replace("{place}", dice.choice(PLACES))
    links = []
    if dice.random() < 0.12:
        links = [dice.choice(SITES).replace("{n}", str(dice.randint(100, 999)))]
        text = f"{text} {links[0]}"
    handle, name = dice.choice(PEOPLE)
    tags = [word[1:] for word in text.split() if word.startswith("#")]
    return {
        "op": "create",
        "id": post_id,
        "author": handle,
        "name": name,
        "text": text,
        "lang": lang,
        "tags": tags,
        "links": links,
        "at": at,
    }


class DemoSource:
    """Runs until it is cancelled."""

    network = "demo"
    replayable = False
    repairable = False
    settles_s = 0.0

    def __init__(self, *, seed: int = 2016) -> None:
        self._seed = seed

    async def connect(self, sink: Sink) -> None:
        """Invent posts at their pace."""
        sink.connected("Inventing posts. Remove the demo whenever you like.")
        for pause_s, event in demo_events(self._seed, now_us()):
            await asyncio.sleep(pause_s)
            at = now_us()
            body = msgspec.json.encode(event | {"at": at})
            await sink.put([RawEvent(shape="demo", body=body, received_at=at, origin="demo")])

    async def keywords_changed(self, keywords: Sequence[Keyword]) -> None:
        """Nothing to do."""

    def wait_s(self, kind: str, failures: int) -> float:
        """It does not fail."""
        return constant(1)(failures)
