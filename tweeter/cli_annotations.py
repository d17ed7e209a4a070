"""`tweeter annotation …`: a person's notes on the axis of time of the charts."""

import click

from tweeter.cli_ground import ID, JSON, MOMENT, data, moments_as_text, print_lines, say, set_up
from tweeter.moments import refuse_turned
from tweeter.records import now_us
from tweeter.store import annotations, keywords
from tweeter.store.annotations import EVERY, LAST, Annotation
from tweeter.views.show import clock


@click.group()
def annotation() -> None:
    """Notes that stand on the axis of time: list, add, edit, remove."""


@annotation.command(name="list")
@click.option("--keyword", "keyword_id", type=ID, help="Its own, and those of all keywords.")
@click.option("--since", type=MOMENT, default=0, help="Only what reaches to then.")
@click.option("--until", type=MOMENT, default=LAST, help="Only what began before.")
@JSON
def list_annotations(keyword_id: int | None, since: int, until: int, as_json: bool) -> None:
    """The notes, in order of time."""
    refuse_turned(since, until)
    _, engine = set_up()
    if keyword_id:
        keywords.get(engine, keyword_id)
    for one in annotations.between(engine, since, until, keyword_id=keyword_id):
        _print(one, as_json)


@annotation.command()
@click.argument("text")
@click.option("--keyword", "keyword_id", type=ID, default=EVERY, help="Its number; without: all.")
@click.option("--since", type=MOMENT, help="When it was, or began; default: now.")
@click.option("--until", type=MOMENT, default=0, help="When it ended; without: one moment.")
@JSON
def add(text: str, keyword_id: int, since: int | None, until: int, as_json: bool) -> None:
    """Keep a note of one line."""
    _, engine = set_up()
    began = now_us() if since is None else since
    _print(annotations.add(engine, keyword_id, text, began, until), as_json)


@annotation.command()
@click.argument("annotation_id", type=ID)
@click.option("--text", help="Another text.")
@click.option("--keyword", "keyword_id", type=ID, help="Another keyword's; 0: all keywords'.")
@click.option("--since", type=MOMENT, help="When it was, or began.")
@click.option("--until", type=MOMENT, help="When it ended.")
@click.option("--moment", is_flag=True, help="It has no end: it is of one moment.")
@JSON
def edit(annotation_id: int, moment: bool, as_json: bool, **given: int | str | None) -> None:
    """Change what is named; the rest stays."""
    if moment and given["until"] is not None:
        raise click.UsageError("--moment and --until say two things: give one of them.")
    if moment:
        given["until"] = 0
    _, engine = set_up()
    _print(annotations.change(engine, annotation_id, **given), as_json)  # type: ignore[arg-type]


@annotation.command()
@click.argument("annotation_id", type=ID)
@JSON
def remove(annotation_id: int, as_json: bool) -> None:
    """Forget a note."""
    _, engine = set_up()
    found = annotations.remove(engine, annotation_id)
    _print(found, True) if as_json else say(f"Removed: {found.text}")


def _print(one: Annotation, as_json: bool) -> None:
    if as_json:
        data(moments_as_text(one))
        return
    times = clock(one.since) + (f" to {clock(one.until)}" if one.until else "")
    whose = f"keyword {one.keyword_id}" if one.keyword_id else "all keywords"
    print_lines(f"{one.id:>4}  {times}  {whose}: {one.text}")
