"""The exceptions that several rooms know; each of the others stands beside what raises it.

    TweeterError
    ├── ConfigError            the settings are wrong: lists every fault at once
    ├── KeywordSyntaxError     a keyword expression does not parse: says where and what to do
    ├── DecodeError            an event of a network is malformed: quarantine it, go on
    ├── SourceError            a network refused or failed: says whether waiting helps
    ├── UnknownSource          no source has this name
    ├── StoreError             the database is not as it must be: the task ends, nothing moves on
    │   ├── LeaseLost          another process owns this stream now: leave, write nothing
    │   ├── Held               writing is held back for a while: wait
    │   └── MustEnd            the database is another one now: the process ends, with MUST_END
    └── AlreadyRunning         this data directory is served by another tweeter

Two questions decide what happens: whose fault is it, and does waiting help?
"""

from typing import Self

from tweeter.texts import joined, say

LONGEST_WAIT_US = 86_400_000_000  # that a network can ask for: beyond it its clock is wrong
MUST_END = 78  # exit code: starting again cannot help (EX_CONFIG of sysexits.h)


class TweeterError(Exception):
    """Base of all our exceptions; its text is fit to show to a person.

    field is the name in a form or an address of what is wrong, "" where that is no one thing.
    """

    field = ""

    def at(self, field: str) -> Self:
        """The same, of a field."""
        self.field = field
        return self


class ConfigError(TweeterError):
    """One or more settings are wrong; `faults` holds one sentence for each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class KeywordSyntaxError(TweeterError):
    """A keyword expression does not parse.

    position is the 0-based index of the character in the expression as it was typed,
    message says what is wrong there, hint what to write instead (may be "").
    """

    def __init__(self, message: str, position: int, hint: str = "") -> None:
        self.message = message
        self.position = position
        self.hint = hint
        where = say("(Character %(number)s.)", number=position + 1)
        super().__init__(joined(message, hint, where))


class DecodeError(TweeterError):
    """An event is malformed. reason is a short stable word group used to count by."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class SourceError(TweeterError):
    """A network refused us or the connection failed.

    kind       "network" (TCP, TLS, name), "http" (a server's error), "limited" (420/429),
               "refused" (waiting cannot help: credentials, plan, parameters),
               "occupied" (X: another program holds the only connection),
               "waiting" (nothing wrong: X has no rule yet), "closed" (the server ended it),
               "stalled" (silent for longer than its heartbeat allows).
    state      the words for the page, whole sentences.
    retry_at   unix microseconds before which a retry is pointless (a rate limit's reset), or None.
    """

    def __init__(self, kind: str, state: str, *, retry_at: int | None = None) -> None:
        self.kind = kind
        self.state = state
        self.retry_at = retry_at
        super().__init__(state)


class UnknownSource(TweeterError):
    """No source has this name."""


class StoreError(TweeterError):
    """The database is missing, too new, too old or broken; says what to do."""


class LeaseLost(StoreError):
    """The stream's epoch moved on: this process must stop and has written nothing."""


class Held(StoreError):
    """Nothing can be written now, because the database is being moved; waiting helps."""


class MustEnd(StoreError):
    """The database was upgraded or moved away while this process ran: it must end."""


class AlreadyRunning(TweeterError):
    """Another process holds what only one may hold; says which and where."""


class BadQuestion(TweeterError):
    """What is asked of the statistics does not exist; says what, and what there is."""
