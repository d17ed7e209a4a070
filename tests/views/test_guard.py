"""Who is served, and how every answer is protected, by the server as it runs."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Engine

from tests.store.posts import post, store, take
from tweeter import config
from tweeter.server import UPLOAD_BYTES, Server, bind
from tweeter.store import keywords
from tweeter.views.guard import HEADERS

MARKUP = "<svg onload=eval(name)>"


class Visit:
    """Requests to a server that runs."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __call__(
        self,
        path: str,
        *more: str,
        method: str = "GET",
        host: str = "",
        version: str = "1.1",
        sent: str = "",
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers (names in small letters) and what comes of the body at once."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {path} HTTP/{version}", f"Host: {host or f'127.0.0.1:{self.port}'}"]
        lines.append("Connection: close")
        writer.write("\r\n".join([*lines, *more, "", sent]).encode("latin-1"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        body = b"" if method == "HEAD" else await reader.read(1_000)
        writer.close()
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        return (
            int(head[0].split()[1]),
            {name.lower(): value for name, value in pairs},
            body.decode(),
        )

    async def hear(self, words: str, path: str, *more: str) -> str:
        """What an answer without end sends up to these words."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *more, "", ""]
        writer.write("\r\n".join(lines).encode("latin-1"))
        found = await asyncio.wait_for(reader.readuntil(words.encode()), 10)
        writer.close()
        return found.decode()


@asynccontextmanager
async def serving(engine: Engine, folder: Path) -> AsyncIterator[Visit]:
    found = config.load({"TWEETER_DATA_DIR": str(folder), "TWEETER_PORT": "0"})
    config.make_data_dir(found)
    listening = bind(found)
    running = asyncio.create_task(Server(found, engine).run(listening))
    await asyncio.sleep(0.1)  # its signal handlers
    try:
        yield Visit(listening.getsockname()[1])
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await running


@pytest.fixture
def visiting(
    engine: Engine, tmp_path: Path
) -> Callable[[Callable[[Visit], Awaitable[None]]], None]:
    def run(work: Callable[[Visit], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with serving(engine, tmp_path) as visit:
                await work(visit)

        asyncio.run(whole())

    return run


Visiting = Callable[[Callable[[Visit], Awaitable[None]]], None]

NO_PROXY = "does not serve through a proxy"


def test_only_this_machine_by_its_own_names_and_without_a_proxy(visiting: Visiting) -> None:
    async def work(visit: Visit) -> None:
        for path in ("/", "/healthz", "/api/v1/keywords", "/live/stream"):
            for host in (f"LOCALHOST:{visit.port}", f"[::1]:{visit.port}"):
                assert (await visit(path, host=host))[0] == 200, (path, host)
            for host in ("evil.example", "127.0.0.1", "127.0.0.1:1", f"127.1:{visit.port}"):
                status, _, body = await visit(path, host=host)
                assert (status, "answers only to" in body) == (403, True), (path, host)
            for header in (
                "Forwarded: for=192.0.2.1",
                "X-Forwarded-For:",
                "x-forwarded-server: a.example",
                "X-Forwarded: 1",
                "Via: 1.1 a.example",
                "X-Real-IP: 192.0.2.1",
                "X-Original-Host: a.example",
                "CF-Connecting-IP: 192.0.2.1",
                "True-Client-IP: 192.0.2.1",
            ):
                status, _, body = await visit(path, header)
                assert (status, NO_PROXY in body) == (403, True), (path, header)
            status, _, body = await visit(path, version="1.0")
            assert (status, NO_PROXY in body) == (403, True), path

    visiting(work)


def sent(site: str, mode: str, dest: str) -> tuple[str, str, str]:
    return f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}", f"Sec-Fetch-Dest: {dest}"


def test_pages_of_other_sites_may_link_here_and_nothing_else(visiting: Visiting) -> None:
    async def work(visit: Visit) -> None:
        for path in ("/search?q=storm", "/api/v1/search?q=storm", "/live/stream"):
            for site in ("cross-site", "same-site"):
                for how in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")):
                    status, _, body = await visit(path, *sent(site, *how))
                    assert (status, "its own pages only" in body) == (403, True), (path, how)
                link = sent(site, "navigate", "document")
                assert (await visit(path, *link))[0] == 200, path
                assert (await visit(path, *link, "Content-Length: 0", method="POST"))[0] == 403
            for site in ("none", "same-origin"):
                assert (await visit(path, *sent(site, "cors", "empty")))[0] == 200, path
        # The page of a picture is of no origin.
        assert (await visit("/static/picture.css", *sent("cross-site", "no-cors", "style")))[
            0
        ] == 200

    visiting(work)


def test_every_answer_is_protected(visiting: Visiting) -> None:
    async def work(visit: Visit) -> None:
        asked = [
            (method, path, host)
            for method in ("GET", "HEAD", "TRACE", "OPTIONS")
            for path in ("/", "/no", "/healthz", "/api/v1/keywords", "/api/v1/no", "/live/stream")
            for host in ("", "evil.example")
        ]
        asked += [("GET", f"/live/stream?{query}", "") for query in ("deck=9", "c1=x", "after=²")]
        for method, path, host in asked:
            _, headers, _ = await visit(path, method=method, host=host)
            assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS | {
                "Content-Security-Policy": headers["content-security-policy"]
            }, (method, path, host)
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "server" not in headers

    visiting(work)


def test_what_an_address_says_is_no_markup_in_the_answer(visiting: Visiting) -> None:
    async def work(visit: Visit) -> None:
        for path in ("/live/stream?c1=", "/live/stream?deck=", "/live?c1=", "/search?lang=", "/"):
            _, headers, body = await visit(path + quote(MARKUP))
            if headers["content-type"].startswith("text/html"):
                assert MARKUP not in body, path
        _, headers, body = await visit(f"/live/stream?c1={quote(MARKUP)}")
        assert MARKUP in body
        assert headers["content-type"] == "text/plain; charset=utf-8"

    visiting(work)


def test_a_live_stream_of_what_there_is_not_says_so(visiting: Visiting, engine: Engine) -> None:
    keywords.add(engine, "storm")
    keywords.set_state(engine, keywords.add(engine, "flood").id, "removed")

    async def work(visit: Visit) -> None:
        for query, status, words in (
            ("keyword=9", 404, "There is no keyword 9."),
            ("keyword=1&after=0", 200, ""),
            ("keyword=storm", 400, "“keyword” is 'storm': expected a whole number."),
            ("deck=mine", 400, "“deck” is 'mine': expected a whole number."),
            ("after=-1", 400, "“after” is '-1': expected a whole number."),
            ("keyword=2", 200, ""),
            ("c1=keyword:1&c2=keyword:9&c3=all&c3.keyword=9,1", 200, '"in":[1],"words":["There'),
            ("c1=keyword:2&c2=all&c2.keyword=-9&c3=search:9", 200, '"in":[2],"words":["The'),
        ):
            found, _, body = await visit(f"/live/stream?{quote(query, safe='=&:,')}")
            assert (found, words in body) == (status, True), (query, body)

    visiting(work)


@pytest.mark.parametrize("last", ["\xb2", "9" * 5_000, "-5", "x"])
@pytest.mark.parametrize("posts", [0, 3])
def test_a_last_event_that_was_never_sent_is_no_position(
    visiting: Visiting, engine: Engine, last: str, posts: int
) -> None:
    """What lies between is not known: that is said, as where it is gone."""
    keywords.add(engine, "storm")
    if posts:
        store(engine, take(engine), *(post(number) for number in range(posts)))

    async def work(visit: Visit) -> None:
        status, _, body = await visit("/live/stream", f"Last-Event-ID: {last}")
        assert (status, body) == (200, "event: reload\ndata: {}\n\n")
        address = "/live/stream?c1=all"
        body = await visit.hear("event: streams", address, f"Last-Event-ID: {last}")
        assert f"id: {posts}\nevent: missed\n" in body
        assert "event: post" not in body

    visiting(work)


def test_a_position_that_the_feed_has_not_reached_is_none_of_this_database(
    visiting: Visiting, engine: Engine
) -> None:
    """The page is of another one, such as the one before a backup was brought back."""
    keywords.add(engine, "storm")
    store(engine, take(engine), *(post(number) for number in range(3)))

    async def work(visit: Visit) -> None:
        for address in ("/live/stream?", "/live/stream?c1=all&", "/live/stream?c1=all&batch=1&"):
            for query, *more in (("after=4",), ("after=1", f"Last-Event-ID: {10**18 - 1}")):
                body = await visit.hear("event: reload\ndata: {}\n\n", f"{address}{query}", *more)
                assert "missed" not in body
            assert "event: streams" in await visit.hear("event: streams", f"{address}after=3")

    visiting(work)


def test_a_last_event_that_is_empty_is_none(visiting: Visiting) -> None:
    async def work(visit: Visit) -> None:
        status, _, body = await visit("/live/stream", "Last-Event-ID:")
        assert (status, "reload" in body) == (200, False)

    visiting(work)


def test_an_address_of_the_stream_that_says_no_number_is_refused(visiting: Visiting) -> None:
    async def work(visit: Visit) -> None:
        for name in ("keyword", "after", "deck"):
            for value in ("storm", "-1", "1.5", quote("\u00b2"), "9" * 19):
                status, _, body = await visit(f"/live/stream?{name}={value}")
                assert (status, f"\u201c{name}\u201d is" in body) == (400, True), (name, body)
            assert (await visit(f"/live/stream?{name}="))[0] == 200, name

    visiting(work)


def test_what_the_server_itself_refuses_is_a_problem_too(visiting: Visiting) -> None:
    no_boundary = "Content-Type: multipart/form-data"

    async def work(visit: Visit) -> None:
        for path in ("/api/v1/keywords", "/api/v1/nothing"):
            for method in ("TRACE", "CONNECT", "BREW", "get"):
                status, headers, body = await visit(path, method=method)
                assert headers["content-type"] == "application/problem+json"
                found = json.loads(body)
                assert (status, found["status"], found["code"]) == (405, 405, "method_not_allowed")
                assert method in found["detail"]
                assert "PATCH" in headers["allow"]
        found = await visit("/api/v1/keywords", no_boundary, "Content-Length: 0", method="POST")
        assert (found[0], json.loads(found[2])["code"]) == (415, "body_not_json")
        for path, method, more, status in (
            ("/search", "BREW", (), 405),
            ("/live/stream", "POST", (), 405),
            ("/live/stream", "GET", (no_boundary,), 400),
        ):
            found, headers, body = await visit(path, *more, method=method)
            assert (found, headers["content-type"]) == (status, "text/plain; charset=utf-8")
            assert "<html" not in body

    visiting(work)


def test_what_is_larger_than_any_body_or_form_is_said_as_any_error(visiting: Visiting) -> None:
    of_form = "Content-Type: application/x-www-form-urlencoded"
    fields = "&".join(f"f{n}=1" for n in range(4_000))
    long = "a" * (UPLOAD_BYTES + 1)

    async def work(visit: Visit) -> None:
        for body, length in (
            (long, f"Content-Length: {len(long)}"),
            (f"{len(long):x}\r\n{long}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        ):
            for path in ("/api/v1/keywords", "/api/v1/keywords/import"):
                more = ("Content-Type: application/json", length)
                status, headers, said = await visit(path, *more, method="POST", sent=body)
                assert headers["content-type"] == "application/problem+json"
                assert (status, json.loads(said)["code"]) == (413, "too_large")
            for path in ("/add_keyword", "/keywords/import"):
                status, headers, said = await visit(path, of_form, length, method="POST", sent=body)
                assert (status, headers["content-type"]) == (413, "text/html; charset=utf-8")
                assert "<html" in said
        more = (of_form, f"Content-Length: {len(fields)}")
        status, headers, said = await visit("/add_keyword", *more, method="POST", sent=fields)
        assert (status, headers["content-type"]) == (400, "text/html; charset=utf-8")
        status, _, said = await visit("/api/v1/keywords", *more, method="POST", sent=fields)
        assert (status, json.loads(said)["code"]) == (415, "body_not_json")
        status, headers, _ = await visit(f"/search?{fields}")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")

    visiting(work)


def test_a_body_that_comes_in_chunks_is_read(visiting: Visiting, engine: Engine) -> None:
    in_chunks = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    bodies = (
        ("POST", "keywords", '{"expression": "storm"}', 201),
        ("PATCH", "keywords/1", '{"keep_days": 7}', 200),
        ("DELETE", "keywords/1", '{"purge": true}', 200),
    )

    async def work(visit: Visit) -> None:
        for method, path, body, status in bodies:
            first, rest = body[:5], body[5:]
            sent = f"5\r\n{first}\r\n{len(rest):x}\r\n{rest}\r\n0\r\n\r\n"
            found = await visit(f"/api/v1/{path}", *in_chunks, method=method, sent=sent)
            assert found[0] == status, found
        word = "a" * 2_000_000
        sent = f'{len(word) + 17:x}\r\n{{"expression":"{word}"}}\r\n0\r\n\r\n'
        found = await visit("/api/v1/keywords", *in_chunks, method="POST", sent=sent)
        assert (found[0], "too_large" in found[2]) == (413, True), found
        row = keywords.get(engine, 1)
        assert (row.expression, row.keep_days, row.purge_at is not None) == ("storm", 7, True)

    visiting(work)
