"""The works of a run, in their order."""

from collections.abc import Callable
from typing import NamedTuple

from bench import (
    archive,
    crowd,
    growth,
    live,
    parts,
    past,
    peering,
    reading,
    stages,
    takes_effect,
    whole,
)
from bench.setting import Bench


class Work(NamedTuple):
    """quick: also a part of the quick run."""

    run: Callable[[Bench], None]
    quick: bool = True


WORKS = {
    "whole": Work(whole.run),
    "peers": Work(peering.run),  # after "whole": the ratios need its figure
    "read": Work(reading.run),
    "stages": Work(stages.run),
    "parts": Work(parts.run, quick=False),
    "effect": Work(takes_effect.run, quick=False),
    "import": Work(archive.run),
    "live": Work(live.run, quick=False),
    "past": Work(past.run, quick=False),
    "fanout": Work(crowd.run, quick=False),
    "growth": Work(growth.run, quick=False),
}
