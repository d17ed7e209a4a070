"""What is in the posts of a stretch: the commonest values, words that go together, hours."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from sqlalchemy import Engine

from tweeter.statistics import association, edges
from tweeter.statistics.association import Term
from tweeter.statistics.keeping import KEEPER, Keeper
from tweeter.statistics.narrowed import LOOKED_AT, TOP, Narrowed
from tweeter.statistics.spans import WEEK, Span
from tweeter.statistics.volume import Question
from tweeter.store import samples, sums
from tweeter.store.cells import DAY, HOUR
from tweeter.store.facet_sums import Top
from tweeter.store.sums import Narrow, Times

PANELS = ("tag", "link", "domain", "author", "mention", "media")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A value of a panel; label is what people call it. before: posts in the stretch before, None:
    nobody counted them.
    """

    value: str
    label: str
    posts: int
    share: float
    before: int | None


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """The commonest values of a facet, from since until until (seconds since 1970): what is asked
    for, or whole hours. known: posts of that time (the shares' denominator).

    at: when it was counted. of_newest: of the newest posts alone that pass.
    """

    facet: str
    rows: list[Row]
    distinct: int
    known: int
    at: int
    since: int
    until: int
    of_newest: bool = False


MANY = 2_000  # different values
KEPT_S = 600.0


def panels(
    engine: Engine,
    keyword_id: int,
    question: Question,
    known: int,
    narrowed: Narrowed | None = None,
) -> dict[str, Panel]:
    """The commonest values of each facet of PANELS in the span, against the stretch before.

    known: posts of the span, as networks narrow them. What it costs grows with the number of
    different values, and with the posts beside whole hours, few of which are counted (`edges`).
    Where there are MANY values the answer is
    kept: for a twentieth of a bar (or as `keeping.REST` has it) it is as good as new, and for a
    tenth of the stretch, an hour at most, it is shown once more while it is counted again behind
    (`Panel.at` says of when it is).
    narrowed: what it is made of instead, if given.
    """
    if narrowed is not None:
        return {facet: _of_narrowed(engine, facet, narrowed, question.span) for facet in PANELS}
    span, networks = question.span, question.narrow.network
    keys = {
        facet: (str(engine.url), keyword_id, facet, networks, *span.stretch) for facet in PANELS
    }
    return KEEPER.answers(
        keys,
        span.since,
        partial(_panels, engine, keyword_id, question, known),
        is_much=lambda found: found.distinct >= MANY,
        ages_s=span.ages_s(KEPT_S, HOUR),
    )


def _panels(
    engine: Engine, keyword_id: int, question: Question, known: int, names: Sequence[str]
) -> dict[str, Panel]:
    """Those of these facets."""
    span, networks = question.span, question.narrow.network
    found = edges.count(engine, keyword_id, span, names, networks)
    if found.times != span.asked:
        known = sums.total(engine, keyword_id, found.times, Narrow(network=networks))
    return {
        facet: _made(engine, facet, top, found.before[facet], known, found.times)
        for facet, top in found.tops.items()
    }


def _of_narrowed(engine: Engine, facet: str, narrowed: Narrowed, span: Span) -> Panel:
    before = narrowed.before[facet] if narrowed.before is not None else None
    made = _made(engine, facet, narrowed.values[facet], before, narrowed.posts, span.asked)
    return msgspec.structs.replace(made, at=narrowed.at, of_newest=not narrowed.are_all)


def _made(
    engine: Engine,
    facet: str,
    found: Top,
    before: Mapping[str, int] | None,
    known: int,
    times: Times,
) -> Panel:
    labels: Mapping[str, str] = {}
    if facet == "author":
        labels = samples.names_of(engine, [value for value, _ in found.values])
    rows = [
        Row(
            value=value,
            label=label_of(facet, value, labels),
            posts=posts,
            share=posts / known if known else 0.0,
            before=before.get(value, 0) if before is not None else None,
        )
        for value, posts in found.values
    ]
    return Panel(
        facet=facet,
        rows=rows,
        distinct=found.distinct,
        known=known,
        at=int(time.time()),
        since=times[0],
        until=times[1],
    )


def label_of(facet: str, value: str, names: Mapping[str, str]) -> str:
    if facet == "tag":
        return f"#{value}"
    if facet == "mention":
        return f"@{value}"
    if facet == "author":
        return names.get(value) or value
    return value.removeprefix("https://") if facet == "link" else value


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Words that go with a keyword; looked_at of its posts against `against` others."""

    terms: list[Term]
    looked_at: int
    against: int


def terms(
    engine: Engine,
    keyword_id: int,
    expression: str,
    span: Span,
    narrowed: Narrowed | None = None,
) -> Terms:
    """Words that posts of the keyword have more often than other stored posts have them.

    Of as many posts as are looked at in the most, the answer is kept as that of a panel.
    narrowed: whose posts it is of instead, if given.
    """
    if narrowed is not None:
        return _compared(engine, keyword_id, expression, narrowed.texts)
    return KEEPER.answer(
        (str(engine.url), keyword_id, "words", expression, *span.stretch),
        span.since,
        partial(_terms, engine, keyword_id, expression, span),
        is_much=lambda found: found.looked_at >= LOOKED_AT,
        ages_s=span.ages_s(KEPT_S, HOUR),
    )


def _terms(engine: Engine, keyword_id: int, expression: str, span: Span) -> Terms:
    mine = samples.sample(engine, keyword_id, span.asked, limit=LOOKED_AT)
    return _compared(engine, keyword_id, expression, [(post.text, post.lang) for post in mine])


def _compared(
    engine: Engine, keyword_id: int, expression: str, mine: Sequence[tuple[str, str]]
) -> Terms:
    size, counted = association.counted(mine)
    others, background = _background(engine, keyword_id)
    own = association.words(expression, "")
    found = association.compare(counted, size, background, others, limit=TOP + len(own))
    kept = [term for term in found if term.value not in own][:TOP]
    return Terms(terms=kept, looked_at=size, against=others)


BACKGROUND_S = (60.0, 3600.0)
_BACKGROUNDS = Keeper(most=100)  # each of some thousand words


def _background(engine: Engine, keyword_id: int) -> tuple[int, Counter[str]]:
    """Words of other posts: they change slowly, and cost most of the panel."""
    return _BACKGROUNDS.answer(
        (str(engine.url), keyword_id),
        None,
        lambda: association.counted(
            (post.text, post.lang) for post in samples.others(engine, keyword_id)
        ),
        is_much=lambda _: True,
        ages_s=BACKGROUND_S,
    )


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """posts[day][hour] of the week, Monday first, UTC; weeks: how many of each hour there were."""

    posts: list[list[int]]
    weeks: float
    most: int


def hours_of_week(span: Span, by_hour: Mapping[int, int]) -> Hours:
    """When in the week posts come. by_hour: those of its hours, and maybe of others."""
    since, until = span.hours
    week = [[0] * 24 for _ in range(7)]
    for start, posts in by_hour.items():
        if since <= start < until:
            since_monday = (start - 4 * DAY) % WEEK
            week[since_monday // DAY][since_monday % DAY // HOUR] += posts
    most = max(max(day) for day in week)
    return Hours(posts=week, weeks=span.length / WEEK, most=most)
