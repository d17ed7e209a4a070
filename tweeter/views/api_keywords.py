"""The API's routes about keywords and their posts."""

from typing import Annotated, Any, Literal

import msgspec
from flask import Response, request, url_for

from tweeter import choices, forecast, names
from tweeter.config import keep_days
from tweeter.moments import DAY_US
from tweeter.store import bulk, coverage, deletions, figures, followed, keywords, posts, retention
from tweeter.store.figures import Figure
from tweeter.store.keywords import KeywordRow, Options
from tweeter.store.preview import preview
from tweeter.store.report import report
from tweeter.views.api import (
    MOST,
    answer,
    api,
    body_of,
    flag,
    number,
    only,
    paging,
    stretch,
)
from tweeter.views.pages import config, engine

PAGE = 100
_OF_POSTS = ("since", "until", "limit", "older")

Network = Literal["x", "bluesky", "mastodon"]
Expression = Annotated[str, msgspec.Meta(max_length=1024)]
Days = Annotated[int, msgspec.Meta(ge=0, le=36_500)]
DayBudget = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]
MonthBudget = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class NewKeyword(msgspec.Struct, forbid_unknown_fields=True):
    """The body that adds a keyword."""

    expression: Expression
    networks: list[Network] = []
    day_budget: DayBudget = 0
    month_budget: MonthBudget = 0
    keep_days: Days = 0


class ChangedKeyword(msgspec.Struct, forbid_unknown_fields=True):
    """The body that changes one: what is not named stays."""

    expression: Expression | None = None
    networks: list[Network] | None = None
    day_budget: DayBudget | None = None
    month_budget: MonthBudget | None = None
    keep_days: Days | None = None


class Removal(msgspec.Struct, forbid_unknown_fields=True):
    """The body that removes one."""

    purge: bool = False


class Import(msgspec.Struct, forbid_unknown_fields=True):
    """The body that adds many: text is one keyword a line, or CSV."""

    text: str
    all_or_none: bool = False
    dry_run: bool = False


def _with_figure(row: KeywordRow, figure: Figure) -> dict[str, Any]:
    more = {"covered": figure.covered, "figure": figure.words(row.posts)}
    return msgspec.structs.asdict(row) | more


def _one(row: KeywordRow, status: int = 200, **headers: str) -> Response:
    figure = figures.of_keyword(engine(), row.id)
    return answer({"keyword": _with_figure(row, figure)}, status, **headers)


@api.get("/keywords")
def list_keywords() -> Response:
    """Keywords, newest first; ?removed=1: the removed ones. `older` is the next page."""
    only("removed", "older", "limit")
    rows, older = keywords.page(
        engine(),
        removed=flag("removed"),
        older=number("older", 0, 0, 1 << 62),
        limit=number("limit", PAGE, 1, MOST),
    )
    found = figures.of_keywords(engine(), [row.id for row in rows])
    return answer(
        {
            "keywords": [_with_figure(row, found[row.id]) for row in rows],
            "older": str(older) if older else "",
        }
    )


@api.post("/keywords")
def add_keyword() -> Response:
    """Add a keyword."""
    body = body_of(NewKeyword)
    options = Options(
        networks=tuple(body.networks),
        day_budget=body.day_budget,
        month_budget=body.month_budget,
        keep_days=body.keep_days,
    )
    row = names.add(engine(), config(), body.expression, options)
    return _one(row, 201, Location=url_for("api.one_keyword", keyword_id=row.id))


@api.post("/keywords/import")
def import_keywords() -> Response:
    """Add many keywords: a verdict for each line, and the ids of those added."""
    body = body_of(Import)
    lines = bulk.read(body.text)
    answers = names.look_up_many(config(), lines)
    if body.dry_run:
        return answer({"verdicts": bulk.check(engine(), lines, answers), "ids": []})
    return answer(bulk.add(engine(), lines, all_or_none=body.all_or_none, answers=answers))


@api.get("/keywords/<int:keyword_id>")
def one_keyword(keyword_id: int) -> Response:
    """All that is known of a keyword: figure, budgets, what holds it, coverage, look-backs.

    Also its accounts, since when deletions are unknown, and how long its posts are kept.
    """
    found = report(engine(), keyword_id)
    row = found.keyword
    more = {
        "accounts": followed.of_keyword(engine(), keyword_id),
        "deletions_unknown": deletions.unknown(engine(), tuple(row.networks.split())),
        "keeping": retention.rules(engine(), row, keep_days(config())),
    }
    return answer(msgspec.structs.asdict(found) | more)


@api.patch("/keywords/<int:keyword_id>")
def change_keyword(keyword_id: int) -> Response:
    """Change expression, networks, budgets or days; what is not named stays."""
    body = body_of(ChangedKeyword)
    options = Options(
        networks=None if body.networks is None else tuple(body.networks),
        day_budget=body.day_budget,
        month_budget=body.month_budget,
        keep_days=body.keep_days,
    )
    return _one(names.edit(engine(), config(), keyword_id, body.expression, options))


@api.delete("/keywords/<int:keyword_id>")
def remove_keyword(keyword_id: int) -> Response:
    """Remove a keyword; {"purge": true} also deletes its posts in ten minutes."""
    purge = body_of(Removal).purge
    return _one(keywords.set_state(engine(), keyword_id, "removed", purge=purge))


@api.post("/keywords/<int:keyword_id>/<any(pause, resume, restore):act>")
def set_state(keyword_id: int, act: str) -> Response:
    """Pause, follow again, or bring back."""
    state = "paused" if act == "pause" else "active"
    return _one(keywords.set_state(engine(), keyword_id, state, restore=act == "restore"))


@api.get("/keywords/<int:keyword_id>/coverage")
def keyword_coverage(keyword_id: int) -> Response:
    """The ledger of a keyword: each stretch between ?since= and ?until= (default: a day)."""
    only("since", "until")
    keywords.get(engine(), keyword_id)
    found = coverage.of_keyword(engine(), keyword_id, *stretch(DAY_US))
    return answer(
        {"coverage": [msgspec.structs.asdict(one) | {"share": one.share} for one in found]}
    )


@api.get("/keywords/<int:keyword_id>/posts")
def keyword_posts(keyword_id: int) -> Response:
    """A keyword's posts, newest first, with what their number stands for."""
    only(*_OF_POSTS)
    row = keywords.get(engine(), keyword_id)
    since, until = stretch()
    figure = figures.of_keyword(engine(), keyword_id, since, until)
    found = _posts(keyword_id, since, until)
    return answer(
        {
            "posts": found.posts,
            "older": found.older,
            "covered": figure.covered,
            "total": None if since or until else row.posts,
        }
    )


@api.get("/posts")
def all_posts() -> Response:
    """The posts of all keywords, newest first."""
    only(*_OF_POSTS)
    found = _posts(None, *stretch())
    return answer({"posts": found.posts, "older": found.older})


def _posts(keyword_id: int | None, since: int, until: int) -> posts.Page:
    with paging():
        return posts.page(
            engine(),
            keyword_id=keyword_id,
            older=request.args.get("older", ""),
            limit=number("limit", PAGE, 1, MOST),
            since=since,
            until=until,
        )


@api.get("/preview")
def try_keyword() -> Response:
    """What ?expression= would find among the newest stored posts, and what each network does.

    ?networks=x%20bluesky; ?keyword=ID compares with that keyword's present expression.
    """
    only("expression", "networks", "keyword")
    expression = request.args.get("expression", "")
    networks = _networks(" ".join(request.args.getlist("networks")))
    keyword_id = number("keyword", 0, 0, 1 << 62) or None
    answers = names.look_up(engine(), config(), expression, networks, keyword_id=keyword_id)
    found = preview(engine(), expression, networks=networks, keyword_id=keyword_id, answers=answers)
    lines = forecast.lines(config(), expression, networks, found)
    return answer({"preview": found, "networks": lines})


def _networks(given: str) -> tuple[str, ...]:
    """Names of networks that are joined by spaces; raises BadFilter."""
    for name in given.split():
        if name not in choices.NETWORKS:
            words = choices.expected("networks", name, choices.one_of(choices.NETWORKS))
            raise choices.BadFilter("networks", words)
    return tuple(given.split())
