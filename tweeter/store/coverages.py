"""Coverage of many keywords at once: each stream is read once, whatever their number."""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Engine

from tweeter.store import coverage, keyword_ledger, known
from tweeter.store.coverage import Coverage, Stretch
from tweeter.store.engine import reading
from tweeter.store.keywords import KeywordRow
from tweeter.store.sums import Times

Found = dict[int, tuple[Coverage, ...]]  # by keyword


def of_keywords(
    engine: Engine, rows: Sequence[KeywordRow], stretches: Sequence[Times]
) -> list[Found]:
    """What `coverage.of_keyword` says of each stretch (microseconds), at least one.

    Keywords whose own ledger says nothing of a stretch have the same objects.
    """
    since, until = min(one for one, _ in stretches), max(one for _, one in stretches)
    streams = coverage.of_streams(engine, since, until)
    with reading(engine) as connection:
        ids = {row["name"]: row["id"] for row in known.streams(connection)}
        had = {one.stream: coverage.look_backs(connection, ids[one.stream]) for one in streams}
        pauses = keyword_ledger.of_keywords(connection, [row.id for row in rows], since, until)
        kept = known.kept(connection)

    def laid_over(row: KeywordRow, one: Coverage) -> list[Stretch]:
        its = [stretch for ids_of, stretch in had[one.stream] if row.id in ids_of]
        held = coverage.of_pauses(pauses.get(row.id, []), one.network, row.created_at, until)
        gone = coverage.deleted(kept, row.id, row.created_at, row.keep_days, one.network)
        return [*held, *its, *gone]

    found: list[Found] = [{} for _ in stretches]
    inside = [coverage.between(streams, *times) for times in stretches]
    for row in rows:
        its = [
            n
            for n, one in enumerate(streams)
            if not row.networks or one.network in row.networks.split()
        ]
        layers = {n: laid_over(row, streams[n]) for n in its}
        for of_all, covered, times in zip(found, inside, stretches, strict=True):
            of_all[row.id] = tuple(_under(covered[n], layers[n], times) for n in its)
    return found


def _under(one: Coverage, layers: Iterable[Stretch], times: Times) -> Coverage:
    """A stream's coverage with what a keyword's own ledger lays over it."""
    since, until = times
    touching = [layer for layer in layers if layer.since < until and layer.until > since]
    if not touching:
        return one
    covered_up = coverage.over(one.stretches, touching)
    (found,) = coverage.between([msgspec.structs.replace(one, stretches=covered_up)], *times)
    return found
