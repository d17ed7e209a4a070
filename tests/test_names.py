"""`from:` follows an account, not a name: asked for, learned, tried again, on each database."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, select

from tests.simulators.bluesky_api import BlueskyApiSimulator
from tests.simulators.mastodon import MastodonSimulator
from tests.simulators.served import Served
from tests.simulators.x import post as x_post
from tests.store.posts import AT, post, store, take
from tests.store.sums import sums_are_a_recount
from tweeter import config as configuration
from tweeter import name_asking, names
from tweeter.cli import cli
from tweeter.config import Config
from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import Matcher, compile_for_x, tree
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import IdentityChange, Keyword, Post, RawEvent
from tweeter.sources.inbox import Taken
from tweeter.store import (
    binding,
    bulk,
    followed,
    identities,
    jobs,
    keywords,
    look_backs,
    name_jobs,
    posts,
    sums,
)
from tweeter.store.engine import reading, writing
from tweeter.store.followed import Answer
from tweeter.store.keywords import Options
from tweeter.store.leases import owner
from tweeter.store.schema import matches
from tweeter.web import create_app

OLD, NEW = "did:plc:first", "did:plc:second"


@pytest.fixture
def api() -> Iterator[Served[BlueskyApiSimulator]]:
    with Served(BlueskyApiSimulator(handles={"ann.example": OLD})) as served:
        yield served


def settings(tmp_path: Path, **more: str) -> Config:
    values = {
        "TWEETER_DATA_DIR": str(tmp_path),
        "TWEETER_BLUESKY_URL": "ws://127.0.0.1:9/subscribe",
    }
    return configuration.load(values | {f"TWEETER_{name}": value for name, value in more.items()})


@pytest.fixture
def config(tmp_path: Path, api: Served[BlueskyApiSimulator]) -> Config:
    return settings(tmp_path, BLUESKY_API=api.it.url)


def finds(engine: Engine, *found: Post) -> list[int]:
    """The numbers (created_at - AT) of those posts that any active keyword matches."""
    matcher = Matcher(keywords.active(engine)[1])
    return [p.created_at - AT for p in found if matcher.match(p)]


def by(did: str, number: int = 1) -> Post:
    return post(number, "hello", author_id=did)


def part(engine: Engine, config: Config, *, asks: bool = True) -> None:
    """One part of the job, as the scheduler and a worker would do it."""
    (job_id,) = name_jobs.waiting(engine, asks_handles=asks)
    job = name_jobs.claim(engine, job_id, owner())
    assert job is not None
    name_asking.work(engine, config, job)


def hurry(engine: Engine) -> None:
    """Everything that waits for its time is due now."""
    with writing(engine) as connection:
        for table in ("jobs", "followed_names"):
            connection.exec_driver_sql(f"UPDATE {table} SET retry_at = 0")


def test_the_account_is_followed_through_its_names(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    row = names.add(engine, config, "from:@Ann.Example")
    (account,) = followed.of_keyword(engine, row.id)
    assert (account.name, account.author_id, account.words) == ("ann.example", OLD, "")
    api.it.handles = {"ann.example": NEW, "renamed.example": OLD}
    assert finds(engine, by(OLD, 1), by(NEW, 2)) == [1]
    taken_over = post(3, "hello", author_id=NEW, author_handle="ann.example")
    assert finds(engine, taken_over) == []


def test_an_edit_keeps_the_account_and_a_new_keyword_takes_todays(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    first = names.add(engine, config, "from:ann.example")
    api.it.handles = {}  # the name is nobody's now
    names.edit(engine, config, first.id, "from:ann.example hello")
    assert finds(engine, by(OLD)) == [1]
    api.it.handles = {"ann.example": NEW}
    second = names.add(engine, config, "from:ann.example")
    assert {a.author_id for a in followed.of_keyword(engine, first.id)} == {OLD}
    assert {a.author_id for a in followed.of_keyword(engine, second.id)} == {NEW}
    names.edit(engine, config, second.id, "hello")
    assert followed.of_keyword(engine, second.id) == []


def test_a_name_that_is_nobodys_is_an_error_at_its_character(
    engine: Engine, config: Config
) -> None:
    with pytest.raises(KeywordSyntaxError) as caught:
        names.add(engine, config, '\u202e storm OR from:@nobody.example "x"')
    assert "knows no account “nobody.example”" in caught.value.message
    assert "storm OR from:@nobody.example"[caught.value.position :].startswith("@nobody")
    assert caught.value.hint
    assert keywords.list_all(engine) == []


def test_other_networks_keywords_ask_bluesky_nothing(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    names.add(engine, config, "from:nobody.example", Options(networks=("mastodon",)))
    names.add(engine, config, "from:did:plc:a OR from:xname")
    assert api.it.requests == []


def test_an_api_that_is_silent_costs_two_seconds_and_is_asked_again(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    api.it.silent = True
    began = time.monotonic()
    row = names.add(engine, config, "from:ann.example")
    assert time.monotonic() - began < 3.5
    (account,) = followed.of_keyword(engine, row.id)
    assert account.author_id == ""
    assert "did not answer in time" in account.words
    assert finds(engine, by(OLD)) == []
    revision, _ = keywords.active(engine)
    api.it.silent = False
    part(engine, config)
    assert keywords.active(engine)[0] > revision
    assert finds(engine, by(OLD)) == [1]
    assert jobs.waiting(engine), "stored posts are matched again"


def test_what_fails_is_tried_again_later_and_not_before(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    api.it.answers = [(502, {}, {})]
    row = names.add(engine, config, "from:ann.example")
    api.it.limit(300)
    part(engine, config)
    (account,) = followed.of_keyword(engine, row.id)
    assert "limits our rate until" in account.words
    asked = len(api.it.requests)
    assert name_jobs.waiting(engine, asks_handles=True) == []
    assert binding.due(engine, limit=9) == []
    assert len(api.it.requests) == asked
    hurry(engine)
    api.it.handles = {}  # meanwhile the name is nobody's
    part(engine, config)
    (account,) = followed.of_keyword(engine, row.id)
    assert "knows no account" in account.words
    hurry(engine)
    api.it.handles = {"ann.example": NEW}
    part(engine, config)
    assert finds(engine, by(NEW)) == [1]


def test_without_the_api_nothing_is_asked_and_the_stream_may_tell(
    engine: Engine, tmp_path: Path
) -> None:
    config = settings(tmp_path, BLUESKY_API="")
    row = names.add(engine, config, "from:ann.example")
    assert "settings say not to ask" in followed.of_keyword(engine, row.id)[0].words
    part(engine, config, asks=False)
    assert finds(engine, by(OLD)) == []
    with writing(engine) as connection:
        told = IdentityChange(
            network="bluesky", author_id=OLD, handle="ann.example", occurred_at=AT
        )
        assert identities.apply(connection, [told]) == 1
    hurry(engine)
    part(engine, config, asks=False)
    assert finds(engine, by(OLD)) == [1]


def test_mastodon_is_sure_of_its_own_accounts_only(engine: Engine, tmp_path: Path) -> None:
    with Served(MastodonSimulator()) as server:
        host = server.it.url.removeprefix("http://")
        server.it.accounts = {"ann@far.example": "https://far.example/@ann"}
        config = settings(tmp_path, MASTODON_URL=server.it.url, MASTODON_TOKEN=server.it.token)
        known = names.add(engine, config, "from:ann@far.example")
        unknown = names.add(engine, config, "from:bob@far.example")
        assert host.startswith("127.0.0.1")
        assert all("token" not in path for path in server.it.requests)
    (ann,) = followed.of_keyword(engine, known.id)
    assert ann.author_id == "https://far.example/@ann"
    (bob,) = followed.of_keyword(engine, unknown.id)
    assert "does not know it yet" in bob.words
    fields: dict[str, Any] = {"network": "mastodon", "author_handle": "bob@far.example"}
    written = post(1, "hi", author_id="https://far.example/@bob", **fields)
    fields["author_handle"] = "ann@far.example"
    taken_over = post(2, "hi", author_id="https://far.example/@someone", **fields)
    assert finds(engine, written, taken_over) == [1]


# What was stored before an account became known.


SILENT = {"ann.example": Answer(words="did not answer")}


def two_posts(engine: Engine) -> tuple[int, int]:
    """Ids of a post by the account and of one by another, both matched by every keyword."""
    store(engine, take(engine), by(OLD, 1), by(NEW, 2))
    of = {p.author_id: p.id for p in posts.latest(engine)}
    return of[OLD], of[NEW]


def rematch(engine: Engine) -> None:
    """Do the jobs over one keyword, as the tasks do."""
    for job_id in jobs.waiting(engine):
        job = jobs.claim(engine, job_id, owner())
        assert job is not None
        matcher = Matcher([keywords.one(engine, job.subject)])
        assert jobs.work(engine, job, matcher.match)


def found_by(engine: Engine, keyword_id: int) -> list[int]:
    mine = select(matches.c.post_id).where(matches.c.keyword_id == keyword_id)
    with reading(engine) as connection:
        return sorted(connection.execute(mine).scalars())


@pytest.mark.parametrize("state", ["active", "paused", "removed"])
def test_what_an_account_that_became_known_rules_out_is_a_match_no_more(
    engine: Engine, state: str
) -> None:
    row = keywords.add(engine, "hello NOT from:ann.example", answers=SILENT)
    its, others = two_posts(engine)
    rematch(engine)
    assert found_by(engine, row.id) == sorted([its, others])
    keywords.set_state(engine, row.id, state)
    assert binding.bind(engine, "bluesky", "ann.example", OLD) == 1
    assert keywords.get(engine, row.id).complete_at is None
    keywords.set_state(engine, row.id, "active", restore=True)
    rematch(engine)
    assert found_by(engine, row.id) == [others]
    after = keywords.get(engine, row.id)
    assert after.posts == 1
    assert after.complete_at
    sums_are_a_recount(engine)


def test_a_job_for_all_that_began_before_an_account_was_known_adds_nothing_of_then(
    engine: Engine,
) -> None:
    keywords.add(engine, "hello")
    _, others = two_posts(engine)
    rematch(engine)
    (number,) = bulk.add(engine, [bulk.Line(1, "hello NOT from:ann.example")], all_or_none=True).ids
    (job_id,) = jobs.waiting(engine)
    job = jobs.claim(engine, job_id, owner())
    assert job is not None
    matcher = Matcher(keywords.active(engine)[1])
    binding.bind(engine, "bluesky", "ann.example", OLD)
    assert jobs.work(engine, job, matcher.match)
    assert found_by(engine, number) == []
    assert keywords.get(engine, number).complete_at is None, "its own job is still to come"
    rematch(engine)
    assert found_by(engine, number) == [others]
    assert keywords.get(engine, number).complete_at


def test_an_account_that_becomes_known_is_in_the_history_as_a_version(engine: Engine) -> None:
    row = keywords.add(engine, "from:ann.example", answers=SILENT)
    binding.bind(engine, "bluesky", "ann.example", OLD)
    assert keywords.get(engine, row.id).version == 2
    began = sums.edits(engine, row.id, (0, 1 << 40))
    assert [edit[1:] for edit in began] == [(1, row.expression), (2, row.expression)]


@pytest.mark.parametrize(("name", "network"), [("ann.example", "bluesky"), ("ann", "x")])
def test_the_past_is_asked_for_again_where_the_account_is(
    engine: Engine, name: str, network: str
) -> None:
    take(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE streams SET wanted = true, covered_until = 1")
    keywords.add(engine, f"hello from:{name}")
    assert look_backs.ask_for_new_keywords(engine, 36) == 1
    assert binding.bind(engine, network, name, OLD) == 1
    assert look_backs.ask_for_new_keywords(engine, 36) == (1 if network == "bluesky" else 0)


def x_event(number: int, handle: str, author_id: str) -> RawEvent:
    found = x_post(number, "a storm")
    found["data"]["author_id"] = author_id
    found["includes"] = {"users": [{"id": author_id, "username": handle, "name": handle}]}
    return RawEvent("x", json.dumps(found).encode(), received_at=AT + number)


def test_an_id_of_x_is_learned_from_the_first_post_and_never_asked_for(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    row = names.add(engine, config, "from:ann storm")
    book = KeywordBook(engine)
    book.refresh()
    pipeline = Pipeline(engine, take(engine), book)
    pipeline.store(Taken([x_event(1, "Ann", "77"), x_event(2, "bob", "88")], 0))
    (account,) = followed.of_keyword(engine, row.id)
    assert account.author_id == "77"
    pipeline.store(Taken([x_event(3, "renamed", "77"), x_event(4, "bob", "88")], 0))
    assert sorted(p.post_id for p in posts.latest(engine)) == ["1", "3"]
    (keyword,) = keywords.active(engine)[1]
    assert compile_for_x(tree(keyword)).pieces == ("(from:ann OR from:77) storm",)
    assert api.it.requests == []


def test_a_recorded_file_teaches_no_id_of_x(engine: Engine, config: Config) -> None:
    row = names.add(engine, config, "from:ann storm")
    book = KeywordBook(engine)
    book.refresh()
    old = x_event(1, "ann", "5")
    recorded = RawEvent("any", old.body, received_at=old.received_at)
    Pipeline(engine, take(engine), book).store(Taken([recorded], 0))
    assert followed.of_keyword(engine, row.id)[0].author_id == ""


def test_ids_stand_for_names_anywhere_in_an_expression() -> None:
    accounts = (("a.b", "did:plc:A"), ("c@d", "https://d/@c"), ("x", "7"), ("e.f", ""))
    for expression, author, handle, expected in (
        ("storm NOT from:a.b", "did:plc:A", "", False),
        ("storm NOT from:a.b", "did:plc:z", "a.b", True),
        ("storm (from:c@d OR from:x)", "https://d/@c", "", True),
        ("storm (from:c@d OR from:x)", "7", "other", True),
        ("storm (from:c@d OR from:x)", "8", "X", True),
        ("from:e.f", "did:plc:e", "e.f", True),
    ):
        matcher = Matcher([Keyword(id=1, expression=expression, accounts=accounts)])
        found = matcher.match(post(1, "storm", author_id=author, author_handle=handle))
        assert bool(found) == expected, expression


def test_names_of_stored_posts_are_asked_for_in_few_requests(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    keywords.add(engine, "storm")
    dids = [f"did:plc:n{n}" for n in range(60)]
    api.it.handles = {f"n{n}.example": did for n, did in enumerate(dids)}
    api.it.names = {dids[0]: "Zero"}
    store(engine, take(engine), *(post(n, author_id=did) for n, did in enumerate(dids)))
    part(engine, config)
    asked = api.it.asked("getProfiles")
    assert [len(some) for some in asked] == [25, 25, 10]
    assert asked[0][0] == dids[-1], "the newest first"
    called = {p.author_id: (p.author_handle, p.author_name) for p in posts.latest(engine, limit=99)}
    assert called[dids[0]] == ("n0.example", "Zero")
    assert called[dids[59]] == ("n59.example", "")
    hurry(engine)
    part(engine, config)
    assert len(api.it.asked("getProfiles")) == 3, "nothing is asked twice"


def test_a_part_that_is_limited_goes_on_where_it_was(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    keywords.add(engine, "storm")
    store(engine, take(engine), post(1, author_id=OLD))
    api.it.limit(600)
    part(engine, config)
    assert name_jobs.waiting(engine, asks_handles=True) == []
    assert posts.latest(engine)[0].author_handle == ""
    hurry(engine)
    part(engine, config)
    assert posts.latest(engine)[0].author_handle == "ann.example"


def test_no_job_is_made_where_there_is_nothing_to_ask(engine: Engine) -> None:
    keywords.add(engine, "storm")
    store(engine, take(engine), post(1))
    assert name_jobs.waiting(engine, asks_handles=False) == []
    (job,) = name_jobs.waiting(engine, asks_handles=True)
    assert name_jobs.claim(engine, job, owner()) is not None
    assert name_jobs.claim(engine, job, owner()) is None, "one at a time"
    assert name_jobs.waiting(engine, asks_handles=True) == []


# As a person meets it.


@pytest.mark.filterwarnings("ignore:Passing SelectField choices")
def test_the_pages_say_what_is_wrong_and_what_waits(
    engine: Engine, config: Config, api: Served[BlueskyApiSimulator]
) -> None:
    client = create_app(config, engine).test_client()

    def send(path: str, **fields: str) -> Any:
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
        assert token is not None
        return client.post(path, data={"csrf_token": token[1]} | fields, follow_redirects=True)

    answer = send("/add_keyword", expression="from:nobody.example")
    assert answer.status_code == 422
    assert "knows no account" in answer.text
    assert ">n</" in answer.text, "the character is marked"
    api.it.answers = [(503, {}, {})]
    answer = send("/add_keyword", expression="from:ann.example storm")
    assert "answered 503" in answer.text
    assert "It is asked again" in answer.text
    number = keywords.list_all(engine)[0].id
    assert "answered 503" in client.get(f"/keywords/{number}").text
    assert client.get(f"/api/v1/keywords/{number}").json["accounts"][0]["author_id"] == ""  # type: ignore[index]
    assert client.get("/api/v1/preview?expression=from:nobody.example").status_code == 422
    lines = "from:ann.example\nfrom:nobody.example\nfrom:xname\n"
    answer = send("/keywords/import", lines=lines, act="add")
    assert "2 keywords are followed" in answer.text
    found = {
        row.expression: followed.of_keyword(engine, row.id) for row in keywords.list_all(engine)
    }
    assert found["from:ann.example"][0].author_id == OLD
    assert "first post" in found["from:xname"][0].words
    assert "from:nobody.example" not in found


def test_the_command_points_at_the_name(
    tmp_path: Path, api: Served[BlueskyApiSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "DATA_DIR": str(tmp_path / "data"),
        "BLUESKY_URL": "ws://127.0.0.1:9/subscribe",
        "BLUESKY_API": api.it.url,
    }.items():
        monkeypatch.setenv(f"TWEETER_{name}", value)
    runner = CliRunner()
    runner.invoke(cli, ["init"])
    done = runner.invoke(cli, ["keyword", "add", "from:nobody.example"])
    assert done.exit_code == 2
    assert "\n       ^\n" in done.stderr
    done = runner.invoke(cli, ["keyword", "add", "from:ann"])
    assert done.exit_code == 0
    assert "learned from its first post" in done.stderr
