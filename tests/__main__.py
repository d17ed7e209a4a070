"""All tests, in three parts side by side: those that start whole installations mostly wait.

`python -m tests` prints the first part as it runs, and the others when that has ended. Arguments
go to pytest, then in one process: `make test ARGS="tests/store -k edit"`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
WHOLE = sorted(str(path) for path in (ROOT / "tests" / "integration").glob("test_*.py"))
FIRST = ["tests", "--ignore=tests/integration"]
OTHERS = (WHOLE[::2], WHOLE[1::2])
LONGEST_S = 75 * 60  # then something hangs: it is ended, and said where
SAID_EVERY_S = 120


def begin(arguments: list[str], output: int | None) -> "subprocess.Popen[bytes]":
    """pytest in a process of its own."""
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)


def wait(process: "subprocess.Popen[bytes]", until_s: float, name: str) -> int:
    """Its exit code; one that takes too long is ended."""
    while time.monotonic() < until_s:
        try:
            return process.wait(timeout=SAID_EVERY_S)
        except subprocess.TimeoutExpired:
            print(f"[{name} goes on]", flush=True)
    process.send_signal(signal.SIGINT)  # as by Ctrl-C: pytest says where it was
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
    print(f"{name} did not end within {LONGEST_S // 60} minutes.", flush=True)
    return 1


def main() -> int:
    """Run what is asked; 0 if everything passed."""
    if sys.argv[1:]:
        return begin(sys.argv[1:], None).wait()
    until_s = time.monotonic() + LONGEST_S
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(tempfile.TemporaryFile()) for _ in OTHERS]
        others = [
            begin([*files, "-v"], output.fileno())
            for files, output in zip(OTHERS, kept, strict=True)
        ]
        codes = [wait(begin(FIRST, None), until_s, "The first part")]
        for number, (process, output) in enumerate(zip(others, kept, strict=True), 2):
            codes.append(wait(process, until_s, f"Part {number} (tests/integration)"))
            output.seek(0)
            sys.stdout.write(output.read().decode(errors="replace"))
            sys.stdout.flush()
    return max(codes)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONFAULTHANDLER", "1")
    sys.exit(main())
