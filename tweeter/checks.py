"""One check a setting: text in, value out, Fault with what was expected."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

X_PLANS = ("pay-per-use", "enterprise", "small")
DICTIONARY_SHA256 = "b8d77b46"  # beginning; of Jetstream's v1 dictionary, id 1612007021
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Fault(Exception):
    """What was expected, as the end of a sentence."""


class MastodonServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server to follow. streams: public, public:local, hashtag:NAME; the token is a secret."""

    url: str
    token: str
    streams: tuple[str, ...] = ("public",)
    streaming_url: str = ""  # "": the server says

    @property
    def host(self) -> str:
        """With the port where one is given."""
        return urlsplit(self.url).netloc

    @property
    def stream(self) -> str:
        """The name of its stream."""
        return f"mastodon:{self.host}"

    def __repr__(self) -> str:
        return f"MastodonServer({self.url!r}, streams={self.streams!r})"


def _whole(low: int, high: int) -> Callable[[str], int]:
    def check(raw: str) -> int:
        try:
            value = int(raw.replace("_", ""))
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise Fault(f"a whole number from {low} to {high}")
        return value

    return check


def _folder(raw: str) -> Path:
    if not raw:
        raise Fault("a folder, such as tweeter-data")
    return Path(raw).expanduser().absolute()


def _host(raw: str) -> str:
    if raw not in LOOPBACK:
        raise Fault(
            "127.0.0.1, ::1 or localhost, because tweeter has no accounts yet and everybody"
            " who reaches it may change everything. To use it from elsewhere, forward the port"
            " over SSH: ssh -L 5000:127.0.0.1:5000 this-machine"
        )
    return "127.0.0.1" if raw == "localhost" else raw


def _database(raw: str) -> str:
    """With the driver that is installed. Read as SQLAlchemy does: a password may hold a slash."""
    if not raw:
        return ""
    found = re.fullmatch(_DATABASE, raw)
    if not found or found["name"].partition("+")[0] not in _DRIVERS:
        raise Fault(
            "a URL that begins with sqlite:///, postgresql:// or mysql:// (in a password @ is"
            " written %40)"
        )
    kind, _, driver = found["name"].partition("+")
    scheme = _DRIVERS[kind]
    if driver and driver != scheme.partition("+")[2]:
        raise Fault(f"a URL that begins with {kind}://, without another driver (+{driver})")
    rest = raw.partition("://")[2]
    if kind == "sqlite":
        if not rest.startswith("/") or found["database"] in ("", ":memory:"):
            raise Fault(
                "a file, such as sqlite:////home/me/tweeter.db (several processes share it)"
            )
        return f"sqlite://{rest}"
    port = found["port"] or "1"
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise Fault("a URL whose port is a number, such as postgresql://me@localhost:5432/tweeter")
    if kind in ("mysql", "mariadb"):
        if not found["database"]:
            raise Fault("a URL that names a database, such as mysql://me@localhost/tweeter")
        if "charset=" not in rest:
            rest += ("&" if "?" in rest else "?") + "charset=utf8mb4"
    return f"{scheme}://{rest}"


_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_DATABASE = (
    r"(?P<name>[\w+]+)://([^:/]*(:[^@]*)?@)?(\[[^]/?@]+\]|[^:/?@]+)?(:(?P<port>[^/?@]*))?"
    r"(/(?P<database>[^?]*))?(\?.*)?"
)


def _broker(raw: str) -> str:
    known = ("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")
    if raw and not raw.startswith(known):
        raise Fault("nothing (embedded), or a URL that begins with redis:// or amqp://")
    for url in raw.split(";"):  # Celery takes several, of which the next is used when one fails
        scheme, _, rest = url.partition("://")
        try:
            parts = urlsplit(f"//{rest}")
            fine = parts.port is None or parts.port > 0
        except ValueError:
            fine = False
        if not fine and scheme != "redis+socket":
            raise Fault(
                "a URL whose port is a number, such as redis://127.0.0.1:6379/0 (in a password"
                " / is written %2F, and @ %40)"
            )
        if scheme in ("redis", "rediss") and not re.fullmatch(r"/*\d*", parts.path, re.ASCII):
            raise Fault("a URL whose database is a number, such as redis://127.0.0.1:6379/0")
    return raw


def _url(*schemes: str, empty: bool) -> Callable[[str], str]:
    """A URL; the first scheme is the safe one, the others only for this machine."""

    def check(raw: str) -> str:
        if not raw and empty:
            return ""
        try:
            parts = urlsplit(raw)
            here = parts.hostname in LOOPBACK
            fine = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            fine = here = False
            parts = urlsplit("")
        if not fine or parts.scheme not in schemes or (parts.scheme != schemes[0] and not here):
            other = f" ({schemes[1]}:// only on this machine)" if len(schemes) > 1 else ""
            raise Fault(f"a URL that begins with {schemes[0]}://{other}")
        return raw.rstrip("/")

    return check


def _urls(*schemes: str) -> Callable[[str], tuple[str, ...]]:
    check = _url(*schemes, empty=False)
    return lambda raw: tuple(check(part) for part in raw.split())


def _servers(raw: str) -> tuple[MastodonServer, ...]:
    check, found = _url("https", "http", empty=False), []
    for line in raw.splitlines():
        url, *rest = line.split() or [""]
        if not url or url.startswith("#"):
            continue
        token, streams = (rest[0], rest[1:]) if rest else ("", [])
        wrong = [s for s in streams if not re.fullmatch(_STREAM, s)]
        if not token or wrong:
            raise Fault(
                "a server a line: URL TOKEN [STREAM …], where a stream is public,"
                " public:local, public:remote or hashtag:NAME"
            )
        found.append(
            MastodonServer(url=check(url), token=token, streams=tuple(streams) or ("public",))
        )
    return tuple(found)


_STREAM = r"public(:local|:remote)?|hashtag(:local)?:\w+"


def _one_of(*words: str) -> Callable[[str], str]:
    def check(raw: str) -> str:
        if raw not in words:
            raise Fault(f"one of {', '.join(words)}")
        return raw

    return check


def _yes_or_no(raw: str) -> bool:
    if raw.lower() not in ("true", "false"):
        raise Fault("true or false")
    return raw.lower() == "true"


def _dictionary(raw: str) -> Path | None:
    if not raw:
        return None
    path = Path(raw).expanduser().absolute()
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise Fault("the path of a file that is there") from None
    if not found.startswith(DICTIONARY_SHA256):
        raise Fault(
            f"Jetstream's v1 dictionary, whose SHA-256 begins {DICTIONARY_SHA256} (this file's"
            f" begins {found[:8]})"
        )
    return path


def _files(raw: str) -> tuple[Path, ...]:
    paths = [Path(part).expanduser().absolute() for part in raw.split(os.pathsep) if part]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise Fault(f"files that are there (missing: {', '.join(missing)})")
    return tuple(paths)


def _speed(raw: str) -> str:
    if not re.fullmatch(r"max|[1-9]\d{0,4}(\.\d+)?x|[1-9]\d{0,6}/s", raw):
        raise Fault("max, 10x or 50/s")
    return raw


def _level(raw: str) -> str:
    if raw.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise Fault("DEBUG, INFO, WARNING or ERROR")
    return raw.upper()


def _token(raw: str) -> str:
    if re.search(r"\s", raw) or not raw.isascii():
        raise Fault("a bearer token: ASCII without spaces or line breaks")
    return raw


def _key(raw: str) -> str:
    if raw and len(raw) < 16:
        raise Fault("at least 16 characters, chosen at random")
    return raw


CHECKS: dict[str, Callable[[str], Any]] = {
    "data_dir": _folder,
    "database_url": _database,
    "broker_url": _broker,
    "host": _host,
    "port": _whole(0, 65_535),
    "web_processes": _whole(1, 64),
    "workers": _whole(1, 64),
    "slots": _whole(1, 64),
    "worker_concurrency": _whole(0, 256),
    "helpers": _whole(-1, 64),
    "slot_memory_mb": _whole(0, 1_000_000),
    "x_bearer_token": _token,
    "x_api_base": _url("https", "http", empty=False),
    "x_plan": _one_of(*X_PLANS),
    "x_day_posts": _whole(0, 100_000_000),
    "x_month_posts": _whole(0, 1_000_000_000),
    "x_recheck_days": _whole(0, 365),
    "keep_days_x": _whole(0, 36_500),
    "keep_days_bluesky": _whole(0, 36_500),
    "keep_days_mastodon": _whole(0, 36_500),
    "bluesky_url": _urls("wss", "ws"),
    "bluesky_zstd_dictionary": _dictionary,
    "bluesky_api": _url("https", "http", empty=True),
    "mastodon_url": _url("https", "http", empty=True),
    "mastodon_token": _token,
    "mastodon_streaming_url": _url("wss", "ws", empty=True),
    "mastodon_servers": _servers,
    "search_index": _yes_or_no,
    "look_back_hours": _whole(0, 24 * 30),
    "replay": _files,
    "replay_speed": _speed,
    "max_keywords": _whole(0, 10_000_000),
    "batch_posts": _whole(1, 10_000),
    "commit_window_ms": _whole(0, 10_000),
    "journal_limit_mb": _whole(1, 1_000_000),
    "feed_keep_hours": _whole(1, 24 * 365),
    "quarantine_rows": _whole(0, 10_000_000),
    "quarantine_mb": _whole(0, 1_000_000),
    "log_level": _level,
    "secret_key": _key,
}
