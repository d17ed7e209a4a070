"""How a search looks on its page: pills, facets, the histogram, and its twins elsewhere."""

import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec
from flask import url_for

from tweeter import followable
from tweeter.choices import FOLLOWED, NO_LANGUAGE, is_value
from tweeter.columns import BadColumn, Column
from tweeter.filters import MANY, Filter
from tweeter.followable import Followable
from tweeter.moments import iso
from tweeter.statistics.unseen import Band
from tweeter.store.cells import US
from tweeter.store.search import Counts, Histogram
from tweeter.store.searches import SavedSearch, query_of
from tweeter.texts import counted, say
from tweeter.views.charts import Region, regions
from tweeter.views.show import duration, hour

WIDTH, HEIGHT = 600, 80  # of the histogram, in its own units
TITLES: dict[str, str] = {
    "network": say("Network"),
    "lang": say("Language"),
    "kind": say("Kind"),
    "keyword": say("Keyword"),
    "state": say("State"),
    "tag": say("Hashtag"),
    "link": say("Link"),
    "hour": say("Hour"),
    "without": say("Without"),
    "only": say("Has"),
    "since": say("Since"),
    "until": say("Until"),
}
CONTENTS = {"media": say("pictures or videos"), "link": say("links")}  # that `only` asks for
NETWORKS = FOLLOWED | {"demo": say("demo")}

Names = Mapping[int, str]  # expressions by keyword id


class Pill(msgspec.Struct, frozen=True, kw_only=True):
    """A filter that is set: what it says, and where its links lead. flip: "" if it has none."""

    title: str
    label: str
    is_not: bool
    flip: str
    drop: str


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A value of a facet: how many hits have it, and the links that ask for it or refuse it.

    "" for the links of what no filter can name.
    """

    label: str
    hits: int
    only: str
    but: str


class Stripe(msgspec.Struct, frozen=True, kw_only=True):
    """A bar of the histogram: its place, what it stands for, and the link to just that time."""

    x: float
    width: float
    y: float
    height: float
    since: int
    until: int
    hits: int
    address: str


class Twins(msgspec.Struct, frozen=True, kw_only=True):
    """The same search for programs."""

    api: str
    command: str


def address(chosen: Filter, older: str = "") -> str:
    """The page of a search."""
    args = chosen.to_args() + ([("older", older)] if older else [])
    return url_for("pages.search") + (f"?{urlencode(args)}" if args else "")


def label(name: str, value: str, names: Names) -> str:
    """A filter's value in words."""
    if name == "network":
        return NETWORKS.get(value, value)
    if name == "keyword":
        return names.get(int(value)) or say("keyword %(number)s", number=value)
    if name == "lang" and value == NO_LANGUAGE:
        return say("not said")
    if name in ("kind", "state"):
        return say(value)
    if name == "hour":
        return hour(int(value))
    if name == "only":
        return CONTENTS[value]
    if name == "link":
        return value.removeprefix("https://")
    return f"#{value}" if name == "tag" else value


def pills(chosen: Filter, names: Names) -> list[Pill]:
    """The filters that are set, in a fixed order."""
    found = []
    for name, value in chosen.to_args():
        if name == "q":
            continue
        can_be_not = name in MANY or name == "only"
        bare = value.removeprefix("-")
        is_not = can_be_not and bare != value
        flipped = bare if is_not else f"-{bare}"
        flip = chosen.lacking(name, value).having(name, flipped) if can_be_not else None
        found.append(
            Pill(
                title=TITLES[name],
                label=label(name, bare, names) if can_be_not else value,
                is_not=is_not,
                flip=address(flip) if flip else "",
                drop=address(chosen.lacking(name, value)),
            )
        )
    return found


def facets(chosen: Filter, counts: Counts, names: Names) -> list[tuple[str, list[Value]]]:
    """What the hits have, by title; values that are asked for already are left out."""
    found = []
    for name, values in counts.facets.items():
        shown = [
            _value(chosen, name, value, hits, names)
            for value, hits in values
            if value not in (chosen.only if name == "only" else getattr(chosen, name))
        ]
        if shown:
            found.append((TITLES[name], shown))
    return found


def _value(chosen: Filter, name: str, value: str, hits: int, names: Names) -> Value:
    can = is_value(name, value)
    return Value(
        label=label(name, value, names),
        hits=hits,
        only=address(chosen.having(name, value)) if can else "",
        but=address(chosen.having(name, f"-{value}")) if can else "",
    )


def columns(chosen: Filter, histogram: Histogram) -> list[Stripe]:
    """The bars of the histogram, left to right."""
    if not histogram.bars:
        return []
    width = WIDTH / len(histogram.bars)
    most = max(bar.hits for bar in histogram.bars)
    step = histogram.step_s * 1_000_000
    found = []
    for number, bar in enumerate(histogram.bars):
        height = max(HEIGHT * bar.hits / most, 2.0) if bar.hits else 0.0
        until = bar.since + step
        zoomed = chosen.having("since", iso(bar.since) or "1970-01-01").having("until", iso(until))
        found.append(
            Stripe(
                x=round(number * width, 2),
                width=round(width * 0.86, 2),
                y=round(HEIGHT - height, 2),
                height=round(height, 2),
                since=bar.since,
                until=until,
                hits=bar.hits,
                address=address(zoomed),
            )
        )
    return found


def gaps(histogram: Histogram, bands: Sequence[Band]) -> list[Region]:
    """What of the histogram's time was not covered."""
    if not histogram.bars:
        return []
    since = histogram.bars[0].since // US
    return regions(since, since + len(histogram.bars) * histogram.step_s, bands)


def step_words(histogram: Histogram) -> str:
    """The length of a bar in words."""
    days, rest = divmod(histogram.step_s, 86_400)
    if rest or not days:
        return duration(histogram.step_s)
    return counted("a day", "%(count)s days", days)


def as_column(chosen: Filter, saved: Sequence[SavedSearch]) -> tuple[list[tuple[str, str]], str]:
    """The search as the fields of a new column, or ([], why it can be none).

    One that is kept is followed as kept: by its name, and until it is deleted.
    """
    query = query_of(chosen)
    kept = next((row for row in saved if query and row.query == query), None)
    try:
        column = Column(of=f"search:{kept.id}") if kept else Column.of_search(chosen)
    except BadColumn as error:
        return [], error.args[0]
    return column.to_args(), ""


def as_keyword(chosen: Filter) -> tuple[Followable | None, str]:
    """The search as a keyword, or (None, why it can be none); "" of what looks for nothing."""
    try:
        return followable.as_keyword(chosen), ""
    except followable.NotFollowable as error:
        is_open = chosen.lacking("since").lacking("until") == Filter()
        return None, "" if is_open else error.args[0]


def twins(chosen: Filter) -> Twins:
    """The call of the API and the command that find the same."""
    args = chosen.to_args()
    api = url_for("api.find", _external=True) + (f"?{urlencode(args)}" if args else "")
    words = [shlex.quote(chosen.q)] if chosen.q and not chosen.q.startswith("-") else []
    words += [shlex.quote(f"--{name}={value}") for name, value in args if name != "q"]
    if chosen.q.startswith("-"):
        words += ["--", shlex.quote(chosen.q)]
    return Twins(api=api, command=" ".join(["python -m tweeter search", *words]))


def files(chosen: Filter) -> list[tuple[str, str]]:
    """What is found as a file: what each is called, and its address."""
    asked = chosen.to_args()
    table, lines = urlencode([*asked, ("bom", "1")]), urlencode(asked)
    return [
        ("CSV", f"{url_for('api.find_csv')}?{table}"),
        (say("JSON lines"), url_for("api.find_lines") + (f"?{lines}" if lines else "")),
    ]
