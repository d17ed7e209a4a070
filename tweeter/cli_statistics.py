"""`tweeter stats`: what a keyword's page shows, in a terminal or as JSON."""

from collections.abc import Mapping, Sequence

import click

from tweeter.cli_ground import ID, JSON, moments_as_text, print_lines, set_up
from tweeter.cli_ground import data as print_value
from tweeter.records import now_us
from tweeter.statistics import questions
from tweeter.statistics import report as reports
from tweeter.statistics.panels import Panel
from tweeter.statistics.report import Report
from tweeter.statistics.spans import NICE, PRESETS
from tweeter.statistics.voice import Voice, of_keywords
from tweeter.store import keywords
from tweeter.store.cells import US
from tweeter.store.sums import SERIES
from tweeter.texts import counted, of_posts
from tweeter.views.show import clock, duration

BARS = "▁▂▃▄▅▆▇█"
WIDE = 80
LABELS = {
    "tag": "Hashtags",
    "link": "Links",
    "domain": "Domains",
    "author": "Authors",
    "mention": "Mentions",
    "media": "Media",
}


@click.command(name="stats")
@click.argument("keyword_id", type=ID)
@click.option("--range", "chosen", type=click.Choice(list(PRESETS)), help="The time until now.")
@click.option("--since", "from_", help="From then on: 2d, 36h, or ISO 8601.")
@click.option("--until", "to", help="Until then; default: now.")
@click.option("--bucket", type=click.Choice([str(size) for size in NICE]), help="Seconds a bar.")
@click.option("--by", type=click.Choice([*SERIES, "nothing"]), help="What the bars are made of.")
@click.option("--compare", type=click.Choice(["previous", "week"]), help="With the time before.")
@click.option(
    "--with",
    "others",
    type=ID,
    multiple=True,
    metavar="ID",
    help="With this keyword, or more.",
)
@click.option("--index", is_flag=True, help="Each series in percent of its own mean.")
@click.option("--shares", is_flag=True, help="How it and those of --with share their posts.")
@JSON
def print_statistics(
    keyword_id: int,
    as_json: bool,
    others: Sequence[int],
    index: bool,
    shares: bool,
    **options: str | None,
) -> None:
    """Posts over time and what is in them, as on the keyword's page (default: the last day).

    With --shares: share of voice, as on the first page, only where every keyword was covered.
    """
    _, engine = set_up()
    row = keywords.get(engine, keyword_id)
    names = {"chosen": "range", "from_": "from"}
    args = {names.get(name, name): [value] for name, value in options.items() if value}
    if shares:
        if index or "by" in args or "compare" in args:
            raise click.UsageError("--shares goes with --with and times alone.")
        args["with"] = [str(one) for one in (keyword_id, *others)]
        chosen, span = questions.voices(args)
        rows = [keywords.get(engine, number) for number in chosen]
        voice = of_keywords(engine, rows, span, now_us() // US)
        if as_json:
            print_value(moments_as_text(reports.plain_voice(voice)))
        else:
            _print_voice(voice)
        return
    args |= {"with": [str(one) for one in others], "scale": ["index" if index else "posts"]}
    found = reports.of_keyword(engine, row, questions.read(args))
    if as_json:
        print_value(moments_as_text(reports.plain(found)))
    else:
        called = {str(n): keywords.get(engine, n).expression for n in others}
        _print(row.expression, found, called)


def _print_voice(voice: Voice) -> None:
    since, until = (clock(moment * US) for moment in voice.span.asked)
    left = f", {voice.left_out} of them left out" if voice.left_out else ""
    cut = counted("%(count)s bucket", "%(count)s buckets", voice.span.count)
    print_lines(
        f"{of_posts(voice.everything)} of all, {since} to {until},"
        f" in {cut} of {duration(voice.span.size)}{left}"
    )
    of_each = zip(voice.expressions, voice.totals, voice.shares(), strict=True)
    for expression, posts, over_time in of_each:
        share = f"{100 * posts / voice.everything:.1f} %" if voice.everything else "-"
        print_lines(f"  {expression[:40]:<40} {posts:>10,} {share:>8}")
        print_lines(f"  {line([round(1_000 * one) for one in over_time])}")
    for expression, buckets in voice.missing():
        print_lines(f"Not covered in {buckets} of them: {expression}")
    if voice.apart:
        print_lines("They follow no network together: nothing can be compared.")


def _print(expression: str, found: Report, called: Mapping[str, str]) -> None:
    """called: expressions of the keywords that it is compared with, by their numbers."""
    volume = found.volume
    since, until = (clock(moment * US) for moment in volume.span.asked)
    print_lines(f"{expression}: {volume.figure.words(volume.total)}, {since} to {until}")
    print_lines(line(_sums(found)))
    if volume.before:
        change = 100 * (volume.total - volume.before) / volume.before
        print_lines(f"{change:+.0f} % against the time before ({volume.before:,})")
    if volume.gone:
        print_lines(f"{volume.gone:,} removed since")
    _print_series(expression, found, called)
    for panel in found.panels:
        if panel.rows:
            print_lines(f"{LABELS[panel.facet]} ({panel.distinct:,} of them{_hours(found, panel)})")
        for one in panel.rows[:5]:
            print_lines(f"  {one.label[:60]:<60} {one.posts:>10,}")
    for card in found.spikes:
        spike = card.spike
        print_lines(
            f"Spike: {clock(spike.since * US)}, {of_posts(spike.total)},"
            f" {spike.times:.1f}x the usual"
        )
    for note in volume.annotations:
        times = clock(note.since) + (f" to {clock(note.until)}" if note.until else "")
        print_lines(f"Note: {times}: {note.text}")
    for band in volume.bands:
        print_lines(f"Not covered: {clock(band.since * US)} to {clock(band.until * US)}")


def _hours(found: Report, panel: Panel) -> str:
    """The whole hours that a panel is of, where it is not of just the time shown."""
    if (panel.since, panel.until) == found.volume.span.asked:
        return ""
    return f", {clock(panel.since * US)} to {clock(panel.until * US)}"


def _print_series(expression: str, found: Report, called: Mapping[str, str]) -> None:
    volume = found.volume
    names = dict(called)
    if volume.others and volume.indexes:
        names[""] = expression
    for number, series in enumerate(volume.drawn):
        name = names.get(series.name) or series.name or "not said"
        index, *bars = _index(found, number)
        print_lines(f"  {name[:40]:<20} {series.total:>10,}{index}", *bars)


def _index(found: Report, number: int) -> list[str]:
    """What 100 is in a series, and the series in percent of it; "" if no index is asked for."""
    if not found.volume.indexes:
        return [""]
    one = found.volume.indexes[number]
    if not one.values:
        return ["  no post to compare with"]
    bucket = duration(found.volume.span.size)
    return [
        f"  100 = {one.mean:.4g} a {bucket}",
        f"  {line([round(value) for value in one.values])}",
    ]


def _sums(found: Report) -> list[int]:
    stacks = [series.posts for series in found.volume.stacks]
    return [sum(values) for values in zip(*stacks, strict=True)]


def line(posts: list[int]) -> str:
    """Bars of a terminal, at most WIDE of them; neighbours are added up."""
    together = max(-(-len(posts) // WIDE), 1)
    sums = [sum(posts[n : n + together]) for n in range(0, len(posts), together)]
    most = max(sums, default=0)
    if not most:
        return ""
    return "".join(BARS[-(-value * (len(BARS) - 1) // most)] if value else " " for value in sums)
