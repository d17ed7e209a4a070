"""What a whole installation costs at the live rate of Bluesky: processor time and memory."""

import time
from pathlib import Path

from bench import checks, databases
from bench.product import WARM_S, Product
from bench.setting import Bench
from tests.integration.running import tree, wait_for

EVENTS_S, POSTS = 500, 0.1  # of the events are posts, the others likes
SECONDS = 60
TICKS_S = 100


def run(bench: Bench) -> None:
    """500 events a second for a minute, of which 50 are posts; 10,000 keywords, 1 % match."""
    words = f"{EVENTS_S} events/s of which {EVENTS_S * POSTS:g} are posts, everything on"
    cpu = bench.figure("live/cpu", f"{words}: of one core", "%")
    memory = bench.figure("live/memory", f"{words}: the whole installation", "MB")
    memory.note = "PSS of all processes, one browser on the live page"
    cpu.note = "a Jetstream that is asked for posts leaves the likes out: so this is the upper end"
    with bench.guarded(cpu, memory), databases.fresh("sqlite", bench.new_folder("live")) as url:
        network = bench.network("bluesky", "p1")
        folder = bench.new_folder("live-run")
        with Product(folder, network, url, ready=bench.ready()) as product:
            time.sleep(WARM_S)
            process = product.running.process
            assert process is not None
            pids = [process.pid, *tree(process.pid)]
            before_s, began_s = cpu_s(pids), time.monotonic()
            network.say(do="pace", first=0, rate=EVENTS_S, seconds=SECONDS, posts=POSTS)
            answer = network.answer()
            posts, likes = answer["posts"], answer["likes"]
            wait_for(lambda: product.committed() >= posts + likes, 20, "for the last commit")
            took_s = time.monotonic() - began_s
            cpu.values = [100 * (cpu_s(pids) - before_s) / took_s]
            memory.values = [pss_mb([process.pid, *tree(process.pid)])]
            running = product.running
            cpu.wrong = memory.wrong = checks.faults(
                running.sql,
                running.database_url(),
                network.stream,
                posts,
                checks.Beside(ignored=likes),
            )


def cpu_s(pids: list[int]) -> float:
    """User and system time of processes, with that of children they have waited for."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS_S


def pss_mb(pids: list[int]) -> float:
    """Memory of processes; what they share counts once."""
    total_kb = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024
