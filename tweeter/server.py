"""Tornado in front of Flask: pages run in threads, the live feed on the loop.

`tornado.wsgi.WSGIContainer` joins a whole response in memory and runs each step of a
streamed one on another thread. The bridge here calls the WSGI app, iterates and closes it in
one thread and waits for the client after each chunk.
"""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from tornado.httpserver import HTTPServer
from tornado.httputil import ParseBodyConfig, ParseUrlEncodedConfig, set_parse_body_config
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler, stream_request_body
from tornado.wsgi import WSGIContainer

from tweeter import hints, memory, problems
from tweeter.broadcast import Broadcast
from tweeter.config import Config
from tweeter.errors import ConfigError, MustEnd
from tweeter.store import health, revisions
from tweeter.views.api import PREFIX
from tweeter.views.guard import HEADERS, Guarded, refusal
from tweeter.views.live import LiveHandler
from tweeter.web import create_app

log = logging.getLogger("tweeter.server")

PAGE_THREADS = 8
HEALTH = "/healthz"
HEALTH_S = 5.0  # for its answer
UPLOAD_BYTES = 17 * 1024 * 1024  # a little more than web.IMPORT_BYTES: no page takes more
QUERY_FIELDS = 1 << 16  # more than fit in the first lines of a request, which Tornado bounds
STOP_S = 5.0
WATCH_S = 3.0  # between looks whether the database is still the one we know
STALLED_S = 30.0  # for a client to take a chunk of a page
_OF_STATUS = {400: "bad_request", 403: "not_served", 405: "method_not_allowed"}


@stream_request_body
class PageHandler(Guarded):
    """Hands a request to Flask in a thread, and its answer on, chunk by chunk.

    A body larger than Flask takes is read and forgotten: Flask is told how large it was and says
    so. Tornado would answer 400 without a word, in the middle of it.
    """

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    def initialize(self, container: WSGIContainer, pool: ThreadPoolExecutor) -> None:
        self._container = container
        self._pool = pool
        self._gone = False
        self._body = bytearray()
        self._body_bytes = 0
        self._refused = ""

    def check_xsrf_cookie(self) -> None:
        """Flask-WTF does this."""

    def compute_etag(self) -> None:
        """Flask does this."""

    def on_connection_close(self) -> None:
        self._gone = True
        super().on_connection_close()

    def prepare(self) -> None:
        self._refused = refusal(self.request, self.settings["port"])
        self.request.connection.set_max_body_size(sys.maxsize)  # type: ignore[union-attr]

    def data_received(self, chunk: bytes) -> None:
        self._body_bytes += len(chunk)
        if self._refused or self._body_bytes > UPLOAD_BYTES:
            self._body.clear()
        else:
            self._body += chunk

    def say(self, status: int, words: str) -> None:
        """Answer with a sentence; to programs with a problem."""
        if not self.request.path.startswith(f"{PREFIX}/"):
            super().say(status, words)
            return
        code = _OF_STATUS.get(status, "internal")
        self.set_status(status)
        self.set_header("Content-Type", problems.MEDIA_TYPE)
        self.finish(msgspec.json.encode(problems.of_request(code, words).document()))

    async def _answer(self, *_: str) -> None:
        if self._refused:
            self.say(403, self._refused)
            return
        loop = asyncio.get_running_loop()
        self.request.body = bytes(self._body)
        environ = self._container.environ(self.request)
        if environ.pop("HTTP_TRANSFER_ENCODING", ""):  # it came in chunks, which are joined now
            environ["CONTENT_LENGTH"] = str(self._body_bytes)
        with suppress(StreamClosedError):  # the client has gone, or has all it was promised
            await loop.run_in_executor(self._pool, self._run, environ, loop)
            if not self._finished:
                await self.finish()

    get = head = post = delete = patch = put = options = _answer

    def _run(self, environ: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: call the app, send what it gives, close it."""

        def start(
            status: str, headers: list[tuple[str, str]], _: Any = None
        ) -> Callable[[bytes], None]:
            self._start(status, headers)
            return lambda chunk: self._send(chunk, loop)

        chunks: Iterable[bytes] = self._container.wsgi_application(environ, start)
        try:
            for chunk in chunks:
                self._send(chunk, loop)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _start(self, status: str, headers: list[tuple[str, str]]) -> None:
        code, _, reason = status.partition(" ")
        self.set_status(int(code), reason)
        for name in ("Content-Type", *HEADERS):  # Flask's stand in their place
            self.clear_header(name)
        for name, value in headers:
            self.add_header(name, value)

    def _send(self, chunk: bytes, loop: asyncio.AbstractEventLoop) -> None:
        if self._gone:
            raise StreamClosedError
        if chunk:
            asyncio.run_coroutine_threadsafe(self._write(chunk), loop).result()

    async def _write(self, chunk: bytes) -> None:
        self.write(chunk)
        try:
            async with asyncio.timeout(STALLED_S):
                await self.flush()
        except TimeoutError:  # it would hold a thread of all pages for ever
            self._gone = True
            self.request.connection.stream.close()  # type: ignore[union-attr]
            raise StreamClosedError from None


class HealthHandler(PageHandler):
    """Answers within HEALTH_S also while the database takes questions and answers none: then the
    threads of all pages wait for it, so this one has a thread of its own.
    """

    async def _answer(self, *_: str) -> None:
        try:
            async with asyncio.timeout(HEALTH_S):
                await super()._answer()
        except TimeoutError:
            self._gone = True  # for the thread, should it go on
            self.set_status(503)
            self.set_header("Content-Type", "application/json")
            self.finish(msgspec.json.encode(health.silent()))

    get = head = _answer


class Server:
    """The web process: `run` serves until told to stop."""

    def __init__(self, config: Config, engine: Engine) -> None:
        self._config = config
        self._pages = ThreadPoolExecutor(PAGE_THREADS, "page")
        self._asking = ThreadPoolExecutor(2, "live")
        self._health = ThreadPoolExecutor(1, "health")
        self._broadcast = Broadcast(engine, self._asking)
        self._stopping = asyncio.Event()
        self._engine = engine
        self._must_end: MustEnd | None = None
        self._container = WSGIContainer(create_app(config, engine), self._pages)

    def _application(self, port: int) -> Application:
        live = {"broadcast": self._broadcast, "stopping": self._stopping}
        pages = {"container": self._container}
        return Application(
            [
                (r"/live/stream", LiveHandler, live),
                (HEALTH, HealthHandler, pages | {"pool": self._health}),
                (r".*", PageHandler, pages | {"pool": self._pages}),
            ],
            port=port,
            log_function=_log_request,
        )

    async def run(self, listening: socket.socket) -> None:
        """Serve on a bound socket until SIGTERM or SIGINT, then end in order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        port = listening.getsockname()[1]
        of_query = ParseUrlEncodedConfig(max_arguments=QUERY_FIELDS)
        set_parse_body_config(ParseBodyConfig(urlencoded=of_query))
        server = HTTPServer(self._application(port), max_buffer_size=UPLOAD_BYTES)
        server.add_socket(listening)
        log.info("web_listening url=http://%s:%d", self._config.host, port)
        memory.keep()
        watching = asyncio.create_task(self._watch())
        with self._hints(loop):
            await self._stopping.wait()
        watching.cancel()
        server.stop()
        async with asyncio.timeout(STOP_S):
            await asyncio.to_thread(self._pages.shutdown)
            await server.close_all_connections()
        for pool in (self._asking, self._health):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._must_end is not None:
            raise self._must_end

    @contextmanager
    def _hints(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """The feed is looked at as soon as somebody says that there is something new."""
        try:
            ear = hints.Ear(hints.folder(self._config.data_dir))
        except OSError as error:
            log.warning("no_hints reason=%s", error.strerror or error)
            yield
            return

        def heard() -> None:
            ear.hear()
            self._broadcast.hint()

        loop.add_reader(ear, heard)
        try:
            yield
        finally:
            loop.remove_reader(ear)
            ear.close()

    async def _watch(self) -> None:
        """Stop when the database was upgraded or moved away under us."""
        while self._must_end is None:
            await asyncio.sleep(WATCH_S)
            with suppress(SQLAlchemyError):  # away: it may come back
                try:
                    await asyncio.to_thread(revisions.refuse_change, self._engine)
                except MustEnd as error:
                    self._must_end = error
                    self._stopping.set()


def _log_request(handler: RequestHandler) -> None:
    status = handler.get_status()
    level = logging.INFO if status < 500 else logging.ERROR
    log.log(
        level,
        "request method=%s path=%s status=%d ms=%.0f",
        handler.request.method,
        handler.request.path,
        status,
        handler.request.request_time() * 1000,
    )


def bind(config: Config) -> socket.socket:
    """Take the port; raises ConfigError, saying what to do, if another program has it."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if config.web_processes > 1:  # the system spreads connections over them
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.setblocking(False)
    try:
        listening.bind((config.host, config.port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            [
                f"Port {config.port} on {config.host} is taken by another program"
                f" ({error.strerror}). Stop it, or choose another port: TWEETER_PORT=5001."
            ]
        ) from error
    listening.listen(512)
    return listening


def serve(config: Config, engine: Engine) -> None:
    """Bind and serve until told to stop."""
    listening = bind(config)

    async def run() -> None:
        await Server(config, engine).run(listening)

    asyncio.run(run())
