"""What the works share in one run: sizes, sources, folders, and what was measured so far."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench import data, product
from bench.events import Plan
from bench.figures import Figure
from bench.goals import GOALS
from bench.network import Network

KEYWORDS = 10_000
SHARES = {"p1": 0.01, "p100": 1.0}


class Sizes(NamedTuple):
    """How much is measured with. A repetition of a fast way should last seconds."""

    repeats: int
    bodies: int  # different texts
    p1: int  # events a repetition, of which 1 % match
    p100: int  # events a repetition, all of which match
    slow: int  # events for a peer that commits each post
    middle: int  # events for the other peers
    stage: int  # events for a stage in memory


FULL = Sizes(3, 50_000, 100_000, 30_000, 1_500, 20_000, 50_000)
QUICK = Sizes(3, 8_000, 10_000, 4_000, 300, 6_000, 8_000)


class Bench:
    """One run."""

    def __init__(self, folder: Path, *, quick: bool, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.quick = quick
        self.sizes = QUICK if quick else FULL
        self.say = say
        self.figures: dict[str, Figure] = {}
        self._stack = ExitStack()
        self._network: tuple[Plan, Network] | None = None
        self._ready: Path | None = None
        self._folders = 0

    def network(self, name: str, share: str) -> Network:
        """The source of a network; the last one is kept, for the next work wants it as a rule."""
        plan = Plan(name, self.sizes.bodies, KEYWORDS, SHARES[share])
        if self._network is None or self._network[0] != plan:
            self.close()
            self._network = plan, self._stack.enter_context(Network(plan))
        return self._network[1]

    def close(self) -> None:
        """End the source."""
        self._stack.close()
        self._network = None

    def ready(self) -> Path:
        """A data folder with the keywords, made once."""
        if self._ready is None:
            chosen = data.keywords(KEYWORDS, data.plain_texts(self.sizes.bodies))
            self._ready = product.ready_folder(self.new_folder("ready"), chosen)
        return self._ready

    def new_folder(self, name: str) -> Path:
        """A folder that is not there yet."""
        self._folders += 1
        return self.folder / f"{self._folders:02d}-{name.replace('/', '-')}"

    def figure(self, name: str, work: str, unit: str = "/s") -> Figure:
        """A new figure with its goal."""
        made = Figure(name=name, work=work, unit=unit, goal=GOALS.get(name))
        self.figures[name] = made
        return made

    @contextmanager
    def guarded(self, *figures: Figure) -> Iterator[None]:
        """A work that fails has no figure, and says why; the others go on."""
        began_s = time.monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001 (whatever it is belongs into the table)
            words = " ".join(str(error).split())[-300:] or type(error).__name__
            self.close()  # the source may be in the middle of something
            for one in figures:
                one.values.clear()
                one.wrong = one.wrong or f"{type(error).__name__}: {words}"
        for one in figures:
            took_s = time.monotonic() - began_s
            self.say(f"{one.name}: {one.shown()} {one.verdict()} [{took_s:.0f} s]")
