"""R25: curated bugs, each put into a copy of the program: the test that it names must fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration.running import ROOT
from tests.prove.harness import Run, copy, mutated_copy
from tests.prove.mutants import MUTANTS

LEAST = 30  # bugs, with those that are controls of other checks
FAILED = 1  # what pytest exits with when a test failed; other faults have other numbers


def run(run: Run) -> None:
    run.figure("mutants", len(MUTANTS), least=LEAST)
    named = {name: mutant for name, mutant in MUTANTS.items() if mutant.test}
    plain = _with_tests(copy("tweeter", run.root, run.folder / "plain"))
    tests = sorted({mutant.test for mutant in named.values()})
    run.figure("fails_without_a_bug", int(_pytest(plain, tests) != 0), most=0)
    survived = []
    for name, mutant in named.items():
        folder = _with_tests(mutated_copy(name, run.folder / name))
        ended = _pytest(folder, [mutant.test])
        run.fault("mutant")
        if ended != FAILED:
            survived.append(f"{name} (pytest exited with {ended})")
        shutil.rmtree(folder)
    run.figures["killed_by_tests"] = len(named) - len(survived)
    run.figures["survivors"] = survived
    run.figure("survived", len(survived), most=0)
    run.fired(mutant=len(named))


def _with_tests(folder: Path) -> Path:
    """Put the tests beside a copy of the program."""
    copy("tests", ROOT, folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def _pytest(folder: Path, tests: list[str]) -> int:
    """Run tests in a copy; returns what pytest exited with."""
    samples = ROOT.parent / "shared" / "samples"
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {"TWEETER_TEST_SAMPLES": str(samples)} | dict(os.environ)
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    return done.returncode
