"""The filters of the statistics as pills: on or off, pinned or not; all of it in the address.

A filter that is on stands in its own parameter (`lang=en`), one that is switched off in `off`
(`off=lang:en`), and `pin=lang:en` marks one that goes along to another keyword's page.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tweeter.errors import BadQuestion
from tweeter.statistics.panels import PANELS
from tweeter.store.sums import SERIES
from tweeter.texts import say
from tweeter.views.vocabulary import WORDS

NAMES = (*SERIES, *PANELS)
OFF, PIN = "off", "pin"
MOST = 50  # of each

State = dict[str, list[str]]


class Pill(msgspec.Struct, frozen=True, kw_only=True):
    """A filter; value begins with "!" for what is left out."""

    name: str
    value: str
    is_on: bool
    is_pinned: bool

    @property
    def key(self) -> str:
        """As `off` and `pin` name it."""
        return f"{self.name}:{self.value}"

    @property
    def words(self) -> str:
        """For people: "not network: x", "lang: not said"."""
        bare = self.value.removeprefix("!")
        is_ours = self.name in ("kind", "media") and bare in WORDS
        value = say(bare) if is_ours else bare or say("not said")
        if self.value.startswith("!"):
            return say("not %(name)s: %(value)s", name=say(self.name), value=value)
        return say("%(name)s: %(value)s", name=say(self.name), value=value)


def of(state: Mapping[str, Sequence[str]]) -> list[Pill]:
    """The filters of an address, in an order that switching does not change. Raises BadQuestion."""
    settled = _settled(state)
    off, pins = _keys(settled, OFF), _keys(settled, PIN)
    on = [(name, value) for name in NAMES for value in settled.get(name, ())]
    pills = [
        Pill(name=name, value=value, is_on=(name, value) in on, is_pinned=(name, value) in pins)
        for name, value in {*on, *off}
    ]
    return sorted(
        pills, key=lambda pill: (NAMES.index(pill.name), pill.value.removeprefix("!"), pill.value)
    )


def _settled(state: Mapping[str, Sequence[str]]) -> State:
    """As it counts: one value of all panels filters at a time, the others are off."""
    left = {name: list(values) for name, values in state.items() if name not in PANELS}
    chosen = [(name, value) for name in PANELS for value in state.get(name, ()) if value]
    for name, value in chosen[:1]:
        left[name] = [value]
    left[OFF] = [*left.get(OFF, []), *(f"{name}:{value}" for name, value in chosen[1:])]
    return left


def _keys(state: Mapping[str, Sequence[str]], name: str) -> list[tuple[str, str]]:
    given = state.get(name, ())
    if len(given) > MOST:
        raise BadQuestion(
            say(
                "“%(name)s” is given %(count)s times: at most %(most)s.",
                name=name,
                count=len(given),
                most=MOST,
            )
        ).at(name)
    found = []
    for key in given:
        which, colon, value = key.partition(":")
        if which not in NAMES or not colon or not (value or which in SERIES):
            raise BadQuestion(
                say(
                    "“%(name)s” is %(key)s: expected a filter such as network:x.",
                    name=name,
                    key=repr(key[:30]),
                )
            ).at(name)
        found.append((which, value))
    return found


def switched(state: Mapping[str, Sequence[str]], pill: Pill) -> State:
    """With a filter that is on off, or one that is off on."""
    left = dropped(state, pill) | {PIN: list(state.get(PIN, ()))}
    if pill.is_on:
        left[OFF] = [*left[OFF], pill.key]
    elif pill.name in SERIES:
        left[pill.name] = [*left.get(pill.name, ()), pill.value]
    else:
        for name in PANELS:
            left[OFF] += [f"{name}:{value}" for value in left.pop(name, ())]
        left[pill.name] = [pill.value]
    return left


def pinned(state: Mapping[str, Sequence[str]], pill: Pill) -> State:
    """With a filter that goes along, or one that no longer does."""
    pins = [key for key in state.get(PIN, ()) if key != pill.key]
    if not pill.is_pinned:
        pins.append(pill.key)
    return {name: list(values) for name, values in state.items()} | {PIN: pins}


def dropped(state: Mapping[str, Sequence[str]], pill: Pill) -> State:
    """Without a filter."""
    left = _settled(state)
    left[pill.name] = [value for value in left.get(pill.name, []) if value != pill.value]
    for name in (OFF, PIN):
        left[name] = [key for key in left.get(name, []) if key != pill.key]
    return left


def chosen(state: Mapping[str, Sequence[str]], name: str, value: str) -> State:
    """With a value of a panel clicked: it filters in place of another's, or no longer."""
    found = Pill(name=name, value=value, is_on=False, is_pinned=False)
    is_on = value in _settled(state).get(name, ())
    return dropped(state, found) if is_on else switched(state, found)


def carried(state: Mapping[str, Sequence[str]]) -> State:
    """Of an address what goes along to another keyword's page: the pinned filters, on or off."""
    found: State = {}
    for pill in of(state):
        if pill.is_pinned:
            name, value = (pill.name, pill.value) if pill.is_on else (OFF, pill.key)
            found.setdefault(name, []).append(value)
            found.setdefault(PIN, []).append(pill.key)
    return found
