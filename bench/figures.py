"""A figure with its goal: what is printed, kept in latest.json and shown in docs/performance.md."""

from statistics import median

import msgspec

UNITS = {"/s": 0, "x": 1, "ms": 0, "s": 2, "%": 1, "MB": 0, "us": 2}


class Goal(msgspec.Struct, frozen=True):
    """least or most, in the figure's unit; neither: there is only a floor, of what should be much.

    floor: what was reached where the goal was not, or the goal; a quick run fails at less than
    half of it (of a `most`: at more than twice). None: a quick run says it and goes on.
    """

    least: float | None = None
    most: float | None = None
    floor: float | None = None

    def words(self, unit: str) -> str:
        """As the table says it."""
        if self.least is not None:
            return f"≥ {number(self.least, unit)}"
        return "" if self.most is None else f"≤ {number(self.most, unit)}"

    def reached(self, value: float) -> float | None:
        """1.0 and more: met; 0.5: half of it; None: there is no goal."""
        wanted = self.least if self.most is None else self.most
        return None if wanted is None else self._share(value, wanted)

    def has_fallen(self, value: float) -> bool:
        """Whether it is less than half as good as the floor."""
        return self.floor is not None and self._share(value, self.floor) < 0.5

    def _share(self, value: float, wanted: float) -> float:
        if self.most is None:
            return value / wanted
        return wanted / value if value else 1.0


class Figure(msgspec.Struct, kw_only=True):
    """What was measured: several values of which the median counts, or why there are none.

    name      stable, for programs: "whole/x/sqlite/p1"
    work      for people
    values    one for each repetition, in `unit`
    without   of a peer, or the core set-up: what it leaves out, beside its figure
    note      anything else that belongs to the figure
    wrong     what was not right in the result: then its speed does not count
    left_out  why it was not measured
    """

    name: str
    work: str
    unit: str = "/s"
    values: list[float] = msgspec.field(default_factory=list)
    goal: Goal | None = None
    without: str = ""
    note: str = ""
    wrong: str = ""
    left_out: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    def shown(self) -> str:
        """The median, with the least and the most in brackets."""
        if self.left_out or not self.values:
            return "–"
        if len(self.values) == 1:
            return f"{number(self.value, self.unit)} (one run)"
        least, most = min(self.values), max(self.values)
        middle = number(self.value, self.unit)
        return f"{middle} ({bare(least, self.unit)} – {bare(most, self.unit)})"

    def verdict(self) -> str:
        """In a word or two."""
        if self.left_out:
            return f"left out: {self.left_out}"
        if self.wrong:
            return f"WRONG: {self.wrong}"
        reached = self.goal.reached(self.value) if self.goal and self.values else None
        if reached is None:
            return ""
        return "met" if reached >= 1 else f"below: {reached:.0%} of it"

    def fails_quick(self) -> bool:
        """True for a wrong result, and for a ratio that is under half of its floor."""
        if self.wrong or self.goal is None or not self.values:
            return bool(self.wrong)
        return self.goal.has_fallen(self.value)


def bare(value: float, unit: str) -> str:
    """A number without its unit."""
    return f"{value:,.{UNITS[unit] if abs(value) < 1_000 else 0}f}"


def number(value: float, unit: str) -> str:
    """A number with its unit."""
    text = bare(value, unit)
    if unit == "/s":
        return f"{text}/s"
    return f"{text}×" if unit == "x" else f"{text} {unit}"


def ratio(name: str, work: str, ours: Figure, theirs: Figure, goal: Goal) -> Figure:
    """How many times theirs ours is, medians of the same run.

    The least is our least by their most, the most the other way round.
    """
    made = Figure(name=name, work=work, unit="x", goal=goal)
    for one in (ours, theirs):
        if one.left_out or not one.values:
            made.left_out = made.left_out or one.left_out or f"{one.name} was not measured"
        if one.wrong:
            made.wrong = made.wrong or f"{one.name}: {one.wrong}"
    if not made.left_out:
        least = min(ours.values) / max(theirs.values)
        most = max(ours.values) / min(theirs.values)
        made.values = [least, ours.value / theirs.value, most]
    return made
