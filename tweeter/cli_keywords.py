"""`tweeter keyword …`: follow, try, change and read about keywords, one or thousands."""

from collections.abc import Callable
from typing import IO, Any

import click
import msgspec
from sqlalchemy import Engine

from tweeter import forecast, names
from tweeter.choices import FOLLOWED
from tweeter.cli_ground import (
    ID,
    JSON,
    MEND,
    PARTLY,
    data,
    fail,
    moments_as_text,
    pointing_at,
    print_lines,
    say,
    set_up,
)
from tweeter.errors import ConfigError
from tweeter.store import bulk, figures, followed, keywords
from tweeter.store.figures import Figure
from tweeter.store.keywords import KeywordRow, Options
from tweeter.store.preview import Example, Preview, preview
from tweeter.store.report import Report, report
from tweeter.texts import counted, of_posts
from tweeter.views.show import clock, duration, pace


@click.group()
def keyword() -> None:
    """Add, try, list, show, edit, pause, resume, remove, restore and import keywords."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """The flags of what is chosen beside an expression."""
    for option in (
        click.option(
            "--keep-days", type=click.IntRange(0, 36_500), help="Delete its posts then; 0: never."
        ),
        click.option(
            "--month-budget",
            type=click.IntRange(0, 1_000_000_000),
            help="The same for a month (UTC).",
        ),
        click.option(
            "--day-budget",
            type=click.IntRange(0, 100_000_000),
            help="Posts read at X a day (UTC), at most; 0: no limit.",
        ),
        click.option(
            "--network",
            "networks",
            multiple=True,
            type=click.Choice([*FOLLOWED, "all"]),
            help="Only there; may be given again. Default: all.",
        ),
    ):
        command = option(command)
    return command


def _chosen(networks: tuple[str, ...]) -> tuple[str, ...]:
    return () if "all" in networks else networks


def _print_keyword(row: KeywordRow, figure: Figure, as_json: bool) -> None:
    if as_json:
        data(moments_as_text(msgspec.structs.asdict(row) | {"covered": figure.covered}))
        return
    counted = figure.words(row.posts)
    where = f"  [{row.networks}]" if row.networks else ""
    print_lines(f"{row.id:>5}  {row.state:<8} {counted:>15}  {row.expression}{where}")


def _changed(engine: Engine, row: KeywordRow, as_json: bool) -> None:
    _print_keyword(row, figures.of_keyword(engine, row.id), as_json)


@keyword.command()
@click.argument("expression")
@_options
@JSON
def add(expression: str, networks: tuple[str, ...], as_json: bool, **numbers: int | None) -> None:
    """Follow EXPRESSION, such as '(storm OR flood) NOT sale'."""
    config, engine = set_up()
    options = Options(networks=_chosen(networks), **numbers)
    with pointing_at(expression):
        row = names.add(engine, config, expression, options)
    _changed(engine, row, as_json)
    _say_names(engine, row)


def _say_names(engine: Engine, row: KeywordRow) -> None:
    """Which accounts are not known yet, and what that means."""
    for account in followed.of_keyword(engine, row.id):
        if not account.author_id:
            say(f"from:{account.name}: {account.words}")


@keyword.command()
@click.argument("keyword_id", type=ID, metavar="ID")
@click.argument("expression", required=False)
@_options
@JSON
def edit(
    keyword_id: int,
    expression: str | None,
    networks: tuple[str, ...],
    as_json: bool,
    **numbers: int | None,
) -> None:
    """Give a keyword another EXPRESSION, networks or budgets; what is not named stays.

    Stored posts are matched again when the expression or the networks change.
    """
    config, engine = set_up()
    row = keywords.get(engine, keyword_id)
    if expression is None and not networks and all(n is None for n in numbers.values()):
        raise ConfigError(["Nothing to change: give an EXPRESSION or one of the options."])
    options = Options(networks=_chosen(networks) if networks else None, **numbers)
    with pointing_at(row.expression if expression is None else expression):
        row = names.edit(engine, config, keyword_id, expression, options)
    _changed(engine, row, as_json)
    _say_names(engine, row)


@keyword.command(name="list")
@click.option("--removed", is_flag=True, help="Also those that were removed.")
@JSON
def list_keywords(removed: bool, as_json: bool) -> None:
    """All keywords, newest first, each with how much of its time was covered."""
    _, engine = set_up()
    rows = keywords.list_all(engine, removed=removed)
    found = figures.of_keywords(engine, [row.id for row in rows])
    for row in rows:
        _print_keyword(row, found.get(row.id, figures.NOTHING_SAID), as_json)


def _state_command(name: str, state: str, words: str) -> None:
    @keyword.command(name=name, help=words)
    @click.argument("keyword_id", type=ID, metavar="ID")
    @JSON
    def change(keyword_id: int, as_json: bool) -> None:
        _, engine = set_up()
        row = keywords.set_state(engine, keyword_id, state, restore=name == "restore")
        _changed(engine, row, as_json)


_state_command("pause", "paused", "Stop following a keyword; its posts stay.")
_state_command("resume", "active", "Follow a paused keyword again.")
_state_command("restore", "active", "Bring a removed keyword back.")


@keyword.command()
@click.argument("keyword_id", type=ID, metavar="ID")
@click.option("--purge", is_flag=True, help="Also delete its posts, in ten minutes.")
@JSON
def rm(keyword_id: int, purge: bool, as_json: bool) -> None:
    """Remove a keyword. Undo: python -m tweeter keyword restore."""
    _, engine = set_up()
    _changed(engine, keywords.set_state(engine, keyword_id, "removed", purge=purge), as_json)


@keyword.command(name="preview")
@click.argument("expression")
@click.option(
    "--network", "networks", multiple=True, type=click.Choice([*FOLLOWED]), help="Only there."
)
@click.option("--keyword", "keyword_id", type=ID, help="Compare with this keyword's present one.")
@JSON
def try_keyword(
    expression: str, networks: tuple[str, ...], keyword_id: int | None, as_json: bool
) -> None:
    """What EXPRESSION would find among the newest stored posts, and what each network does.

    Nothing is saved; only names in from: are looked up, where that is free.
    """
    config, engine = set_up()
    with pointing_at(expression):
        answers = names.look_up(engine, config, expression, networks, keyword_id=keyword_id)
        found = preview(
            engine, expression, networks=networks, keyword_id=keyword_id, answers=answers
        )
        lines = forecast.lines(config, expression, networks, found)
    if as_json:
        data(moments_as_text({"preview": found, "networks": lines}))
        return
    print_lines(*_preview_lines(found))
    for line in lines:
        print_lines(f"{line.network:<9} {line.verdict:<8} {line.words}")
        if line.rule:
            print_lines(f"{'':<18} {line.rule}")
    for example in found.examples:
        print_lines(f"match     {_excerpt(example)}")
    for example in found.near_misses:
        print_lines(f"near miss {_excerpt(example)}  (without {example.missing})")


def _preview_lines(found: Preview) -> list[str]:
    if not found.looked_at:
        return ["No post is stored yet to try it on."]
    share = 100 * found.found / found.looked_at
    by_network = "  ".join(f"{n} ~{pace(hour)}" for n, hour in found.an_hour_by_network.items())
    often = "" if found.an_hour is None else f", about {pace(found.an_hour)}"
    lines = [
        f"{found.found:,} of the newest {found.looked_at:,} stored posts ({share:.1f} %){often}"
        f" since {clock(found.since)}  {by_network}".rstrip()
    ]
    if found.gains is not None:
        lines.append(f"gains {found.gains:,}, loses {found.loses:,} against the present one")
    if found.twin:
        lines.append(f"keyword {found.twin} already says the same")
    for one in found.overlaps:
        lines.append(f"overlap   {100 * one.share:.0f} % with {one.keyword_id}: {one.expression}")
    lines += [f"clause    {count:,} {clause}" for clause, count in found.clauses]
    return lines


def _excerpt(example: Example) -> str:
    text = " ".join(example.text.split())
    return f"{example.network}  {text[:100]}{'…' if len(text) > 100 else ''}"


@keyword.command()
@click.argument("keyword_id", type=ID, metavar="ID")
@JSON
def show(keyword_id: int, as_json: bool) -> None:
    """Everything about a keyword: state, networks, budgets, coverage, look-back."""
    _, engine = set_up()
    found = report(engine, keyword_id)
    if as_json:
        data(moments_as_text(found))
        return
    print_lines(*_report_lines(found))


def _report_lines(found: Report) -> list[str]:
    row = found.keyword
    lines = [
        f"keyword   {row.id}: {row.expression} (version {row.version})",
        f"state     {row.state}, since {clock(row.changed_at)}",
        f"posts     {found.figure}, followed since {clock(row.created_at)}",
        f"networks  {row.networks or 'all'}",
        f"at X      {found.used['day']:,} read today{_of(row.day_budget)},"
        f" {found.used['month']:,} this month{_of(row.month_budget)}",
        f"kept      {_days(row.keep_days) if row.keep_days else 'for ever'}",
    ]
    if found.rematched is not None:
        lines.append(f"matching  stored posts again: {found.rematched:,} looked at so far")
    for pause in found.held:
        where = pause.network or "everywhere"
        lines.append(
            f"held      {where}: {pause.state}, since {clock(pause.started_at)}. {pause.cause}"
        )
    for one in found.coverage:
        share = "not followed" if one.share is None else f"{_cut(one.share)} % covered"
        lines.append(f"{one.range:<9} {one.stream:<20} {share}, {duration(one.missed_s)} missed")
    for job in found.past:
        lines.append(
            f"{job.kind.replace('_', ' '):<9} {job.stream:<20} {100 * job.share:.0f} %,"
            f" {of_posts(job.stored)} found. {job.words}"
        )
    return lines


def _cut(share: float) -> str:
    return Figure(covered=share).percent


def _days(number: int) -> str:
    return counted("%(count)s day", "%(count)s days", number)


def _of(budget: int) -> str:
    return f" of {budget:,}" if budget else ""


@keyword.command(name="import")
@click.argument("file", type=click.File("rb"))
@click.option("--all-or-none", is_flag=True, help="Add none if a line is wrong.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@JSON
def import_keywords(file: IO[bytes], all_or_none: bool, dry_run: bool, as_json: bool) -> None:
    """Add the keywords of FILE (- for stdin): one a line, or CSV; at most 10,000.

    CSV begins with the line expression,networks; semicolons or tabs may stand for the commas.
    Prints a verdict a line; exit code 6 if some lines were wrong and the others were added, 2 if
    nothing was added because of them.
    """
    config, engine = set_up()
    lines = bulk.read(_text(file))
    answers = names.look_up_many(config, lines)
    if dry_run:
        verdicts, ids = bulk.check(engine, lines, answers), []
    else:
        done = bulk.add(engine, lines, all_or_none=all_or_none, answers=answers)
        verdicts, ids = done.verdicts, done.ids
    fresh = iter(ids)
    wrong = good = 0
    for verdict in verdicts:
        wrong += verdict.verdict == "wrong"
        good += verdict.verdict == "good"
        added = next(fresh, None) if verdict.verdict == "good" else None
        _print_verdict(verdict, added, as_json)
    lines_read = counted("%(count)s line", "%(count)s lines", len(verdicts))
    added_in_all = counted("%(count)s keyword added.", "%(count)s keywords added.", len(ids))
    result = f"{lines_read}: {good:,} good, {wrong:,} wrong."
    result += " Nothing was changed (dry run)." if dry_run else f" {added_in_all}"
    if wrong:
        fail(result, PARTLY if ids else MEND)
    say(result)


def _text(file: IO[bytes]) -> str:
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bulk.BadLines(f"The file is not UTF-8 text (byte {error.start}).") from error


def _print_verdict(verdict: bulk.Verdict, added: int | None, as_json: bool) -> None:
    if as_json:
        value: dict[str, Any] = msgspec.structs.asdict(verdict)
        value.pop("canonical")
        data(value | {"id": added})
        return
    words = verdict.words or (f"keyword {added}" if added else "")
    print_lines(f"{verdict.line:>6}  {verdict.verdict:<6} {verdict.expression}  {words}".rstrip())
