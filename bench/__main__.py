"""tweeter measured as installed, beside others, in one run.

    python -m bench [--quick] [NAME…]     measure all, or some: whole peers stages read …
    python -m bench --docs                write the last full table into docs/performance.md

Writes bench/latest.json and prints a table. Exit code 1 if a result is wrong or, with --quick, a
ratio is below half of its floor (bench/goals.py).
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import machine, report, works
from bench.setting import Bench

LATEST = Path(__file__).parent / "latest.json"


def measure(names: list[str], *, quick: bool) -> int:
    """A run; returns the exit code."""
    begun_s, line = time.monotonic(), machine.line()
    print("\n".join(f"{key}: {value}" for key, value in line.items()), flush=True)
    chosen = names or [name for name, work in works.WORKS.items() if work.quick or not quick]
    done: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tweeter-bench-") as folder:
        bench = Bench(Path(folder), quick=quick, say=lambda words: print(words, flush=True))
        try:
            for name in chosen:
                works.WORKS[name].run(bench)
                done.append(name)
                # Now: of a run that is interrupted stays what was measured.
                took = f"{(time.monotonic() - begun_s) / 60:.1f} min"
                _keep(bench, {"quick": quick, "works": done, "took": took, **line})
        finally:
            bench.close()
    figures = list(bench.figures.values())
    print(f"\n{report.table(figures, markdown=False)}\n\ntook {took}; {LATEST}")
    failed = [one for one in figures if one.wrong or (quick and one.fails_quick())]
    for one in failed:
        print(f"FAILED {one.name}: {one.shown()} {one.verdict()}")
    return 1 if failed else 0


def _keep(bench: Bench, found: dict[str, Any]) -> None:
    """Write what was measured so far."""
    figures = [report.as_dict(one) for one in bench.figures.values()]
    text = json.dumps(found | {"figures": figures}, indent=1, ensure_ascii=False)
    LATEST.write_text(f"{text}\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(works.WORKS))
    parser.add_argument("--quick", action="store_true", help="small and few, a few minutes")
    parser.add_argument("--docs", action="store_true", help="write the table, measure nothing")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in works.WORKS]
    if unknown:
        parser.error(f"no such work: {' '.join(unknown)}; there are: {' '.join(works.WORKS)}")
    if options.docs:
        report.into_docs(json.loads(LATEST.read_text()))
        return 0
    return measure(options.names, quick=options.quick)


if __name__ == "__main__":
    sys.exit(main())
