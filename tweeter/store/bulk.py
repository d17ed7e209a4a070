"""Many keywords at once: a verdict a line, then all the good ones in one transaction."""

import csv
import io
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from tweeter.choices import FOLLOWED
from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.harmless import typed
from tweeter.keywords import accounts, canonical
from tweeter.records import PENDING_AT_X
from tweeter.store import followed, jobs, keyword_ledger
from tweeter.store.engine import chunks, read_clock, reading, repeated, writing
from tweeter.store.followed import NONE, Answers
from tweeter.store.keywords import Options, bump, insert_row, pending_at_x
from tweeter.store.schema import keyword_versions, keywords
from tweeter.texts import say

LINES = 10_000
_HEADER_CHARACTERS = 2_000
_BETWEEN = ",;\t"  # columns, as spreadsheets of different countries write and copy them
_NEVER = "\x1f"  # between columns where there is one
_LAST = re.compile(rf"(?P<between>[{_BETWEEN}])(?P<last>[^{_BETWEEN}]*[^{_BETWEEN}\s])\Z")


class BadLines(TweeterError):
    """Lines that cannot be read: no text, or CSV with a quote that does not end."""


class TooManyLines(TweeterError):
    """More lines than one import takes."""


class Line(NamedTuple):
    """A line of an import. fault: why it cannot be taken as it is, "" if it can."""

    number: int
    expression: str
    networks: tuple[str, ...] = ()
    fault: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A line. verdict: "good", "wrong" (position says where), "known", "twice", "empty"."""

    line: int
    expression: str
    networks: tuple[str, ...] = ()
    verdict: str
    words: str = ""
    position: int | None = None
    canonical: str = ""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an import; ids of the added keywords in the order of the lines."""

    verdicts: list[Verdict]
    ids: list[int]


def read(text: str) -> list[Line]:
    """The lines of a text: one expression a line, or CSV with a header.

    CSV has the columns expression and, if wanted, networks (separated by spaces), between commas,
    semicolons or tabs. Lines that begin with # are remarks, unless the # begins a hashtag. Raises
    TooManyLines and BadLines.
    """
    text = text.lstrip("\ufeff")
    if between := _delimiter(text):
        found = _csv(text, between)
    else:
        found = [Line(n, typed(line)) for n, line in enumerate(_lines(text), 1)]
    found = [
        line
        for line in found
        if (line.expression or line.fault) and not line.expression.startswith("# ")
    ]
    if len(found) > LINES:
        raise TooManyLines(
            say(
                "There are %(count)s lines; at most %(lines)s at once.",
                count=format(len(found), ","),
                lines=format(LINES, ","),
            )
        )
    return found


def _lines(text: str) -> io.StringIO:
    """Its lines, which end with \\n, \\r or both: other breaks are part of a keyword, as in CSV."""
    return io.StringIO(text, newline="")


def _delimiter(text: str) -> str:
    """What stands between the columns that the first line names, in quotes or not; "" if none are.

    "expression" alone is a word; with lines below it is a column, whose values hold any mark.
    """
    first, *more = [*islice(_lines(text[:_HEADER_CHARACTERS]), 2)] or [""]
    for between in _BETWEEN:
        with suppress(csv.Error):
            names = [_column(name) for name in next(csv.reader([first], delimiter=between), [])]
            if names == ["expression"]:
                return _NEVER if more or first.endswith(("\n", "\r")) else ""
            if names[:1] == ["expression"] or {"expression", "networks"} <= set(names):
                return between
    return ""


def _column(name: object) -> str:
    return str(name).strip(' "').lower()


def _csv(text: str, between: str) -> list[Line]:
    csv.field_size_limit(sys.maxsize)  # what is too long is told by its verdict
    reader = csv.DictReader(_lines(text), strict=True, delimiter=between)
    found: list[Line] = []
    before = 0
    try:
        for row in reader:
            before = reader.line_num
            values = {_column(k): v for k, v in row.items() if isinstance(v, str)}
            expression = typed(values.get("expression", ""))
            networks = tuple(values.get("networks", "").split())
            found.append(Line(before, expression, networks, _fault(row)))
    except csv.Error as error:
        right = '"two words"' + (between + "x" if between in _BETWEEN else "")
        raise BadLines(
            say(
                "What begins in line %(number)s is no CSV: its quote does not end, or something"
                " follows it. Write %(right)s.",
                number=before + 1,
                right=right,
            )
        ) from error
    return found


def _fault(row: Mapping[Any, Any]) -> str:
    """Why a row is refused: csv has the cells behind the last named column under None."""
    more = row.get(None, [])
    if not any(cell.strip() for cell in more):
        return ""
    return say(
        "There are %(cells)s cells, but the first line names %(columns)s. Put quotes around a"
        " keyword with the mark that separates cells, and spaces between networks.",
        cells=len(row) - 1 + len(more),
        columns=len(row) - 1,
    )


def names(lines: Sequence[Line]) -> dict[str, str]:
    """The accounts that the lines name by `from:`, with their networks."""
    found: dict[str, str] = {}
    for line in lines:
        with suppress(KeywordSyntaxError):  # the verdict says so
            found |= followed.names(line.expression, line.networks)
    return found


def check(engine: Engine, lines: Sequence[Line], answers: Answers = NONE) -> list[Verdict]:
    """A verdict for each line; nothing is changed. answers: of the accounts, by name."""
    with reading(engine) as connection:
        known = _known(connection)
    return _verdicts(lines, known, answers)


def _known(connection: Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(
        select(keywords.c.id, keywords.c.canonical, keywords.c.networks).where(
            keywords.c.state != "removed"
        )
    )
    return {(row.canonical, row.networks): row.id for row in rows}


def _verdicts(
    lines: Sequence[Line],
    known: dict[tuple[str, str], int],
    answers: Answers,
) -> list[Verdict]:
    found: list[Verdict] = []
    seen: dict[tuple[str, str], int] = {}
    for line in lines:
        one = _verdict(line, answers)
        if one.verdict == "good":
            name = one.canonical, Options(networks=line.networks).values()["networks"]
            if name in known:
                words = say("Keyword %(number)s already says the same.", number=known[name])
                one = msgspec.structs.replace(one, verdict="known", words=words)
            elif name in seen:
                words = say("Line %(number)s says the same.", number=seen[name])
                one = msgspec.structs.replace(one, verdict="twice", words=words)
            else:
                seen[name] = line.number
                doubt = _doubt(line.expression, line.networks)
                one = msgspec.structs.replace(one, words=doubt)
        found.append(one)
    return found


def _doubt(expression: str, networks: tuple[str, ...]) -> str:
    """Whether the end of a good line was meant as its networks, as in CSV without its header."""
    found = _LAST.search(expression)
    if networks or found is None or not set(found["last"].lower().split()) <= set(FOLLOWED):
        return ""
    return say(
        "“%(text)s” is part of the keyword here. If networks are meant, begin with the line"
        " %(header)s.",
        text=found[0],
        header=found["between"].join(("expression", "networks")),
    )


def _verdict(line: Line, answers: Answers) -> Verdict:
    number, expression, networks, fault = line
    if fault:
        return Verdict(line=number, expression=expression, verdict="wrong", words=fault)
    wrong = [network for network in networks if network not in FOLLOWED]
    if wrong:
        words = say(
            "“%(name)s” is no network; there are %(networks)s.",
            name=wrong[0],
            networks=", ".join(FOLLOWED),
        )
        return Verdict(line=number, expression=expression, verdict="wrong", words=words)
    try:
        text = canonical(expression)
        _refuse_nobody(expression, networks, answers)
    except KeywordSyntaxError as error:
        return Verdict(
            line=number,
            expression=expression,
            verdict="wrong",
            words=error.args[0],
            position=error.position,
        )
    return Verdict(
        line=number, expression=expression, networks=networks, verdict="good", canonical=text
    )


def _refuse_nobody(expression: str, networks: tuple[str, ...], answers: Answers) -> None:
    """Raise KeywordSyntaxError at a name of which its network says that it is none's."""
    for name in followed.names(expression, networks):
        if name in answers and answers[name].gone:
            raise KeywordSyntaxError(answers[name].words, accounts(expression)[name])


def compare_anew(connection: Connection) -> None:
    """Give each keyword the canonical text that this version makes of it, by which twins are found.

    Twins that are there already both stay.
    """
    columns = keywords.c.id, keywords.c.expression, keywords.c.canonical
    new = []
    for row in connection.execute(select(*columns)).all():
        with suppress(KeywordSyntaxError):  # an older version took it
            text = canonical(row.expression)
            if text != row.canonical:
                new.append({"which": row.id, "now": text})
    if new:
        mine = keywords.c.id == bindparam("which")
        connection.execute(update(keywords).where(mine).values(canonical=bindparam("now")), new)


@repeated
def add(
    engine: Engine,
    lines: Sequence[Line],
    answers: Answers = NONE,
    *,
    all_or_none: bool,
) -> Imported:
    """Add the good lines, or none if all_or_none and one is wrong. One transaction."""
    with writing(engine) as connection:
        bump(connection)
        verdicts = _verdicts(lines, _known(connection), answers)
        good = [v for v in verdicts if v.verdict == "good"]
        if not good or (all_or_none and any(v.verdict == "wrong" for v in verdicts)):
            return Imported(verdicts=verdicts, ids=[])
        now = read_clock(connection)
        ids = [
            insert_row(connection, v.expression, v.canonical, Options(networks=v.networks), now)
            for v in good
        ]
        pending = [n for n, v in zip(ids, good, strict=True) if pending_at_x(v.networks)]
        for some in chunks(pending):
            states = dict.fromkeys(some, PENDING_AT_X)
            keyword_ledger.turn_all(connection, states, now, "x")
        connection.execute(
            insert(keyword_versions),
            [
                {"keyword_id": n, "version": 1, "expression": v.expression, "at": now}
                for n, v in zip(ids, good, strict=True)
            ],
        )
        rows = (
            row
            for n, v in zip(ids, good, strict=True)
            for row in followed.rows(n, followed.names(v.expression, v.networks), answers, now)
        )
        followed.insert_all(connection, list(rows))
        jobs.start_rematch_of_all(connection, now)
    return Imported(verdicts=verdicts, ids=ids)
