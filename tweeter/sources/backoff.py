"""Seconds to wait after the n-th failure in a row. Pure; n counts from 1."""

import random
from collections.abc import Callable

Wait = Callable[[int], float]


def linear(step_s: float, cap_s: float) -> Wait:
    """n x step, at most cap."""
    return lambda n: min(max(n, 1) * step_s, cap_s)


def exponential(first_s: float, cap_s: float, *, jitter: float = 0.0) -> Wait:
    """first, doubled each time, at most cap; then spread by up to +-jitter (a share of it)."""

    def wait(n: int) -> float:
        doubled = first_s * 2.0 ** min(max(n, 1) - 1, 60)
        spread = random.uniform(-jitter, jitter)  # noqa: S311 (no secret)
        return min(doubled, cap_s) * (1 + spread)

    return wait


def constant(wait_s: float) -> Wait:
    """Always the same: for what waiting does not cure."""
    return lambda _: wait_s
