"""All tests, in parts that a few processes take from a queue: nearly all of them wait a lot.

`python -m tests` prints what a part says when it has ended. Arguments go to pytest, then in one
process: `make test ARGS="tests/store -k edit"`.

Three parts on two slow cores leave a process without a turn for seconds, and tests wait for real
processes. So a few tests that fail beside the others run once more, alone, at the end. One that
passes then does not fail the run, but the last lines name it: it is a defect of the test, or a
race of the product that only a busy machine shows.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).parent.parent
PYTEST = [sys.executable, "-m", "pytest"]
AT_ONCE = min((os.cpu_count() or 1) + 1, 5)  # the servers have their limits, too
LONGEST_S = 75 * 60  # then something hangs: it is ended, and said where
ENDING_S = 60  # for pytest to say where it was
SAID_EVERY_S = 120
LOOK_S = 0.2
TESTS_FAILED = 1  # pytest's exit code, when it ended and some tests had failed
MOST_AGAIN = 5  # failed tests that run again, alone: more of them are no busy machine's


class Part(NamedTuple):
    """pytest in a process of its own, over some of the files."""

    name: str
    files: list[str]
    cache: Path  # where this part's pytest notes which tests failed
    process: "subprocess.Popen[bytes]"
    output: IO[bytes]
    begun_s: float


class Failure(NamedTuple):
    """A part that failed. tests: none where it ended otherwise than by failed tests."""

    part: Part
    tests: list[str]


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


def pytest_of(files: list[str], cache: Path, *options: str) -> list[str]:
    """The command that runs some files, with its notes in a folder of its own."""
    return [*PYTEST, "-v", "--durations=3", "-o", f"cache_dir={cache}", *options, *files]


def begin(number: int, files: list[str], notes: Path) -> Part:
    """Start a part; what it says is kept until it has ended."""
    output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
    cache = notes / str(number)
    command = pytest_of(files, cache)
    process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    return Part(f"Part {number}", files, cache, process, output, time.monotonic())


def end(part: Part) -> Failure | None:
    """Print what an ended part said; how it failed."""
    code = part.process.wait()
    part.output.seek(0)
    sys.stdout.write(part.output.read().decode(errors="replace"))
    part.output.close()
    took_s = time.monotonic() - part.begun_s
    print(f"[{part.name} ended after {took_s:.0f} s, exit code {code}]", flush=True)
    if code == 0:
        return None
    tests = failed_tests(part.cache) if code == TESTS_FAILED else []
    return Failure(part, tests)


def failed_tests(cache: Path) -> list[str]:
    """The tests that failed, as pytest noted them."""
    notes = cache / "v" / "cache" / "lastfailed"
    return sorted(json.loads(notes.read_text())) if notes.exists() else []


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


def run(waiting: list[list[str]], notes: Path) -> tuple[list[Failure], str]:
    """Run all parts; those that failed, and what hindered the rest."""
    begun_s = said_s = time.monotonic()
    total, running, failed = len(waiting), [], []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            running.append(begin(total - len(waiting) + 1, waiting.pop(0), notes))
        time.sleep(LOOK_S)
        is_late = time.monotonic() - begun_s > LONGEST_S
        if is_late:
            stop(running)
        for part in [part for part in running if part.process.poll() is not None or is_late]:
            running.remove(part)
            if failure := end(part):
                failed.append(failure)
        if is_late:
            return failed, f"Too late, and {len(waiting)} parts did not begin."
        if time.monotonic() - said_s > SAID_EVERY_S:
            said_s = time.monotonic()
            print(f"[{', '.join(part.name for part in running)} of {total} go on]", flush=True)
    return failed, ""


def again(failures: list[Failure]) -> list[str]:
    """Run what failed once more, with nothing beside it; the tests that fail alone, too."""
    failed = []
    for part, _ in failures:
        print(f"[{part.name}: what failed, alone]", flush=True)
        if subprocess.call(pytest_of(part.files, part.cache, "--last-failed"), cwd=ROOT):
            failed += failed_tests(part.cache) or [part.name]
    return failed


def verdict(failures: list[Failure], hindered: str) -> int:
    """Say at the very end what failed; 0 if everything passed, some of it alone."""
    tests = [test for failure in failures for test in failure.tests]
    if hindered or len(tests) > MOST_AGAIN or not all(failure.tests for failure in failures):
        names = ", ".join(failure.part.name for failure in failures)
        lines = [*(f"Failed: {test}" for test in tests), f"Failed: {names}. {hindered}"]
        code = 1
    else:
        failed = again(failures)
        lines = [f"Passed only alone: {test}" for test in tests if test not in failed]
        lines += [f"Failed, alone too: {test}" for test in failed]
        code = 1 if failed else 0
    print("\n".join(lines or ["Everything passed."]), flush=True)
    return code


def main() -> int:
    """Run what is asked; 0 if everything passed."""
    if sys.argv[1:]:
        return subprocess.call([*PYTEST, *sys.argv[1:]], cwd=ROOT)
    with tempfile.TemporaryDirectory() as notes:
        return verdict(*run(parts(), Path(notes)))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONFAULTHANDLER", "1")
    # Tests begin hundreds of processes; each would compile the product anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
