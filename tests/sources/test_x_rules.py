"""X's rules when the keywords are many: more than fit, thousands at once."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from tests.keywords.invented import keywords
from tests.simulators.x import XSimulator, post
from tests.sources.sink import Kept, until
from tests.sources.test_x import STORM, kw, source_for, streaming, values
from tweeter.errors import SourceError
from tweeter.keywords import NotForX, compile_for_x, parse
from tweeter.keywords.x_limits import PLANS
from tweeter.keywords.x_pack import pack
from tweeter.records import PENDING_AT_X, Keyword, now_us
from tweeter.sources import x_rules, x_rules_sync
from tweeter.sources.x_rules import Rules
from tweeter.sources.x_rules_sync import RuleKeeper

SMALL = PLANS["small"]


def small() -> XSimulator:
    sim = XSimulator()
    sim.max_rules, sim.max_length = SMALL.rules, SMALL.characters
    return sim


def run(work: Any) -> None:
    asyncio.run(work)


def invented(count: int) -> list[Keyword]:
    return [kw(n, text) for n, text in enumerate(keywords(5, count), 1)]


def with_state(sink: Kept, state: str) -> list[int]:
    return sorted(number for number, (found, _) in sink.states.items() if found == state)


def test_what_does_not_fit_into_a_small_plan_is_named_and_the_oldest_are_followed() -> None:
    async def work() -> None:
        sink, every = Kept(), invented(1_000)
        async with small() as sim:
            async with streaming(sim, sink, *every, plan=SMALL) as (source, _):
                active = with_state(sink, "active")
                out = [n for n in with_state(sink, "refused") if "No rule" in sink.states[n][1]]
                assert len(values(sim)) == SMALL.rules
                assert 300 < len(active) < 700
                assert max(active[:300]) < min(out)  # the oldest come first
                assert all(first in active for first in range(1, 200) if for_x(every[first - 1]))
                delivered(values(sim), [every[n - 1] for n in active])
                assert f"{len(out):,} do not fit" in sink.states[out[0]][1]
                assert "the plan has 25" in sink.states[out[0]][1]
                words = sink.words[0]
                fit = sum(for_x(every[n - 1]) for n in active)  # others ask for no account of X
                assert f"{fit} keywords fit into the plan's rules" in words
                assert f"“{every[out[0] - 1].expression[:40]}”" in words
                assert f"and {len(out) - 3} more" in words

                # Room made by the removal of older ones goes to the next.
                await source.keywords_changed(every[150:])
                sink.states.clear()
                await until(lambda: sink.states.get(out[0]) == ("active", ""))
                assert len(values(sim)) <= SMALL.rules
                delivered(values(sim), [every[n - 1] for n in with_state(sink, "active")])

                # When all fit again, nothing is said of it any more.
                await source.keywords_changed(every[:100])
                await until(lambda: sink.words[-1] == f"Live, with {len(values(sim))} rules at X.")
            assert len(sim.connects()) == 1

    run(work())


def for_x(keyword: Keyword) -> bool:
    try:
        return bool(compile_for_x(parse(keyword.expression), limit=SMALL.characters).pieces)
    except NotForX:
        return False


def delivered(rules: list[str], followed: list[Keyword]) -> None:
    """Each of the keywords' pieces is in a rule, or implied by one that is."""
    pieces = [
        piece
        for keyword in followed
        for piece in compile_for_x(parse(keyword.expression), limit=SMALL.characters).pieces
    ]
    assert sorted(pack(pieces, limit=SMALL.characters, present=rules).rules) == rules


def test_a_keyword_of_hundreds_of_words_keeps_nobody_else_away() -> None:
    async def work() -> None:
        sink = Kept()
        huge = [kw(n, " OR ".join(f"w{n}x{m}" for m in range(90))) for n in range(1, 21)]
        async with small() as sim, streaming(sim, sink, *huge, kw(99, "storm"), plan=SMALL):
            assert with_state(sink, "active")[:5] == [1, 2, 3, 4, 5]
            assert sink.states[20][0] == "refused"
            assert sink.states[99] == ("active", "")

    run(work())


def test_rules_of_other_programs_take_room() -> None:
    async def work() -> None:
        sink = Kept()
        async with small() as sim:
            sim._add_rules([{"value": f"theirs{n}"} for n in range(SMALL.rules)], False)
            source = await source_for(sim, kw(1, "storm"), kw(2, "cat"), plan=SMALL)
            with pytest.raises(SourceError, match="0 keywords fit") as caught:
                await source.connect(sink)
            assert (caught.value.kind, sim.connects()) == ("waiting", [])
            assert "25 of them taken by other programs" in sink.states[1][1]
            assert sink.states[2][0] == "refused"
            assert len(values(sim)) == SMALL.rules

    run(work())


def test_thousands_of_keywords_do_not_hold_up_the_event_loop() -> None:
    """All streams of a worker share it."""
    every = invented(10_000)

    class NoServer:
        async def list_rules(self, page: dict[str, str]) -> dict[str, Any]:
            return {"meta": {}}

        async def add_rules(self, rules: Any, *, dry_run: bool) -> dict[str, Any]:
            return {}

    async def work() -> tuple[float, float]:
        keeper = RuleKeeper("abcd1234", PLANS["pay-per-use"])
        began_at = time.monotonic()
        keeper._wanted(every, Rules({}, {}))
        whole_s = time.monotonic() - began_at
        keeper = RuleKeeper("abcd1234", PLANS["pay-per-use"])
        keeper.set_keywords(every)
        longest_s, last_at = 0.0, time.monotonic()
        syncing = asyncio.create_task(keeper.sync(NoServer()))  # type: ignore[arg-type]
        while not syncing.done():
            await asyncio.sleep(0.005)
            longest_s = max(longest_s, time.monotonic() - last_at)
            last_at = time.monotonic()
        await syncing
        assert keeper.ours > 100
        return whole_s, longest_s

    whole_s, longest_s = asyncio.run(work())
    assert longest_s < whole_s / 2


def test_of_a_keyword_that_changes_during_a_sync_the_next_one_speaks() -> None:
    told: list[Any] = []
    keeper = RuleKeeper("abcd1234", SMALL)

    class EditsMeanwhile:
        async def list_rules(self, page: dict[str, str]) -> dict[str, Any]:
            return {"meta": {}}

        async def add_rules(self, rules: Any, *, dry_run: bool) -> dict[str, Any]:
            keeper.set_keywords([STORM, kw(2, "dog", version=2)])
            return {}

    keeper.tell = told.append
    keeper.set_keywords([STORM, kw(2, "cat")])
    run(keeper.sync(EditsMeanwhile()))  # type: ignore[arg-type]
    assert told[0] == dict.fromkeys((1, 2), PENDING_AT_X)
    assert told[-1] == {1: ("active", "")}


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x_rules_sync, "LOOK_S", 0.2)


@pytest.fixture
def tries_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x_rules_sync, "_retry_s", lambda _: 0.1)


def posts(sim: XSimulator) -> int:
    return sum(method == "POST" for _, method, _, _ in sim.log)


def looks(sim: XSimulator) -> int:
    return sum(method == "GET" and path.endswith("/rules") for _, method, path, _ in sim.log)


def missed(sink: Kept) -> list[Any]:
    """What was told of rules that are gone; a look under way may still say that all is well."""
    return [told for told in sink.told if any(s[:2] == x_rules_sync.GONE for s in told.values())]


async def looked_again(sim: XSimulator) -> None:
    before = looks(sim)
    await until(lambda: looks(sim) >= before + 2)


@pytest.mark.usefixtures("looks_often")
def test_rules_that_another_program_removes_are_missed_and_added_again() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink, STORM, kw(2, "cat"), kw(3, "cat x")):
            sim.rules[str(9)] = {"value": "theirs"}
            sim._compiled["9"] = lambda _: False
            await looked_again(sim)
            ((there, _),) = [(r, v) for r, v in sim.rules.items() if v["value"] != "theirs"]
            sink.told.clear()
            began = now_us()
            del sim.rules[there]
            await until(lambda: "storm OR cat" in values(sim))
            await until(lambda: "they were added again" in sink.words[-1])
            (gone, *_) = missed(sink)
            assert set(gone) == {1, 2, 3}
            assert began - 2_000_000 < gone[1][2] < now_us()  # since it was last seen there
            assert sink.states == dict.fromkeys((1, 2, 3), ("active", ""))
            assert len(sim.connects()) == 1
            posted = posts(sim)
            await looked_again(sim)
            assert posts(sim) == posted  # what is there is only looked at

    run(work())


@pytest.mark.usefixtures("looks_often")
def test_only_keywords_that_nothing_else_delivers_are_missed() -> None:
    async def work() -> None:
        sink, mine = Kept(), (STORM, kw(2, "cat"), kw(3, "cat x"))
        short = msgspec.structs.replace(SMALL, characters=7)
        async with XSimulator() as sim, streaming(sim, sink, *mine, plan=short):
            assert values(sim) == ["cat", "storm"]
            sink.told.clear()
            del sim.rules[next(r for r, v in sim.rules.items() if v["value"] == "storm")]
            await until(lambda: values(sim) == ["cat", "storm"])
            (gone, *_) = missed(sink)
            assert list(gone) == [1]

    run(work())


@pytest.mark.usefixtures("looks_often")
def test_a_rule_of_another_program_that_we_share_becomes_ours_when_it_goes() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim:
            sim._add_rules([{"value": "storm", "tag": "other:1"}], False)
            async with streaming(sim, sink, STORM):
                assert len(sim.rules) == 1
                await looked_again(sim)
                sim.rules.clear()
                await until(lambda: [r["tag"] for r in sim.rules.values()] == ["tweeter:abcd1234"])
                await until(lambda: sink.states[1] == ("active", ""))
                assert any(told[1][:2] == x_rules_sync.GONE for told in sink.told)

    run(work())


@pytest.mark.usefixtures("tries_often")
def test_a_limit_of_changes_is_waited_for_as_x_says_and_what_is_there_is_followed() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim:
            sim._add_rules([{"value": "storm", "tag": "tweeter:abcd1234"}], False)
            limited = 429, {"x-rate-limit-reset": str(int(time.time()) + 3)}, {}
            sim.change_answers = [limited] * 2
            async with streaming(sim, sink, STORM, kw(2, "cat")):
                assert sim.connected == 1
                await sim.publish([post(1, "storm")])
                await until(lambda: len(sink.events) == 1)
                assert (sink.states[1][0], sink.states[2][0]) == ("active", "pending")
                await until(lambda: values(sim) == ["storm OR cat"])
                assert not sim.change_answers, "asked once at the start, and once since"
        at = [at for at, method, _, status in sim.log if (method, status) == ("POST", 429)]
        first = min(at for at, method, _, status in sim.log if (method, status) == ("POST", 200))
        assert first - at[-1] > 1

    run(work())


@pytest.mark.usefixtures("tries_often")
def test_rules_that_cannot_be_seen_do_not_keep_the_stream_away() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink, STORM) as (source, task):
            await sim.close()
            await task
            sim.rule_answers = [(503, {}, {})] * 2
            again = asyncio.create_task(source.connect(sink))
            await until(lambda: sim.connected == 1 or again.done(), 5)
            await sim.publish([post(1, "storm")])
            await until(lambda: len(sink.events) == 1, 5)
            await until(lambda: not sim.rule_answers, 5)
            await until(lambda: sink.words[-1] == "Live, with 1 rule at X.", 5)
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)
            sim.rule_answers = [(503, {}, {})]
            new = await source_for(sim)  # which does not know what is there
            with pytest.raises(SourceError):
                await new.connect(Kept())

    run(work())


@pytest.mark.usefixtures("looks_often")
def test_a_look_that_fails_is_done_later_and_says_nothing() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink, STORM):
            before = looks(sim)
            sim.rule_answers = [(503, {}, {}), (401, {}, {})]
            await until(lambda: looks(sim) >= before + 3)
            assert sink.words == ["Live, with 1 rule at X."]
            sim.rules.clear()
            await until(lambda: values(sim) == ["storm"])

    run(work())


@pytest.mark.parametrize("how", ["named", "bare"])
def test_a_rule_for_which_x_refuses_all_of_a_request_costs_only_its_keyword(how: str) -> None:
    async def work() -> None:
        sink = Kept()
        words = [kw(n, f"w{n}x") for n in range(3, 40)]
        async with XSimulator() as sim:
            sim.whole_400, sim.refused_words = how, {"forbidden"}
            bad = kw(1, "forbidden fruit"), kw(2, "forbidden city")
            async with streaming(sim, sink, *bad, *words):
                assert with_state(sink, "refused") == [1, 2]
                assert "X refuses its rule" in sink.states[1][1]
                assert with_state(sink, "active") == [keyword.id for keyword in words]
                assert posts(sim) < x_rules.POSTS_A_SEARCH

    run(work())


@pytest.mark.usefixtures("tries_often")
def test_a_request_that_x_does_not_understand_does_not_keep_the_stream_away() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim:
            sim._add_rules([{"value": "storm", "tag": "tweeter:abcd1234"}], False)
            sim.rule_answers = [(400, {}, {"detail": "No such parameter"})]
            source = await source_for(sim, STORM, kw(2, "cat"))
            with pytest.raises(SourceError, match="No such parameter") as caught:
                await source.connect(sink)  # what is there is not known yet
            assert caught.value.kind == "http"
            sim.change_answers = [(400, {}, {"detail": "No such field"})] * 4
            async with streaming(sim, sink, STORM, kw(2, "cat")):
                await sim.publish([post(1, "storm")])
                await until(lambda: len(sink.events) == 1)
                await until(lambda: values(sim) == ["storm OR cat"])
                await until(lambda: sink.states[2] == ("active", ""))

    run(work())
