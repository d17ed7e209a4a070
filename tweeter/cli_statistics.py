"""`tweeter stats`: what a keyword's page shows, in a terminal or as JSON."""

import click

from tweeter.cli_ground import JSON, moments_as_text, set_up
from tweeter.cli_ground import data as print_value
from tweeter.statistics import questions
from tweeter.statistics import report as reports
from tweeter.statistics.report import Report
from tweeter.statistics.spans import NICE, PRESETS
from tweeter.store import keywords
from tweeter.store.cells import US
from tweeter.store.sums import SERIES
from tweeter.views.show import clock

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
@click.argument("keyword_id", type=int)
@click.option("--range", "chosen", type=click.Choice(list(PRESETS)), help="The time until now.")
@click.option("--since", "from_", help="From then on: 2d, 36h, or ISO 8601.")
@click.option("--until", "to", help="Until then; default: now.")
@click.option("--bucket", type=click.Choice([str(size) for size in NICE]), help="Seconds a bar.")
@click.option("--by", type=click.Choice([*SERIES, "nothing"]), help="What the bars are made of.")
@JSON
def print_statistics(keyword_id: int, as_json: bool, **options: str | None) -> None:
    """Posts over time and what is in them, as on the keyword's page (default: the last day)."""
    _, engine = set_up()
    row = keywords.get(engine, keyword_id)
    names = {"chosen": "range", "from_": "from"}
    args = {names.get(name, name): [value] for name, value in options.items() if value}
    found = reports.of_keyword(engine, row, questions.read(args))
    if as_json:
        print_value(moments_as_text(reports.plain(found)))
    else:
        _print(row.expression, found)


def _print(expression: str, found: Report) -> None:
    volume = found.volume
    since, until = (clock(moment * US) for moment in volume.span.asked)
    click.echo(f"{expression}: {volume.figure.words(volume.total)}, {since} to {until}")
    click.echo(line(_sums(found)))
    if volume.before:
        change = 100 * (volume.total - volume.before) / volume.before
        click.echo(f"{change:+.0f} % against the time before ({volume.before:,})")
    if volume.gone:
        click.echo(f"{volume.gone:,} removed since")
    for series in volume.stacks:
        click.echo(f"  {series.name or 'not said':<20} {series.total:>10,}")
    for panel in found.panels:
        if panel.rows:
            click.echo(f"{LABELS[panel.facet]} ({panel.distinct:,} of them)")
        for one in panel.rows[:5]:
            click.echo(f"  {one.label[:60]:<60} {one.posts:>10,}")
    for card in found.spikes:
        spike = card.spike
        click.echo(
            f"Spike: {clock(spike.since * US)}, {spike.total:,} posts, {spike.times:.1f}x the usual"
        )
    for note in volume.annotations:
        times = clock(note.since) + (f" to {clock(note.until)}" if note.until else "")
        click.echo(f"Note: {times}: {note.text}")
    for band in volume.bands:
        click.echo(f"Not covered: {clock(band.since * US)} to {clock(band.until * US)}")


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
