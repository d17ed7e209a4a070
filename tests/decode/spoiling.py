"""Events in which something is wrong, for properties that must hold of any."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

Scalar = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats()
Anything = st.recursive(Scalar, lambda s: st.lists(s, max_size=2) | st.dictionaries(st.text(), s))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every way into a JSON value."""
    yield path
    inner: Any = value.items() if isinstance(value, dict) else ()
    for name, child in enumerate(value) if isinstance(value, list) else inner:
        yield from places(child, (*path, name))


def spoil(
    data: st.DataObject, event: Any, values: st.SearchStrategy[Any] = Anything, most: int = 3
) -> None:
    """Put other values into some places of an event, or take what is there away."""
    where = [path for path in places(event) if path]
    for path in data.draw(st.lists(st.sampled_from(where), max_size=most)):
        owner: Any = event
        with suppress(LookupError, TypeError):  # an earlier change took it away
            for name in path[:-1]:
                owner = owner[name]
            if data.draw(st.booleans()):
                owner[path[-1]] = data.draw(values)
            else:
                del owner[path[-1]]


def sent(data: st.DataObject, event: Any) -> bytes:
    """An event as JSON, of which a byte may be another, or two."""
    body = json.dumps(event).encode()
    cut = data.draw(st.integers(0, len(body)) | st.none())
    if cut is None:
        return body
    return body[:cut] + data.draw(st.binary(max_size=2)) + body[cut + 1 :]
