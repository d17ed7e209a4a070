"""The sheet's colours, measured: contrast in both themes, and told apart with any colour vision."""

import itertools
import math
import re

import pytest

from tests.conftest import ROOT

SHEET = (ROOT / "tweeter" / "static" / "tweeter.css").read_text()
TOLD_APART = 0.1  # least distance of two series in OKLab; about five just noticeable ones
SERIES = [f"series-{number}" for number in range(1, 9)]

TEXT = 4.5
PARTS = 3.0  # edges of controls, marks of charts
PAIRS = [
    *[
        (ink, ground, TEXT)
        for ink in ("ink", "soft", "main")
        for ground in ("page", "panel", "well")
    ],
    *[
        (ink, ground, TEXT)
        for ink in ("good", "warn", "bad", "flare")
        for ground in ("page", "panel")
    ],
    ("on-main", "main", TEXT),
    ("main", "main-page", TEXT),
    ("ink", "main-page", TEXT),
    ("ink", "warn-page", TEXT),
    ("warn", "warn-page", TEXT),
    ("main", "warn-page", TEXT),
    ("bad", "bad-page", TEXT),
    ("page", "bad", TEXT),
    ("on-rail", "rail", TEXT),
    ("rail-mark", "rail-here", PARTS),
    *[("edge", ground, PARTS) for ground in ("page", "panel", "well")],
    *[(series, "panel", PARTS) for series in SERIES],
]

Colour = tuple[float, float, float]

# Machado, Oliveira, Fernandes 2009: no red, no green, no blue cones; on linear light.
BLINDNESS = {
    "red": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "green": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "blue": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def colours(theme: str) -> dict[str, Colour]:
    """The variables of the sheet as linear light."""
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", SHEET)
    return {name: linear(light if theme == "light" else dark) for name, light, dark in found}


def linear(written: str) -> Colour:
    shares = (int(written[n : n + 2], 16) / 255 for n in (1, 3, 5))
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """As WCAG 2 defines it."""
    low, high = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(colour: Colour) -> Colour:
    r, g, b = colour
    cones = (
        0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
        0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
        0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
    )
    long, middle, short = (max(cone, 0) ** (1 / 3) for cone in cones)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def seen_by(colour: Colour, blindness: str) -> Colour:
    if not blindness:
        return colour
    one, two, three = (
        min(max(sum(m * c for m, c in zip(row, colour, strict=True)), 0), 1)
        for row in BLINDNESS[blindness]
    )
    return one, two, three


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_edges_and_series_have_the_contrast_that_is_asked_for(theme: str) -> None:
    known = colours(theme)
    short = {
        f"{ink} on {ground}": round(contrast(known[ink], known[ground]), 2)
        for ink, ground, least in PAIRS
        if contrast(known[ink], known[ground]) < least
    }
    assert not short


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("blindness", ["", *BLINDNESS])
def test_series_are_told_apart_with_any_colour_vision(theme: str, blindness: str) -> None:
    known = colours(theme)
    seen = {name: oklab(seen_by(known[name], blindness)) for name in SERIES}
    near = {
        (one, other): round(math.dist(seen[one], seen[other]), 3)
        for one, other in itertools.combinations(SERIES, 2)
        if math.dist(seen[one], seen[other]) < TOLD_APART
    }
    assert not near


def test_every_variable_that_is_used_is_there_and_documented() -> None:
    known = set(re.findall(r"(--[\w-]+):", SHEET))
    for sheet in (ROOT / "tweeter" / "static").glob("*.css"):
        used = set(re.findall(r"var\((--[\w-]+)", sheet.read_text()))
        assert used <= known | {"--c"}, sheet.name
    page = (ROOT / "docs" / "look.md").read_text()
    for name in ("ink", "soft", "page", "panel", "well", "line", "edge", "main", "flare", "small"):
        assert f"`--{name}`" in page


def test_no_rule_asks_what_is_in_the_whole_page() -> None:
    """With body:has(…) every live post, as any change, has all of the page styled again."""
    for sheet in (ROOT / "tweeter" / "static").glob("*.css"):
        assert not re.findall(r"(?:html|body|main|:root)[^\s,{]*:has\(", sheet.read_text()), (
            sheet.name
        )
