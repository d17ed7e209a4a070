"""Which keywords get into X's rules when a plan has not enough of them for all."""

from collections.abc import Mapping, Sequence

from tweeter.keywords.x_pack import TooManyRules, pack

LEFT_OUT = 100  # so many that do not fit: the rules are full, and no younger one is tried


def fitting(
    wanted: Mapping[int, Sequence[str]], *, limit: int, max_rules: int
) -> tuple[list[int], list[int]]:
    """(ids that fit, ids left out) of keyword id -> its pieces, the most important first.

    A keyword gets in with all its pieces or not at all. One that does not fit is left out, and
    those after it are still tried: one keyword of hundreds of words keeps nobody else away.
    Deterministic; takes a second or two for 10,000 keywords.
    """
    kept: dict[str, None] = {}
    inside: list[int] = []
    outside: list[int] = []
    rest = list(wanted)
    while rest and len(outside) < LEFT_OUT:
        count = _longest(kept, [wanted[keyword] for keyword in rest], limit, max_rules)
        for keyword in rest[:count]:
            kept.update(dict.fromkeys(wanted[keyword]))
        inside += rest[:count]
        outside += rest[count : count + 1]
        rest = rest[count + 1 :]
    return inside, outside + rest


def _longest(
    kept: Mapping[str, None], more: Sequence[Sequence[str]], limit: int, max_rules: int
) -> int:
    """How many of `more`, from the first on, fit beside what is kept: by doubling, then halving."""
    fits, step = 0, 1
    while fits + step <= len(more) and _fit(kept, more[: fits + step], limit, max_rules):
        fits += step
        step *= 2
    while step > 1:
        step //= 2
        if fits + step <= len(more) and _fit(kept, more[: fits + step], limit, max_rules):
            fits += step
    return fits


def _fit(
    kept: Mapping[str, None], more: Sequence[Sequence[str]], limit: int, max_rules: int
) -> bool:
    pieces = [*kept, *(piece for found in more for piece in found)]
    if not pieces or max_rules <= 0:  # pack takes 0 for "no limit"
        return not pieces
    try:
        pack(pieces, limit=limit, max_rules=max_rules)
    except TooManyRules:
        return False
    return True
