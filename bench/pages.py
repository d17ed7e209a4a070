"""How long pages and JSON answers take on a large database while posts are being stored.

`make bench-pages` (ARGS="--posts 5000000 --url postgresql+psycopg://…"). It fills a database with
invented posts (`filling`; kept, and used again, under --folder), starts the product's web process
on it, stores --rate posts a second beside it, and asks for every page in turn.

Times are the server's as a client on the same machine sees them, in ms: of the first asking, then
of --rounds more. On a machine that does other things too, compare them with those of a page that
does nothing ("x": how many times as long), and with the time that the web process took of a
processor for them ("cpu"; neither a database server's is in it, nor what it takes anyway).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine

from bench.filling import DAY_US, Inventor, fill, put, take
from tweeter.records import now_us
from tweeter.store import keywords
from tweeter.store.engine import make_engine

ROOT = Path(__file__).parent.parent
PORT = 5077
NOTHING = "/healthz"
IDLE_S = 5.0
PAGES = {
    "overview": "/",
    "keywords": "/add_keyword",
    "keyword, a day (the largest)": "/keywords/{large}",
    "keyword, a month (the largest)": "/keywords/{large}?range=month",
    "keyword, a year by language": "/keywords/{large}?range=year&by=lang&compare=previous",
    "keyword, a week (a middle one)": "/keywords/{middle}?range=week",
    "keyword, older posts": "/keywords/{large}?older={older}",
    "keyword, a month, filtered": "/keywords/{large}?range=month&lang=de&tag=tag3",
    "health": "/health",
    "sources": "/sources",
    "live": "/live",
    "API overview": "/api/v1/overview",
    "API statistics, a month": "/api/v1/keywords/{large}/statistics?range=month",
    "API posts": "/api/v1/keywords/{large}/posts",
    "search: a common word": "/search?q=word0",
    "search: two words": "/search?q=" + quote("word3 word40"),
    "search: a rare word": "/search?q=rare7",
    "API search": "/api/v1/search?q=word12",
}


class Storing(threading.Thread):
    """Stores `rate` posts a second until it is told to stop; counts what it stored."""

    def __init__(self, engine: Engine, rate: int) -> None:
        super().__init__(daemon=True)
        self.engine, self.rate, self.stored = engine, rate, 0
        self.ended = threading.Event()

    def run(self) -> None:
        ids = sorted(row.id for row in keywords.list_all(self.engine))
        inventor, lease = Inventor(ids, seed=now_us()), take(self.engine)
        begun = now_us()
        due_s = time.monotonic()
        while not self.ended.is_set():
            items = [
                inventor.post(begun + self.stored + n, now_us()) for n in range(self.rate // 4)
            ]
            put(self.engine, lease, items)
            self.stored += len(items)
            due_s += 0.25
            self.ended.wait(max(0.0, due_s - time.monotonic()))


def serve(url: str, folder: Path) -> "subprocess.Popen[bytes]":
    """The product's web process."""
    environ = os.environ | {
        "TWEETER_DATABASE_URL": url,
        "TWEETER_DATA_DIR": str(folder / "data"),
        "TWEETER_PORT": str(PORT),
    }
    (folder / "data").mkdir(exist_ok=True)
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tweeter", "web"], cwd=ROOT, env=environ, stdout=log, stderr=log
        )
    for _ in range(100):
        try:
            ask(NOTHING)
        except OSError:
            time.sleep(0.1)
        else:
            return process
    process.kill()
    raise SystemExit(f"The web process did not start: see {folder / 'web.log'}")


def ask(path: str) -> tuple[int, float, int]:
    """(status, ms, bytes) of a GET."""
    began_s = time.perf_counter()
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            body, status = answer.read(), answer.status
    except urllib.error.HTTPError as error:
        body, status = error.read(), error.code
    return status, (time.perf_counter() - began_s) * 1000, len(body)


def addresses(engine: Engine) -> Iterator[tuple[str, str]]:
    """Name and address of every page, for the keywords that there are."""
    by_size = sorted(keywords.list_all(engine), key=lambda row: -row.posts)
    values = {
        "large": by_size[0].id,
        "middle": by_size[len(by_size) // 10].id,
        "older": f"{now_us() - 20 * DAY_US}.1",
    }
    for name, path in PAGES.items():
        yield name, path.format(**values)


def measure(engine: Engine, web: int, rounds: int, only: str) -> list[dict[str, Any]]:
    """Ask for every page; web: the id of the process that answers."""
    found = []
    print(f"{'page':32}{'first':>9}{'p50':>9}{'p95':>9}{'max':>9}{'cpu':>9}{'x':>9}{'kB':>7}")
    before_s = cpu_of(web)
    time.sleep(IDLE_S)
    idle = (cpu_of(web) - before_s) / IDLE_S
    for name, path in addresses(engine):
        if only in name:
            row = measured(name, path, web, rounds, idle)
            is_over = row["p95_ms"] >= (300 if "search" in name else 100)
            *numbers, kb = list(row.values())[1:]
            words = "".join(f"{number:>9}" for number in numbers)
            print(f"{name:32}{words}{kb:>7} {'OVER' if is_over else 'ok'}", flush=True)
            found.append(row)
    return found


def measured(name: str, path: str, web: int, rounds: int, idle: float) -> dict[str, Any]:
    """idle: the share of a processor that the web process takes while nobody asks."""
    times, nothing, cpu_s = [], [], 0.0
    for _ in range(1 + rounds):
        nothing.append(ask(NOTHING)[1])
        before_s = cpu_of(web)
        status, ms, size = ask(path)
        cpu_s += cpu_of(web) - before_s - idle * ms / 1000 if times else 0.0
        times.append(ms)
        if status != 200:
            raise SystemExit(f"{path} answers {status}: a speed without a right answer is none.")
    first_ms, *times = times
    return {
        "page": name,
        "first_ms": round(first_ms, 1),
        "p50_ms": round(part(times, 0.5), 1),
        "p95_ms": round(part(times, 0.95), 1),
        "max_ms": round(max(times), 1),
        "cpu_ms": round(1000 * cpu_s / rounds, 1),
        "times_nothing": round(part(times, 0.5) / part(nothing, 0.5), 1),
        "kB": round(size / 1000),
    }


def part(times: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


def cpu_of(process_id: int) -> float:
    """Seconds of a processor that a process took."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=40)
    kept = Path(tempfile.gettempdir()) / "tweeter-bench-pages"
    parser.add_argument("--folder", type=Path, default=kept)
    parser.add_argument("--url", default="")
    parser.add_argument("--only", default="", help="pages with this in their name")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    url = asked.url or f"sqlite:///{asked.folder / f'{asked.posts}.db'}"
    engine = make_engine(url)
    fill(engine, asked.posts, asked.folder)
    web = serve(url, asked.folder)
    storing = Storing(engine, asked.rate)
    storing.start()
    began_s = time.monotonic()
    try:
        rows = measure(engine, web.pid, asked.rounds, asked.only)
    finally:
        storing.ended.set()
        storing.join(timeout=30)
        web.terminate()
    rate = storing.stored / (time.monotonic() - began_s)
    found = {"posts": asked.posts, "stored_a_second": round(rate), "load": os.getloadavg()}
    print(json.dumps(found | {"pages": rows}))


if __name__ == "__main__":
    main()
