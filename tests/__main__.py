"""All tests, in two halves side by side: those that start whole installations mostly wait.

`python -m tests` prints the first half as it runs, and the other when that has ended. Arguments
go to pytest, then in one process: `make test ARGS="tests/store -k edit"`.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
HALVES = (["tests", "--ignore=tests/integration"], ["tests/integration"])
LONGEST_S = 75 * 60  # then something hangs: it is ended, and said where
SAID_EVERY_S = 120


def begin(arguments: list[str], output: int | None) -> "subprocess.Popen[bytes]":
    """pytest in a process of its own."""
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)


def wait(process: "subprocess.Popen[bytes]", until_s: float, name: str) -> int:
    """Its exit code; one that takes too long is ended, with where each thread is (faulthandler)."""
    while time.monotonic() < until_s:
        try:
            return process.wait(timeout=SAID_EVERY_S)
        except subprocess.TimeoutExpired:
            print(f"[{name} goes on]", flush=True)
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
    print(f"{name} did not end within {LONGEST_S // 60} minutes.", flush=True)
    return 1


def main() -> int:
    """Run what is asked; 0 if everything passed."""
    if sys.argv[1:]:
        return begin(sys.argv[1:], None).wait()
    until_s = time.monotonic() + LONGEST_S
    with tempfile.TemporaryFile() as kept:
        other = begin([*HALVES[1], "-v"], kept.fileno())
        codes = [wait(begin(HALVES[0], None), until_s, "The first half")]
        codes.append(wait(other, until_s, "The second half (tests/integration)"))
        kept.seek(0)
        sys.stdout.write(kept.read().decode(errors="replace"))
        sys.stdout.flush()
    return max(codes)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONFAULTHANDLER", "1")
    sys.exit(main())
