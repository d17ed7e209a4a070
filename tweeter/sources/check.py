"""The credential check of a source: one row a question, stopping at the first that fails.

It tells apart what people mistake for each other: a wrong clock and a wrong token, a token and
a plan, our own connection and another program's, a server that is silent and one that is away.
X's rules are only read, and no second connection is opened beside our own.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tweeter.checks import MastodonServer
from tweeter.config import Config
from tweeter.errors import SourceError, TweeterError, UnknownSource
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.clock import SKEW_S, skew_s
from tweeter.sources.mastodon import MastodonSource
from tweeter.sources.mastodon_rest import open_rest
from tweeter.sources.x_client import XClient, open_client
from tweeter.texts import Said, counted, joined, mark, say

REACH_S = 10.0
FIRST_BYTE_S = 25.0  # X promises a sign of life every 20 s
BEARER_CHARACTERS = 60  # bearer tokens are longer, API keys and user tokens shorter


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. verdict: "ok", "note" (fine, and worth reading), "failed", "not tried".

    Of a failed one: kind is "credentials" (token or plan), "limited", "occupied", "clock",
    "settings", "network" or "server"; todo the next step; retry_at when we try again by
    ourselves (us, 0: not known).
    """

    name: str
    verdict: str
    words: str
    seconds: float = 0.0
    kind: str = ""
    todo: str = ""
    retry_at: int = 0


class Failed(TweeterError):
    """A step found what is wrong."""

    def __init__(self, words: str, kind: str = "network") -> None:
        self.kind = kind
        super().__init__(words)


OF_ERRORS = {  # SourceError.kind -> Row.kind; the others are the server's
    "refused": "credentials",
    "limited": "limited",
    "occupied": "occupied",
    "network": "network",
}
TODO = {
    "credentials": say(
        "Correct it in tweeter/settings.py or the environment, restart, check again."
    ),
    "limited": say("Nothing: tweeter goes on by itself when the limit ends."),
    "occupied": say("Stop the other program, or give it another token; tweeter tries by itself."),
    "clock": say("Set this machine's clock (timedatectl set-ntp true), then check again."),
    "settings": say("Set it in tweeter/settings.py or the environment, restart, check again."),
    "network": say("Check this machine's connection, DNS and proxy, then check again."),
    "server": say(
        "Nothing: tweeter connects again by itself. If it stays so, look for a proxy or a"
        " firewall in between."
    ),
}


Step = tuple[str, Callable[[], Awaitable[str]]]  # its name; gives words, or those of `_note`
_NOTE = mark("Note: %(words)s")


def _note(words: str) -> Said:
    """Words that are fine, and worth reading."""
    return say(_NOTE, words=words)


async def check(
    config: Config, name: str, *, ours: str = "", installation: str = "", first_byte_s: float = 0
) -> list[Row]:
    """Check a source by its stream's name. ours: how our own live connection says it is, or "".

    installation: whose rules at X are ours.
    Raises UnknownSource. Takes at most about 45 s.
    """
    wait_s = first_byte_s or FIRST_BYTE_S
    if name == "x":
        return await _run(_x_steps(config, ours, installation, wait_s))
    if name == "bluesky":
        return await _run(_bluesky_steps(config, wait_s))
    for server in config.mastodon_servers:
        if name in ("mastodon", server.stream):
            return await _run(_mastodon_steps(server, wait_s))
    if name == "mastodon":
        return [
            _failed(
                say("Settings"), say("There is no server: set TWEETER_MASTODON_URL."), "settings"
            )
        ]
    names = [server.stream for server in config.mastodon_servers]
    raise UnknownSource(
        say(
            "There is no source “%(name)s”. There are: %(names)s",
            name=name,
            names=", ".join(["x", "bluesky", "mastodon", *names]),
        )
    )


async def _run(steps: AsyncIterator[Step]) -> list[Row]:
    rows: list[Row] = []
    async for name, step in steps:
        began_s = time.monotonic()
        row = await _answer(name, step)
        took_s = round(time.monotonic() - began_s, 3)
        rows.append(msgspec.structs.replace(row, seconds=took_s))
        if row.verdict == "failed":
            break
    return rows


async def _answer(name: str, step: Callable[[], Awaitable[str]]) -> Row:
    try:
        words = await step()
    except Failed as error:
        return _failed(name, error.args[0], error.kind)
    except SourceError as error:
        if error.kind == "waiting":
            return Row(name=name, verdict="note", words=error.state)
        kind = OF_ERRORS.get(error.kind, "server")
        return _failed(name, error.state, kind, error.retry_at or 0)
    if isinstance(words, Said) and words.text == _NOTE:
        return Row(name=name, verdict="note", words=words.values["words"])
    return Row(name=name, verdict="ok", words=words)


def _failed(name: str, words: str, kind: str, retry_at: int = 0) -> Row:
    return Row(
        name=name, verdict="failed", words=words, kind=kind, todo=TODO[kind], retry_at=retry_at
    )


async def reach(url: str) -> tuple[str, float | None]:
    """Reach a host; what to say, and how far our clock is ahead of its (s). Raises Failed."""
    parts = urlsplit(url)
    address = f"{parts.scheme.replace('ws', 'http', 1)}://{parts.netloc}/"
    timeout = aiohttp.ClientTimeout(total=REACH_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(address, allow_redirects=False) as answer,
        ):
            return say("%(host)s answers.", host=parts.hostname), skew_s(answer.headers)
    except aiohttp.ClientConnectorDNSError as error:
        raise Failed(
            say(
                "The name %(host)s was not found. Is this machine online, and its DNS right?",
                host=parts.hostname,
            )
        ) from error
    except aiohttp.ClientSSLError as error:
        raise Failed(
            say(
                "No safe connection to %(host)s: %(error)s."
                " A proxy or a wrong clock may be between.",
                host=parts.hostname,
                error=error,
            )
        ) from error
    except TimeoutError as error:
        raise Failed(
            say(
                "%(host)s did not answer in %(seconds)s s.",
                host=parts.hostname,
                seconds=format(REACH_S, ".0f"),
            )
        ) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        words = str(error) or type(error).__name__
        raise Failed(
            say("We cannot reach %(host)s: %(words)s.", host=parts.hostname, words=words)
        ) from error


def clock_verdict(off_s: float | None) -> str:
    """What to say of a clock that is so far ahead. Raises Failed for one that is wrong."""
    if off_s is None:
        return _note(say("The server does not say what time it is."))
    if abs(off_s) <= SKEW_S:
        return say("This machine's clock is right.")
    minutes, seconds = divmod(int(abs(off_s)), 60)
    ahead = mark("This machine's clock is %(minutes)s min %(seconds)s s ahead.")
    slow = mark("This machine's clock is %(minutes)s min %(seconds)s s slow.")
    off = say(ahead if off_s > 0 else slow, minutes=minutes, seconds=seconds)
    so = say("Requests can fail with 401 because of this and not because of the token.")
    raise Failed(joined(off, so), "clock")


class _Clock:
    off_s: float | None = None


def _reaching(url: str) -> list[Step]:
    found = _Clock()

    async def network() -> str:
        words, found.off_s = await reach(url)
        return words

    async def clock() -> str:
        return clock_verdict(found.off_s)

    return [(say("Network"), network), (say("Clock"), clock)]


class _XCheck:
    """The questions to X, one a method."""

    def __init__(
        self, config: Config, client: XClient, ours: str, installation: str, wait_s: float
    ) -> None:
        self._config, self._client, self._ours, self._wait_s = config, client, ours, wait_s
        self._tag = f"tweeter:{installation}"
        self._rules: list[dict[str, Any]] = []

    async def token(self) -> str:
        given = self._config.x_bearer_token
        if not given:
            raise Failed(say("There is no token: set TWEETER_X_BEARER_TOKEN_FILE."), "credentials")
        words = say("Ends in …%(end)s, %(count)s characters.", end=given[-4:], count=len(given))
        if len(given) < BEARER_CHARACTERS:
            return _note(joined(words, say("Bearer tokens are longer: this may be an API key.")))
        return words

    async def access(self) -> str:
        self._rules = (await self._client.list_rules({})).get("data") or []
        return say("X accepts the token, and the app may use rules.")

    async def rules(self) -> str:
        mine = sum(str(rule.get("tag", "")) == self._tag for rule in self._rules)
        if not self._rules:
            return _note(say("No rules yet: X is ready, and waits for the first keyword."))
        return counted(
            "%(count)s rule of ours, %(others)s of other programs.",
            "%(count)s rules of ours, %(others)s of other programs.",
            mine,
            others=len(self._rules) - mine,
        )

    async def stream(self) -> str:
        if self._ours:
            return say("Our own stream holds the connection: %(ours)s", ours=self._ours)
        if not self._rules:
            return _note(say("Not tried without rules."))
        return await _first_byte_of_x(self._client, self._wait_s)


async def _x_steps(
    config: Config, ours: str, installation: str, wait_s: float
) -> AsyncIterator[Step]:
    async with open_client(config.x_bearer_token, config.x_api_base) as client:
        asked = _XCheck(config, client, ours, installation, wait_s)
        yield say("Token"), asked.token
        for step in _reaching(config.x_api_base):
            yield step
        yield say("Access"), asked.access
        yield say("Rules"), asked.rules
        yield say("Stream"), asked.stream


async def _first_byte_of_x(client: XClient, wait_s: float) -> str:
    opened, first = asyncio.Event(), asyncio.Event()

    async def lines(_: list[bytes]) -> None:
        first.set()

    reading = asyncio.create_task(client.stream(lambda _: opened.set(), lines))
    return await _until(first, reading, wait_s, opened)


class _Probe:
    """A sink that waits for the first sign of life."""

    def __init__(self) -> None:
        self.cursor = ""
        self.memory: dict[str, Any] = {}
        self.opened, self.first = asyncio.Event(), asyncio.Event()

    async def put(self, events: Sequence[Any]) -> None:
        self.first.set()

    def rest_s(self) -> float:
        return 0.0

    def alive(self) -> None:
        if self.opened.is_set():
            self.first.set()

    def connected(self, words: str) -> None:
        self.opened.set()

    def notice(self, words: str) -> None: ...

    def missed(self, since: int, until: int, words: str, *, read_until: int) -> None: ...

    def keywords(self, states: Any) -> None: ...

    def remember(self, **values: Any) -> None: ...


async def _until(
    first: asyncio.Event, reading: "asyncio.Task[None]", wait_s: float, opened: asyncio.Event
) -> str:
    """Wait for the first sign of life; raises what the connection failed with, or Failed."""
    waiting = asyncio.create_task(first.wait())
    try:
        await asyncio.wait({waiting, reading}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return say("Connected, and signs of life arrive.")
        if reading.done():
            reading.result()
            raise Failed(say("The server closed the connection at once."), "server")
        if opened.is_set():
            raise Failed(
                say("Connected, then silent for %(seconds)s s.", seconds=format(wait_s, "g")),
                "server",
            )
        raise Failed(
            say("No answer to our request in %(seconds)s s.", seconds=format(wait_s, "g")), "server"
        )
    finally:
        for task in (waiting, reading):
            task.cancel()
        await asyncio.gather(waiting, reading, return_exceptions=True)


async def _bluesky_steps(config: Config, wait_s: float) -> AsyncIterator[Step]:
    async def settings() -> str:
        if not config.bluesky_url:
            raise Failed(say("Bluesky is off: TWEETER_BLUESKY_URL is empty."), "settings")
        return say("Endpoints: %(number)s. No account is needed.", number=len(config.bluesky_url))

    yield say("Settings"), settings
    for url in config.bluesky_url:
        for step in _reaching(url):
            yield step

        async def stream(url: str = url) -> str:
            probe = _Probe()
            source = BlueskySource(url, dictionary=config.bluesky_zstd_dictionary)
            reading = asyncio.create_task(source.connect(probe))
            return await _until(probe.first, reading, wait_s, probe.opened)

        yield say("Stream of %(host)s", host=urlsplit(url).hostname), stream


async def _mastodon_steps(server: MastodonServer, wait_s: float) -> AsyncIterator[Step]:
    for step in _reaching(server.url):
        yield step

    async def instance() -> str:
        async with open_rest(server.url, server.token) as rest:
            found = await rest.instance()
        if found.disabled:
            return _note(
                say(
                    "Version %(version)s; switched off there: %(kinds)s.",
                    version=found.version,
                    kinds=", ".join(found.disabled),
                )
            )
        return say("Version %(version)s.", version=found.version)

    async def stream() -> str:
        probe = _Probe()
        source = MastodonSource(
            server.url,
            token=server.token,
            streaming_url=server.streaming_url,
            streams=server.streams,
            idle_s=wait_s / 2.5,
        )
        reading = asyncio.create_task(source.connect(probe))
        return await _until(probe.first, reading, wait_s, probe.opened)

    for step in ((say("Server"), instance), (say("Stream"), stream)):
        yield step
