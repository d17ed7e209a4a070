"""Import of a packed archive with all cores, beside what decoding and matching alone take."""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import zstandard

from bench import checks, databases
from bench.events import Stream
from bench.product import Product
from bench.setting import Bench
from tweeter.keywords import Matcher
from tweeter.pipeline import digest
from tweeter.records import Keyword, RawEvent, now_us

EVENTS, QUICK_EVENTS = 300_000, 10_000
BLOCK = 1_000

_work: tuple[list[RawEvent], Matcher] | None = None  # what the forked processes do


def run(bench: Bench) -> None:
    """`tweeter replay` of X posts as .zst JSON lines, 1 % match."""
    count = QUICK_EVENTS if bench.quick else EVENTS
    figure = bench.figure("import/rate", "import a .zst archive of X posts, 1 % match, SQLite")
    share = bench.figure("import/share", "import / decode and match by as many processes", "%")
    network = bench.network("x", "p1")
    with bench.guarded(figure, share):
        file = bench.new_folder("archive")
        size = pack(network.stream, count, file)
        figure.note = f"{size / 1e6:,.0f} MB of JSON, one run"
        with databases.fresh("sqlite", bench.new_folder("import")) as url:
            folder = bench.new_folder("import-run")
            with Product(folder, network, url, ready=bench.ready()) as product:
                began_s = time.monotonic()
                product.running.cli("replay", str(file), timeout_s=1_800)
                figure.values = [count / (time.monotonic() - began_s)]
                running = product.running
                figure.wrong = checks.faults(
                    running.sql, running.database_url(), network.stream, count
                )
        alone = decoding_alone(network.stream, min(count, 20_000))
        share.wrong = figure.wrong
        share.values = [100 * figure.value / alone]
        share.note = f"{alone:,.0f}/s by {os.cpu_count()} processes"


def pack(stream: Stream, count: int, file: Path) -> int:
    """Write the events as packed JSON lines; returns their size unpacked."""
    size = 0
    with file.open("wb") as out, zstandard.ZstdCompressor(level=3).stream_writer(out) as packer:
        for number in range(count):
            size += packer.write(stream.body(number) + b"\n")
    return size


def decoding_alone(stream: Stream, count: int) -> float:
    """Events a second that all cores together decode and match, without reading or writing."""
    global _work  # for the forked processes
    at = now_us()
    events = [RawEvent(shape="any", body=stream.body(n), received_at=at) for n in range(count)]
    _work = events, Matcher(Keyword(id=n, expression=e) for n, e in enumerate(stream.keywords))
    processes = os.cpu_count() or 1
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        list(pool.map(_digest, [BLOCK] * processes))
        began_s = time.perf_counter()
        list(pool.map(_digest, [count] * processes))
        took_s = time.perf_counter() - began_s
    _work = None
    return count * processes / took_s


def _digest(count: int) -> None:
    assert _work is not None
    events, matcher = _work
    for start in range(0, count, BLOCK):
        digest(events[start : start + BLOCK], matcher, 0, is_live=False)
