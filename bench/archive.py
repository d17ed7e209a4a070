"""Import of a packed archive with all cores, beside what decoding and matching alone take."""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import zstandard

from bench import checks, databases
from bench.events import Stream
from bench.product import Product
from bench.setting import Bench
from tests.integration.running import wait_for
from tweeter.digest import digest
from tweeter.keywords import Matcher
from tweeter.records import Keyword, RawEvent, now_us

EVENTS, QUICK_EVENTS = 2_000_000, 100_000  # 4 GB of JSON; of few events the start is most
ALONE_EVENTS = 100_000  # by each process, as often as everything is repeated
BLOCK = 1_000
PATIENCE_S = 600

_work: tuple[list[RawEvent], Matcher] | None = None  # what the forked processes do


def run(bench: Bench) -> None:
    """`tweeter replay` of X posts as .zst JSON lines, 1 % match."""
    count = QUICK_EVENTS if bench.quick else EVENTS
    figure = bench.figure("import/rate", "import a .zst archive of X posts, 1 % match, SQLite")
    share = bench.figure("import/share", "import / decode and match by as many processes", "%")
    network = bench.network("x", "p1")
    with bench.guarded(figure, share):
        files, size = pack(network.stream, count, bench.new_folder("archive"))
        figure.note = (
            f"{size / 1e6:,.0f} MB of JSON in {len(files)} files, from the command to the last"
            " commit, one run"
        )
        with databases.fresh("sqlite", bench.new_folder("import")) as url:
            folder = bench.new_folder("import-run")
            with Product(folder, network, url, ready=bench.ready()) as product:
                began_s = time.monotonic()
                product.running.cli("replay", *map(str, files))
                wait_for(lambda: product.committed() >= count, PATIENCE_S, "for the last commit")
                figure.values = [count / (time.monotonic() - began_s)]
                running = product.running
                figure.wrong = checks.faults(
                    running.sql, running.database_url(), network.stream, count
                )
        alone = decoding_alone(network.stream, min(count, ALONE_EVENTS), bench.sizes.repeats)
        share.wrong = figure.wrong
        share.values = [100 * figure.value / rate for rate in alone]
        share.note = f"{median(alone):,.0f}/s by {os.cpu_count()} processes"


def pack(stream: Stream, count: int, folder: Path) -> tuple[list[Path], int]:
    """Write the events as packed JSON lines, a file a core; returns the files, and the size of
    what is in them.
    """
    folder.mkdir()
    cores, size, files = os.cpu_count() or 1, 0, []
    part = -(-count // cores)
    for first in range(0, count, part):
        files.append(folder / f"{len(files)}.jsonl.zst")
        with files[-1].open("wb") as out, zstandard.ZstdCompressor().stream_writer(out) as packer:
            for number in range(first, min(first + part, count)):
                line = stream.body(number) + b"\n"
                packer.write(line)
                size += len(line)
    return files, size


def decoding_alone(stream: Stream, count: int, repeats: int) -> list[float]:
    """Events a second that all cores together decode and match, without reading or writing."""
    global _work  # for the forked processes
    at = now_us()
    events = [RawEvent(shape="any", body=stream.body(n), received_at=at) for n in range(count)]
    _work = events, Matcher(Keyword(id=n, expression=e) for n, e in enumerate(stream.keywords))
    processes = os.cpu_count() or 1
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        list(pool.map(_digest, [count // 5] * processes))  # does not count
        rates = []
        for _ in range(repeats):
            began_s = time.perf_counter()
            list(pool.map(_digest, [count] * processes))
            rates.append(count * processes / (time.perf_counter() - began_s))
    _work = None
    return rates


def _digest(count: int) -> None:
    assert _work is not None
    events, matcher = _work
    for start in range(0, count, BLOCK):
        digest(events[start : start + BLOCK], matcher, 0, is_live=False)
