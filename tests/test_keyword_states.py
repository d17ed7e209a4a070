"""States of the keywords of live columns: read when any keyword changed, told when one of these."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tweeter.keyword_states import KeywordStates
from tweeter.store import keywords
from tweeter.store.engine import writing


@pytest.fixture
def statements(engine: Engine) -> list[str]:
    """What is asked of the database from now on."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    return found


async def ask(work: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(work, *args)


def test_a_change_is_found_and_others_of_other_keywords_are_none(
    engine: Engine, statements: list[str]
) -> None:
    storm, flood, other = (keywords.add(engine, text).id for text in ("storm", "flood", "vote"))

    async def run() -> None:
        states = KeywordStates(engine, ask)
        assert not await states.renew()
        assert await states.of([storm, 99]) == {storm: "active", 99: "removed"}
        assert not await states.renew()
        statements.clear()
        assert not await states.renew()
        assert [one for one in statements if "FROM keywords" in one] == []

        await ask(keywords.set_state, engine, other, "paused")
        assert (await states.renew(), states.number) == (False, 0)
        await ask(keywords.set_state, engine, storm, "paused")
        assert await states.of([storm]) == {storm: "active"}
        assert await states.of([flood]) == {flood: "active"}
        assert (await states.renew(), states.number) == (True, 1)
        assert await states.of([storm, flood]) == {storm: "paused", flood: "active"}
        await ask(keywords.set_state, engine, storm, "removed")
        assert (await states.renew(), states.number) == (True, 2)
        await ask(delete, storm)
        assert (await states.renew(), states.number) == (False, 2)
        assert await states.of([storm, flood]) == {storm: "removed", flood: "active"}

    def delete(keyword_id: int) -> None:
        with writing(engine) as connection:
            keywords.hold(connection)
            keywords.forget(connection, keyword_id)

    asyncio.run(run())


def test_a_state_that_is_read_late_is_read_again(engine: Engine) -> None:
    """A column comes while the others' states are read; a change lies between the two answers."""
    storm, flood = (keywords.add(engine, text).id for text in ("storm", "flood"))

    async def run() -> None:
        held = asyncio.Event()

        async def slowly(work: Callable[..., Any], *args: Any) -> Any:
            found = await ask(work, *args)
            if flood in args[-1]:
                await held.wait()
            return found

        def is_asked(*args: Any) -> Any:
            return slowly(*args) if isinstance(args[-1], set) else ask(*args)

        states = KeywordStates(engine, is_asked)
        assert await states.of([storm]) == {storm: "active"}
        comes = asyncio.create_task(states.of([flood]))
        await asyncio.sleep(0.2)
        await ask(keywords.set_state, engine, flood, "paused")
        await states.renew()
        held.set()
        assert await comes == {flood: "active"}
        assert await states.renew()
        assert await states.of([flood]) == {flood: "paused"}

    asyncio.run(run())
