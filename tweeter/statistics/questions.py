"""What the query of an address, or a command's options, ask of the statistics."""

from collections.abc import Mapping, Sequence

from tweeter import moments
from tweeter.choices import KINDS, NETWORKS, NO_LANGUAGE, expected, is_value, one_of
from tweeter.errors import BadQuestion
from tweeter.harmless import mend
from tweeter.records import now_us
from tweeter.statistics import spans, voice
from tweeter.statistics.panels import PANELS
from tweeter.statistics.spans import NICE, PRESETS, Span
from tweeter.statistics.volume import Question
from tweeter.store.cells import HOUR, MINUTE, US
from tweeter.store.sums import SERIES, Narrow
from tweeter.texts import say

Args = Mapping[str, Sequence[str]]  # names and values, as parse_qs gives them

COMPARED = 4
SHARES = 60  # buckets of shares at most, where the program chooses: one post must not be a bar
STACKS = (*SERIES, "nothing")
SCALES = ("posts", "index")
MEDIA = ("with", "without")


def read(args: Args) -> Question:
    """Read the query of an address. Raises BadQuestion and BadMoment."""
    given = {name: values[0] for name, values in args.items() if values}
    by = given.get("by", "network")
    if by not in STACKS:
        raise BadQuestion(
            say(
                "“by” is %(by)s: expected one of %(stacks)s.",
                by=repr(by[:30]),
                stacks=", ".join(STACKS),
            )
        ).at("by")
    compare = given.get("compare", "")
    if compare not in ("", "previous", "week"):
        raise BadQuestion(
            say("“compare” is %(compare)s: expected previous or week.", compare=repr(compare[:30]))
        ).at("compare")
    scale = given.get("scale", "posts")
    if scale not in SCALES:
        raise BadQuestion(
            say(
                "“scale” is %(scale)s: expected %(scales)s.",
                scale=repr(scale[:30]),
                scales=" or ".join(SCALES),
            )
        ).at("scale")
    which = _which(given)
    return Question(
        span=span(given, hours=bool(which[0])),
        by="" if by == "nothing" else by,
        narrow=_narrow(args),
        which=which,
        compare=compare,
        keywords=_keywords(args.get("with", ())),
        scale="" if scale == "posts" else scale,
    )


def _which(given: Mapping[str, str]) -> tuple[str, str]:
    name = next((name for name in PANELS if given.get(name)), "")
    value = mend(given.get(name, ""))  # posts have no NUL either
    if name == "media" and value.removeprefix("!") not in MEDIA:
        raise BadQuestion(expected(name, value, one_of(MEDIA))).at(name)
    return name, value


def _narrow(args: Args) -> Narrow:
    found = {name: tuple(one.lower() for one in args.get(name, ())) for name in SERIES}
    for name, values in found.items():
        for value in values:
            if not can_be(name, value.removeprefix("!")):
                raise BadQuestion(expected(name, value, _WHAT[name])).at(name)
    not_said = {NO_LANGUAGE: "", f"!{NO_LANGUAGE}": "!"}
    lang = dict.fromkeys(not_said.get(value, value) for value in found["lang"])
    return Narrow(network=found["network"], kind=found["kind"], lang=tuple(lang))


_WHAT = {
    "network": one_of(NETWORKS),
    "kind": one_of(KINDS),
    "lang": say("a language's code, such as en, without a country"),
}


def can_be(name: str, value: str) -> bool:
    """Whether a series can have this name: a network, a kind, or a language ("": not said)."""
    if name == "lang":
        return not value or ("-" not in value and is_value(name, value))
    return is_value(name, value)


def voices(args: Args) -> tuple[tuple[int, ...], Span]:
    """The keywords whose shares are asked for, each once (() if none is), and their stretch.

    Raises BadQuestion and BadMoment.
    """
    chosen = tuple(dict.fromkeys(_keywords(args.get("with", ()), most=voice.MOST)))
    if len(chosen) == 1:
        raise BadQuestion(
            say("Shares are of at least %(least)s keywords; this is one.", least=voice.LEAST)
        ).at("with")
    given = {name: values[0] for name, values in args.items() if values}
    found = span(given)
    if not given.get("bucket"):
        length = found.asked[1] - found.asked[0]
        size = next((nice for nice in NICE if length <= nice * SHARES), NICE[-1])
        found = spans.cut(*found.asked, size)
    return chosen, found


def _keywords(given: Sequence[str], *, most: int = COMPARED) -> tuple[int, ...]:
    found = []
    for value in given:
        if not value.isascii() or not value.isdigit() or len(value) > 15:
            raise BadQuestion(
                say(
                    "“with” is %(value)s: expected the number of a keyword.", value=repr(value[:30])
                )
            ).at("with")
        found.append(int(value))
    if len(found) > most:
        values = {"most": most, "count": len(found)}
        if most == COMPARED:
            words = say(
                "At most %(most)s other keywords are compared; these are %(count)s.", **values
            )
        else:
            words = say("At most %(most)s keywords are compared; these are %(count)s.", **values)
        raise BadQuestion(words).at("with")
    return tuple(found)


def span(given: Mapping[str, str], *, hours: bool = False) -> Span:
    """The stretch of time; hours: it and its buckets are of whole hours."""
    now = now_us()
    running = now // US // MINUTE * MINUTE + MINUTE  # the end of this minute
    chosen = given.get("range", "")
    size = given.get("bucket", "0")
    if not size.isascii() or not size.isdigit() or len(size) > 9:
        raise BadQuestion(say("“bucket” is %(size)s: expected seconds.", size=repr(size[:30]))).at(
            "bucket"
        )
    if given.get("from") or given.get("to"):
        since = moments.read(given.get("from") or "1d", now, "“from”", "from") // US
        until = moments.read(given["to"], now, "“to”", "to") // US if given.get("to") else running
    elif chosen and chosen not in PRESETS:
        raise BadQuestion(
            say(
                "“range” is %(chosen)s: expected one of %(presets)s.",
                chosen=repr(chosen[:30]),
                presets=", ".join(PRESETS),
            )
        ).at("range")
    else:
        until = running
        since = until - PRESETS[chosen or "day"]
    try:
        whole = HOUR if hours else MINUTE
        found = spans.cut(since, until, int(size), whole=whole)
        if hours and found.size < HOUR:
            found = spans.cut(since, until, HOUR, whole=whole)
    except ValueError as error:
        field = next((name for name in ("bucket", "to") if given.get(name)), "from")
        raise BadQuestion(error.args[0]).at(field) from error
    return found
