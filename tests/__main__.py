"""All tests, in parts that a few processes take from a queue: nearly all of them wait a lot.

`python -m tests` prints what a part says when it has ended. Arguments go to pytest, then in one
process: `make test ARGS="tests/store -k edit"`.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).parent.parent
AT_ONCE = min((os.cpu_count() or 1) + 1, 5)  # the servers have their limits, too
LONGEST_S = 75 * 60  # then something hangs: it is ended, and said where
ENDING_S = 60  # for pytest to say where it was
SAID_EVERY_S = 120
LOOK_S = 0.2


class Part(NamedTuple):
    """pytest in a process of its own, over some of the files."""

    name: str
    process: "subprocess.Popen[bytes]"
    output: IO[bytes]
    begun_s: float


def parts() -> list[list[str]]:
    """The files of each part, in the order in which they begin.

    Those that start whole installations take longest and begin first, then beside the others:
    a part's wait is another's processor. Files are dealt like cards, for neighbours are alike and
    would make one part much longer; each part makes its databases' templates anew.
    """
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))
    whole = [file for file in files if file.startswith("tests/integration/")]
    others = [file for file in files if file not in whole]
    hands = [whole[n::16] for n in range(16)]
    beside = zip(hands[4:], (others[n::12] for n in range(12)), strict=True)
    return hands[:4] + [hand for pair in beside for hand in pair]


def begin(number: int, files: list[str]) -> Part:
    """Start a part; what it says is kept until it has ended."""
    output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
    command = [sys.executable, "-m", "pytest", "-v", *files]
    process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    return Part(f"Part {number}", process, output, time.monotonic())


def end(part: Part) -> int:
    """Print what an ended part said; its exit code."""
    code = part.process.wait()
    part.output.seek(0)
    sys.stdout.write(part.output.read().decode(errors="replace"))
    part.output.close()
    took_s = time.monotonic() - part.begun_s
    print(f"[{part.name} ended after {took_s:.0f} s, exit code {code}]", flush=True)
    return code


def stop(running: list[Part]) -> None:
    """End parts that take too long, as by Ctrl-C: pytest says where it was."""
    for part in running:
        part.process.send_signal(signal.SIGINT)
    until_s = time.monotonic() + ENDING_S
    for part in running:
        try:
            part.process.wait(timeout=max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            part.process.kill()
        print(f"{part.name} did not end within {LONGEST_S // 60} minutes.", flush=True)


def run(waiting: list[list[str]]) -> list[str]:
    """Run all parts; the names of those that failed, or never began."""
    begun_s = said_s = time.monotonic()
    total, running, failed = len(waiting), [], []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            running.append(begin(total - len(waiting) + 1, waiting.pop(0)))
        time.sleep(LOOK_S)
        is_late = time.monotonic() - begun_s > LONGEST_S
        if is_late:
            stop(running)
        for part in [part for part in running if part.process.poll() is not None or is_late]:
            running.remove(part)
            if end(part) or is_late:
                failed.append(part.name)
        if is_late:
            return [*failed, f"{len(waiting)} parts that did not begin"]
        if time.monotonic() - said_s > SAID_EVERY_S:
            said_s = time.monotonic()
            print(f"[{', '.join(part.name for part in running)} of {total} go on]", flush=True)
    return failed


def main() -> int:
    """Run what is asked; 0 if everything passed."""
    if sys.argv[1:]:
        return subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]], cwd=ROOT)
    failed = run(parts())
    print(f"Failed: {', '.join(failed)}." if failed else "Everything passed.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONFAULTHANDLER", "1")
    # Tests begin hundreds of processes; each would compile the product anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
