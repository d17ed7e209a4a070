"""The one door to tweepy.

tweepy's: building requests (field names, expansions), the rules' endpoints, the User-Agent.
Ours: the address, the connection's loop and the lines. tweepy 4.17 has its address built in,
reads JSON on the connection (an untagged rule or a broken line ends the stream for good),
reconnects without a wait after a clean close, and retries 401 for ever; here it does one
connection at a time and hands on bytes.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from tweepy import StreamRule
from tweepy.asynchronous import AsyncStreamingClient

from tweeter.errors import SourceError
from tweeter.sources.reaching import answering, next_chunk, reaching
from tweeter.sources.x_answers import refusal

# X sends a line break every 20 s at least, and says to connect again after 20 s of nothing
# (handling-disconnections). One that comes on time has been on its way: tweepy adds a second, too.
SILENCE_S = 21.0
CONNECT_S = 10.0
ANSWER_S = 30.0  # a request with its answer, and what comes of a stream before its first line
LINE_BYTES = 2 * 1024 * 1024
BUFFER_BYTES = 1024 * 1024  # read at once in a flood: what comes together goes to disk together
CUT_BYTES = 64 * 1024

RULES = "/2/tweets/search/stream/rules"
CONNECTIONS = "/2/connections"
FIELDS = {
    "tweet_fields": [
        "created_at,author_id,lang,entities,conversation_id,in_reply_to_user_id",
        "referenced_tweets,possibly_sensitive,note_tweet,edit_history_tweet_ids,attachments",
    ],
    "expansions": ["author_id,referenced_tweets.id,attachments.media_keys"],
    "user_fields": ["username,name"],
    "media_fields": ["alt_text,preview_image_url,type,url"],
}

# It writes every header into its debug log, the token too.
logging.getLogger("tweepy").setLevel(logging.INFO)

Lines = Callable[[list[bytes]], Awaitable[None]]  # a chunk's whole lines; b"" is a heartbeat


class XClient(AsyncStreamingClient):  # type: ignore[misc]
    """Rules and one stream connection. Use within `open_client`."""

    def __init__(self, token: str, base: str, session: aiohttp.ClientSession) -> None:
        super().__init__(token, return_type=dict)
        self._base = base
        self._host = urlsplit(base).hostname or base
        self.session = session
        self._opened: Callable[[Mapping[str, str]], None] = lambda _: None
        self._lines: Lines | None = None
        self.silence_s = SILENCE_S

    async def stream(self, opened: Callable[[Mapping[str, str]], None], lines: Lines) -> None:
        """One connection; returns when X closes it. Raises SourceError.

        opened is called once X accepted us, with the answer's headers.
        """
        self._opened, self._lines = opened, lines
        task = self.filter(**FIELDS)
        try:
            await task
        finally:
            task.cancel()

    async def list_rules(self, page: dict[str, str]) -> dict[str, Any]:
        """A page of the account's rules; tweepy's own `get_rules` cannot ask for the next."""
        answer = await self.request("GET", RULES, params={"max_results": "1000", **page})
        return await answer.json()

    async def connections(self) -> list[dict[str, Any]]:
        """The app's stream connections that X counts as open."""
        answer = await self.request("GET", CONNECTIONS, params={"status": "active"})
        found = (await answer.json()).get("data") or []
        return [c for c in found if c.get("endpoint_name") in (None, "filtered_stream")]

    async def end_connections(self) -> None:
        """Close the app's connections to this stream, also those whose program is gone."""
        await self.request("DELETE", f"{CONNECTIONS}/filtered_stream")

    async def request(
        self, method: str, route: str, params: Any = None, json: Any = None, user_auth: bool = False
    ) -> "Answer":
        """tweepy's requests, to our address. Raises SourceError for all but 2xx."""
        # tweepy gives dry_run as a bool, which aiohttp does not take.
        given = {k: str(v).lower() if isinstance(v, bool) else v for k, v in (params or {}).items()}
        async with (
            answering(self._host, ANSWER_S),
            self._call(method, route, params=given, json=json) as response,
        ):
            body = await response.read()
            if not 200 <= response.status < 300:
                raise refusal(response.status, response.headers, body)
            return Answer(await response.json(content_type=None), response.headers)

    async def _connect(self, method: str, endpoint: str, params: Any = None, **_: Any) -> None:
        """tweepy's `filter` ends here."""
        route = f"/2/tweets/{endpoint}/stream"
        async with (
            answering(self._host, ANSWER_S) as limit,
            self._call(method, route, params=params) as response,
        ):
            if response.status != 200:
                raise refusal(response.status, response.headers, await response.read())
            limit.reschedule(None)
            self._opened(response.headers)
            await self._read(response)

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        assert self._lines is not None  # noqa: S101 (set by stream)
        rest = b""
        while True:
            try:
                chunk = await next_chunk(response.content, self.silence_s)
            except TimeoutError as error:
                raise SourceError(
                    "stalled", f"X was silent for {self.silence_s:g} s; it promises a sign of life."
                ) from error
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LINE_BYTES:  # kept as far as quarantine shows it
                lines, rest = [*lines, rest[:CUT_BYTES]], b""
            await self._lines([line.rstrip(b"\r") for line in lines])

    @asynccontextmanager
    async def _call(
        self, method: str, route: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {self.bearer_token}", "User-Agent": self.user_agent}
        with reaching(self._host):
            async with self.session.request(
                method, self._base + route, headers=headers, allow_redirects=False, **options
            ) as response:
                yield response


class Answer:
    """What tweepy's `return_type=dict` asks of a response."""

    def __init__(self, value: dict[str, Any], headers: Mapping[str, str]) -> None:
        self._value = value
        self.headers = headers

    async def json(self) -> dict[str, Any]:
        """The parsed body."""
        return self._value


@asynccontextmanager
async def open_client(token: str, base: str) -> AsyncIterator[XClient]:
    """A client whose sockets are closed at the end, also when cancelled."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
    session = aiohttp.ClientSession(timeout=timeout, trust_env=True, read_bufsize=BUFFER_BYTES)
    async with session:
        yield XClient(token, base, session)


__all__ = ["StreamRule", "XClient", "open_client"]
