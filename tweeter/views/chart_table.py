"""The volume chart in rows, for the page's table and for spreadsheets."""

import csv
import io
from collections.abc import Iterator, Mapping

import msgspec

from tweeter.choices import KINDS
from tweeter.harmless import cell
from tweeter.moments import iso
from tweeter.statistics.volume import OTHER, Volume
from tweeter.store.annotations import Annotation
from tweeter.store.cells import US
from tweeter.texts import say


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket: when it begins and ends (seconds; the first and last: where the time shown does),
    posts of each series, and the notes that begin in it.

    total: posts of the keyword itself. posts: None where nothing is known of a series. index: of
    each series, if the chart is of indexes; None for one that has none.
    missed: "", "partly" (on some stream, or for a part of it) or "wholly" not covered. A note
    that began before the first bucket stands there.
    """

    start: int
    end: int
    total: int
    posts: list[int | None]
    index: list[float | None]
    missed: str
    notes: list[Annotation]

    @property
    def is_empty(self) -> bool:
        """Nothing to show, but for what was not covered."""
        return not any(self.posts) and not self.notes


def rows(found: Volume) -> list[Row]:
    """One for each bucket of the span."""
    span = found.span
    notes: dict[int, list[Annotation]] = {}
    for one in found.annotations:
        bucket = (one.since // US - span.since) // span.size
        notes.setdefault(max(bucket, 0), []).append(one)
    series = found.drawn
    unknown = [set(one.unknown) for one in series]
    return [
        Row(
            start=span.inside(bucket)[0],
            end=span.inside(bucket)[1],
            total=sum(one.posts[bucket] for one in found.stacks),
            posts=[
                None if bucket in gaps else one.posts[bucket]
                for one, gaps in zip(series, unknown, strict=True)
            ],
            index=[
                one.values[bucket] if one.values and bucket not in gaps else None
                for one, gaps in zip(found.indexes, unknown, strict=False)
            ],
            missed=_missed(found, *span.inside(bucket)),
            notes=notes.get(bucket, []),
        )
        for bucket in range(span.count)
    ]


def _missed(found: Volume, start: int, end: int) -> str:
    touching = [band for band in found.bands if band.since < end and band.until > start]
    if not touching:
        return ""
    whole = any(band.whole and band.since <= start and band.until >= end for band in touching)
    return "wholly" if whole else "partly"


def heads(found: Volume, names: Mapping[str, str]) -> list[str]:
    """What each series is called. names: of those that are called otherwise than in the numbers."""
    is_whole = bool(found.indexes and found.others)
    nameless = say("not said") if found.by == "lang" and not is_whole else say("posts")
    ours: dict[str, str] = {name: say(name) for name in (*KINDS, OTHER)}
    ours[""] = nameless
    return [names.get(one.name) or ours.get(one.name, one.name) for one in found.drawn]


def as_csv(found: Volume, names: Mapping[str, str]) -> Iterator[str]:
    """The chart's data: a line a bucket, also of those without posts."""
    called = [cell(head) for head in heads(found, names)]
    indexes = [f"{head} (index)" for head in called] if found.indexes else []
    yield _line(["from", *called, *indexes, "not covered", "notes"])
    for row in rows(found):
        notes = cell(" | ".join(_words(one) for one in row.notes))
        index = ["" if value is None else f"{value:.15g}" for value in row.index]
        posts = ["" if value is None else str(value) for value in row.posts]
        yield _line([iso(row.start * US), *posts, *index, row.missed, notes])


def _words(one: Annotation) -> str:
    times = iso(one.since) + (f" to {iso(one.until)}" if one.until else "")
    return f"{one.text} ({times})"


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
