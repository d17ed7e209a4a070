"""What every source is.

A source knows one network's wire. It is given a place to put events and is asked to run one
connection; it returns when the server ends it and raises SourceError when something failed.
Waiting, counting failures and telling the page belong to `follow`, so no source can get them
wrong in its own way.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tweeter.records import Keyword, KeywordState, RawEvent


class Sink(Protocol):
    """Where a source puts what it reads. All methods are called on the event loop."""

    async def put(self, events: Sequence[RawEvent]) -> None:
        """Take events over; waits while the stage behind is full (back-pressure)."""

    def rest_s(self) -> float:
        """How long what comes next may lie unread, so that it is read together: nobody waits."""

    def alive(self) -> None:
        """A byte came that carries no event (heartbeat, pong): the connection is covered."""

    def connected(self, words: str) -> None:
        """The server accepted us; `words` is for the page, such as "Live since 12:03."."""

    def notice(self, words: str) -> None:
        """Something to say while connected, such as "2 keywords are pending at X"."""

    def missed(self, since: int, until: int, words: str, *, read_until: int) -> None:
        """The network no longer had what it was asked for, between two moments (us).

        read_until: what it sent of the time before had been read already.
        """

    def keywords(self, states: Mapping[int, KeywordState]) -> None:
        """What the network does with each keyword, by its id."""

    def remember(self, **values: Any) -> None:
        """Keep something of the source's own for its next process; small JSON values."""

    @property
    def memory(self) -> Mapping[str, Any]:
        """What was remembered."""

    @property
    def cursor(self) -> str:
        """The position to resume from ("" = live). Durable: everything before it is stored."""


class Source(Protocol):
    """One network, one connection at a time."""

    network: str
    replayable: bool  # True: after a break the server sends again from `cursor`
    repairable: bool  # True: what was missed can be asked for by other means (sources.past)
    settles_s: float  # after it accepted us the server may still send nothing for so long

    async def connect(self, sink: Sink) -> None:
        """Connect, read until the server closes, put every event into the sink.

        Returns on a clean close (or, for a file, at its end), raises SourceError otherwise.
        Must leave within 2 s when cancelled, with its socket closed.
        """

    async def keywords_changed(self, keywords: Sequence[Keyword]) -> None:
        """The active keywords, at start and after each change; never blocks long."""

    def wait_s(self, kind: str, failures: int) -> float:
        """Seconds to wait after the n-th failure in a row (n >= 1) of a SourceError kind."""
