"""The fan-out's figures, from `python -m bench.fanout`, which judges by itself what arrived."""

import re
import subprocess
import sys

from bench.network import ROOT
from bench.setting import Bench

SECONDS = 10
CROWDS = ((1_000, 500), (5_000, 100))  # browsers, matches a second
NAMES = {"one filter": "one", "a filter each": "each"}
_P99 = re.compile(r"p50 ([\d,.]+) ms.*p99 ([\d,.]+) ms")
_FAULTS = re.compile(r"(lost|doubled|out of order|not told of) (\d+(?:,\d{3})*)")


def run(bench: Bench) -> None:
    """Each crowd with one filter for all, then with a filter for each."""
    for readers, rate in CROWDS:
        figures = {}
        for name, short in NAMES.items():
            end = "" if short == "one" else "/each"
            figures[name] = bench.figure(
                f"fanout/{readers}/p99{end}",
                f"source → commit → {readers:,} browsers, {name}, {rate} matches/s: p99",
                "ms",
            )
        with bench.guarded(*figures.values()):
            words = [sys.executable, "-m", "bench.fanout", "--readers", str(readers)]
            words += ["--rate", str(rate), "--seconds", str(SECONDS)]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=900)
            told = sections(done.stdout)
            for name, figure in figures.items():
                if name not in told:
                    raise RuntimeError(done.stderr[-300:] or "it did not say how late it was")
                p50, p99, figure.wrong = told[name]
                figure.values, figure.note = [p99], f"p50 {p50:,.0f} ms"


def sections(text: str) -> dict[str, tuple[float, float, str]]:
    """(p50, p99, faults in words) by the name of a run, from what fanout prints."""
    found: dict[str, tuple[float, float, str]] = {}
    name, delays = "", (0.0, 0.0)
    for line in text.splitlines():
        head = line.partition(":")[0]
        if head in NAMES:
            name = head
        if seen := _P99.search(line):
            delays = float(seen[1].replace(",", "")), float(seen[2].replace(",", ""))
        faults = [(words, n) for words, n in _FAULTS.findall(line) if n != "0"]
        if name and line.lstrip().startswith("lost"):
            found[name] = (*delays, ", ".join(f"{words} {n}" for words, n in faults))
    return found
