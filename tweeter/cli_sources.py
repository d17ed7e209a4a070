"""`tweeter source`, `tweeter gaps`, `tweeter quarantine`: how the networks are doing."""

import asyncio
import sys

import click
import msgspec

from tweeter.cli_ground import (
    CREDENTIALS,
    FAILED,
    ID,
    JSON,
    LIMITED,
    MOMENT,
    data,
    moments_as_text,
    print_lines,
    say,
    set_up,
)
from tweeter.moments import refuse_turned
from tweeter.records import now_us
from tweeter.sources.check import Row, check
from tweeter.store import gaps, keywords, quarantine, streams
from tweeter.store.installation import installation_id
from tweeter.store.overview import overview
from tweeter.texts import of_posts
from tweeter.views.show import clock, gap_length


@click.group()
def source() -> None:
    """List the sources and check their credentials."""


@source.command(name="list")
@JSON
def list_sources(as_json: bool) -> None:
    """Each source: its state, since when, when it tries again."""
    _, engine = set_up()
    found = overview(engine)
    if found.warning:
        say(found.warning)
    for stream in found.streams:
        if as_json:
            data(moments_as_text(stream))
            continue
        again = f", next try {clock(stream.retry_at)}" if stream.retry_at > now_us() else ""
        since = f"since {clock(stream.since)}{again}"
        print_lines(f"{stream.name:<24} {stream.state:<16} {since}")
        print_lines(f"{'':<24} {of_posts(stream.counts['stored'])} stored. {stream.words}")


@source.command(name="check")
@click.argument("name")
@JSON
def check_source(name: str, as_json: bool) -> None:
    """Check the credentials and the connection of the source NAME, such as x.

    Takes at most about 45 s. Exit code 4: token or plan; 5: limited, or another program holds
    the connection; 1: anything else that failed.
    """
    config, engine = set_up()
    ours = [s for s in overview(engine).streams if s.name == name and s.state == "live"]
    words = ours[0].words if ours else ""
    rows = asyncio.run(check(config, name, ours=words, installation=installation_id(engine)))
    for row in rows:
        if as_json:
            data(moments_as_text(row))
        else:
            _print_row(row)
    sys.exit(exit_code(rows))


def _print_row(row: Row) -> None:
    verdict = "FAIL" if row.verdict == "failed" else row.verdict
    print_lines(f"{verdict:<5} {row.name:<10} {row.words} ({row.seconds:.1f} s)")
    if row.todo:
        print_lines(f"{'':<16} next: {row.todo}")


def exit_code(rows: list[Row]) -> int:
    """What the first failed row means for programs."""
    kinds = {"credentials": CREDENTIALS, "limited": LIMITED, "occupied": LIMITED}
    failed = [row.kind for row in rows if row.verdict == "failed"]
    return kinds.get(failed[0], FAILED) if failed else 0


@click.group(name="gaps")
def gaps_group() -> None:
    """What was not seen, with the cause."""


@gaps_group.command(name="list")
@click.option("--keyword", "keyword_id", type=ID, help="As this keyword met them.")
@click.option("--stream", default="", help="Only of this source.")
@click.option("--since", type=MOMENT, default="2d", show_default=True, help="2d, 36h, ISO 8601.")
@JSON
def list_gaps(keyword_id: int | None, stream: str, since: int, as_json: bool) -> None:
    """Each gap, oldest first: from, to, cause, and what became of it."""
    _, engine = set_up()
    if keyword_id is not None:
        keywords.get(engine, keyword_id)
    now = now_us()
    refuse_turned(since, now)
    found = gaps.found(engine, since, now, keyword_id=keyword_id, stream=stream)
    for gap in found:
        if as_json:
            data(moments_as_text(gap))
            continue
        outcome = gap.outcome or "open"
        length = gap_length((gap.until - gap.since) / 1e6)
        print_lines(
            f"{clock(gap.since)} – {clock(gap.until)}  {length:>7}  {gap.stream:<20}"
            f" {gap.state}, {outcome}: {gap.words}"
        )
    if not found:
        say(f"No gap since {clock(since)}.")


@click.group(name="quarantine")
def quarantine_group() -> None:
    """Events that could not be read."""


@quarantine_group.command(name="list")
@click.option("--stream", default="", help="Only of this source.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@JSON
def list_quarantine(stream: str, limit: int, as_json: bool) -> None:
    """The newest events of each source that could not be read, with the reason."""
    _, engine = set_up()
    rows = streams.list_all(engine)
    if stream and stream not in [row.name for row in rows]:
        raise gaps.NoSuchStream(
            f"There is no stream “{stream}”. List them: python -m tweeter source list"
        )
    count = 0
    for row in rows:
        if stream not in ("", row.name):
            continue
        for kept in quarantine.newest(engine, row.id, limit=limit):
            count += 1
            if as_json:
                data(moments_as_text({"stream": row.name, **msgspec.structs.asdict(kept)}))
            else:
                reason = f"{kept.reason}: {kept.detail}" if kept.detail else kept.reason
                if kept.count > 1:
                    reason += f" (since {clock(kept.first_at)})"
                print_lines(f"{clock(kept.last_at)}  {row.name:<20} {kept.count:>6}x  {reason}")
                print_lines(f"{'':<28}{kept.place}  {kept.body[:100]!r}")
    if not count:
        say("Everything could be read.")
