"""What every check is made of: a seeded run, bounds that end it, and a control that must fail.

A check starts tweeter as a person does, plays a script of posts and faults at it, and compares
what the database, the API and the pages say with the script's own ledger. It never asks the
program what happened. A control is the same check against a copy of the program in which one
protection is switched off (`mutants`): if it holds there too, the check proves nothing.
"""

import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.running import ROOT, Running
from tests.prove.mutants import MUTANTS


class Broken(AssertionError):
    """A bound does not hold; says which figure, and its bound."""


class Run:
    """One run of a check. dice is seeded; figures and faults are printed.

    root: the program under test, ours or a mutated copy. folder: a fresh one. full: the long form.
    pairs: databases that were asked for, of a check that runs on several; (): its own choice.
    """

    def __init__(
        self,
        seed: int,
        folder: Path,
        root: Path,
        *,
        full: bool = False,
        pairs: Sequence[str] = (),
    ) -> None:
        self.seed = seed
        self.full = full
        self.pairs = tuple(pairs)
        self.dice = random.Random(seed)
        self.folder = folder
        self.root = root
        self.figures: dict[str, Any] = {}
        self.faults: Counter[str] = Counter()

    def tweeter(self, name: str = "one", **settings: str) -> Running:
        """An installation in a folder of its own; use it with `with`."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Running(folder, root=self.root, **{"LOOK_BACK_HOURS": "0"} | settings)

    def figure(
        self, name: str, value: Any, *, least: float | None = None, most: float | None = None
    ) -> None:
        """Note a figure; raises Broken when it is out of its bounds."""
        self.figures[name] = round(value, 3) if isinstance(value, float) else value
        if least is not None and value < least:
            raise Broken(f"{name} is {value}, expected at least {least}")
        if most is not None and value > most:
            raise Broken(f"{name} is {value}, expected at most {most}")

    def fault(self, name: str) -> None:
        """Count a fault that really fired."""
        self.faults[name] += 1

    def fired(self, **least: int) -> None:
        """Raise Broken unless each fault fired so often: else the check would prove nothing."""
        for name, count in least.items():
            if self.faults[name] < count:
                raise Broken(f"the fault {name} fired {self.faults[name]} times of {count}")


class Check(NamedTuple):
    """run raises AssertionError if the promise does not hold; control names a mutant."""

    run: Callable[[Run], None]
    control: str
    quick: bool = False


def prove(
    name: str,
    check: Check,
    seed: int,
    *,
    with_control: bool = True,
    full: bool = False,
    pairs: Sequence[str] = (),
) -> dict[str, Any]:
    """Run a check and its control; the line to print. The control has the short form."""
    began_s = time.monotonic()
    found = _once(check, Run(seed, _folder(), ROOT, full=full, pairs=pairs))
    line: dict[str, Any] = {"name": name, "seed": seed, **found}
    if with_control and found["holds"]:
        folder = _folder()
        mutated = _once(check, Run(seed, folder, mutated_copy(check.control, folder / "program")))
        line["control"] = {
            "mutant": check.control,
            "fails": not mutated["holds"] and not mutated.get("crashed"),
            "why": mutated.get("broken", "nothing broke"),
        }
    line["seconds"] = round(time.monotonic() - began_s, 1)
    return line


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="tweeter-prove-"))


def _once(check: Check, run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {"holds": True}
    try:
        check.run(run)
    except AssertionError as error:
        found = {"holds": False, "broken": str(error) or traceback.format_exc(limit=-2)[-300:]}
    except Exception as error:  # noqa: BLE001 (said in the line; a control that crashes is none)
        found = {"holds": False, "crashed": True, "broken": f"{type(error).__name__}: {error}"}
        traceback.print_exc()
    found |= {"figures": run.figures, "faults": dict(run.faults)}
    if found["holds"] or run.root != ROOT:
        shutil.rmtree(run.folder, ignore_errors=True)
    else:
        found["kept"] = str(run.folder)
    return found


def copy(name: str, root: Path, target: Path) -> Path:
    """Copy one of the folders of `root` (the program, the tests) into another; returns that."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / name, target / name, ignore=ignore)
    return target


def mutated_copy(name: str, target: Path) -> Path:
    """A copy of the program with one mutant in it. Raises ValueError for a stale mutant."""
    mutant = MUTANTS[name]
    copy("tweeter", ROOT, target)
    for file, old, new in ((mutant.path, mutant.old, mutant.new), *mutant.also):
        path = target / file
        text = path.read_text()
        if text.count(old) != 1:
            raise ValueError(
                f"mutant {name} is stale: in {file} its text is {text.count(old)} times"
            )
        path.write_text(text.replace(old, new))
    return target
