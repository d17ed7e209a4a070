"""Share of voice on the first page: what its address asks, the picture, and the numbers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from tweeter.errors import BadQuestion, TweeterError
from tweeter.moments import BadMoment
from tweeter.records import now_us
from tweeter.statistics import questions, voice
from tweeter.statistics.questions import Args
from tweeter.statistics.spans import PRESETS
from tweeter.statistics.voice import Voice
from tweeter.store import keywords
from tweeter.store.cells import US
from tweeter.store.keywords import KeywordRow
from tweeter.views import charts


def asked_for(engine: Engine, args: Args, rows: Sequence[KeywordRow]) -> dict[str, Any]:
    """What templates/voice.html needs. rows: the keywords that are offered.

    What cannot be asked is said beside its form (`wrong`). Raises KeywordNotFound.
    """
    wrong: TweeterError | None = None
    try:
        chosen, span = questions.voices(args)
    except (BadQuestion, BadMoment) as error:
        wrong, (chosen, span) = error, questions.voices({})
    own = {row.id: row for row in rows}
    mine = [own.get(number) or keywords.get(engine, number) for number in chosen]
    offered = {row.id: row.expression for row in (*mine, *rows)}
    ids = _numbers(args.get("with", ()))
    given = {name: values[0] for name, values in args.items() if values}
    found = voice.of_keywords(engine, mine, span, now_us() // US) if mine else None
    by_hand = bool(given.get("from") or given.get("to"))
    return {
        "voice": found,
        "voice_chart": charts.of_voice(found) if found else None,
        "voice_table": _table(found) if found else [],
        "voice_choice": {
            "ids": ids,
            "wrong": wrong,
            "offered": sorted(offered.items(), key=lambda one: one[0] not in ids),
            "most": voice.MOST,
            "presets": list(PRESETS),
            "range": "" if by_hand else given.get("range") or "day",
            "from": given.get("from", ""),
            "to": given.get("to", ""),
        },
    }


def _numbers(given: Sequence[str]) -> list[int]:
    """Keywords as they were chosen, also where something is wrong with the choice."""
    return [int(value) for value in given if value.isascii() and value.isdigit()]


def _table(found: Voice) -> list[dict[str, Any]]:
    """A row a bucket: from when on, whether it counts, and (share, posts) of each keyword."""
    shares = found.shares()
    return [
        {
            "start": found.span.inside(bucket)[0],
            "counts": found.counted[bucket],
            "cells": [(shares[n][bucket], one.posts[bucket]) for n, one in enumerate(found.series)],
        }
        for bucket in range(found.span.count)
    ]
