"""The configuration: settings.py, overridden by TWEETER_*, checked as a whole.

Every fault is reported at once, as a sentence with the name, the value (never a secret's) and
what was expected.
"""

import difflib
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tweeter import settings
from tweeter.errors import ConfigError

SECRETS = ("x_bearer_token", "database_url", "broker_url", "secret_key")
INTERNAL = ("TWEETER_SUPERVISED",)  # set by the supervisor for its children
SOCKET_PATH_BYTES = 100  # Unix refuses longer ones (108 with the closing NUL on Linux)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Checked settings; settings.py says what each means. Secrets are not in its repr."""

    data_dir: Path
    database_url: str
    broker_url: str  # "" = embedded
    host: str
    port: int
    workers: int
    slots: int
    worker_concurrency: int
    x_bearer_token: str
    x_api_base: str
    bluesky_url: str
    bluesky_zstd_dictionary: Path | None
    replay: tuple[Path, ...]
    replay_speed: str
    max_keywords: int
    batch_posts: int
    commit_window_ms: int
    journal_limit_mb: int
    feed_keep_hours: int
    quarantine_rows: int
    quarantine_mb: int
    log_level: str
    secret_key: str  # "" = made at first use, in data_dir

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name in SECRETS and value else value!r}"
            for name, value in msgspec.structs.asdict(self).items()
        )
        return f"Config({', '.join(shown)})"


class _Fault(Exception):
    """What was expected, as the end of a sentence."""


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check everything; raises ConfigError with one sentence for each fault."""
    faults = _unknown(environ)
    values: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        raw, place, fault = _raw(name, environ)
        if fault:
            faults.append(fault)
            continue
        try:
            values[name] = check(raw)
        except _Fault as expected:
            shown = "" if name in SECRETS else f" is {raw!r}"
            faults.append(f"{place}{shown}: expected {expected}.")
    if "data_dir" in values and values.get("database_url") == "":
        values["database_url"] = f"sqlite:///{values['data_dir'] / 'tweeter.db'}"
    if faults:
        raise ConfigError(faults)
    return Config(**values)


def _raw(name: str, environ: Mapping[str, str]) -> tuple[str, str, str]:
    """Value as text, the name of the place it stands in, and a fault ("" if none)."""
    variable = f"TWEETER_{name.upper()}"
    file = environ.get(f"{variable}_FILE", "") if name in SECRETS else ""
    if file and variable in environ:
        return "", variable, f"{variable} and {variable}_FILE are both set: keep one."
    if file:
        try:
            return Path(file).read_text().strip(), f"{variable}_FILE", ""
        except (OSError, UnicodeDecodeError) as error:
            return "", variable, f"{variable}_FILE is {file!r}: cannot be read ({error})."
    if variable in environ:
        return environ[variable].strip(), variable, ""
    return str(getattr(settings, name, "")), f"{name} in tweeter/settings.py", ""


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {f"TWEETER_{name.upper()}" for name in _CHECKS}
    known |= {f"TWEETER_{name.upper()}_FILE" for name in SECRETS} | set(INTERNAL)
    faults = []
    for name in sorted(environ):
        if not name.startswith("TWEETER_") or name in known or name.startswith("TWEETER_TEST_"):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else " docs/settings.md lists all."
        faults.append(f"{name} is not a setting.{hint}")
    return faults


# One check a setting: text in, value out, _Fault with what was expected.


def _whole(low: int, high: int) -> Callable[[str], int]:
    def check(raw: str) -> int:
        try:
            value = int(raw.replace("_", ""))
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise _Fault(f"a whole number from {low} to {high}")
        return value

    return check


def _folder(raw: str) -> Path:
    if not raw:
        raise _Fault("a folder, such as tweeter-data")
    return Path(raw).expanduser().absolute()


def _host(raw: str) -> str:
    if raw not in LOOPBACK:
        raise _Fault(
            "127.0.0.1, ::1 or localhost, because tweeter has no accounts yet and everybody"
            " who reaches it may change everything. To use it from elsewhere, forward the port"
            " over SSH: ssh -L 5000:127.0.0.1:5000 this-machine"
        )
    return "127.0.0.1" if raw == "localhost" else raw


def _database(raw: str) -> str:
    drivers = {
        "postgres": "postgresql+psycopg",
        "postgresql": "postgresql+psycopg",
        "mysql": "mysql+pymysql",
        "mariadb": "mysql+pymysql",
    }
    if not raw:
        return ""
    scheme, found, rest = raw.partition("://")
    if not found or scheme.partition("+")[0] not in {"sqlite", *drivers}:
        raise _Fault("a URL that begins with sqlite:///, postgresql:// or mysql://")
    scheme = drivers.get(scheme, scheme)
    if scheme.startswith("sqlite") and rest in ("", "/", "/:memory:"):
        raise _Fault("a file, such as sqlite:////home/me/tweeter.db (several processes share it)")
    if scheme.startswith("mysql") and "charset=" not in rest:
        rest += ("&" if "?" in rest else "?") + "charset=utf8mb4"
    return f"{scheme}://{rest}"


def _broker(raw: str) -> str:
    known = ("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")
    if raw and not raw.startswith(known):
        raise _Fault("nothing (embedded), or a URL that begins with redis:// or amqp://")
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
            raise _Fault(f"a URL that begins with {schemes[0]}://{other}")
        return raw.rstrip("/")

    return check


def _file(raw: str) -> Path | None:
    if not raw:
        return None
    path = Path(raw).expanduser().absolute()
    if not path.is_file():
        raise _Fault("the path of a file that is there")
    return path


def _files(raw: str) -> tuple[Path, ...]:
    paths = [Path(part).expanduser().absolute() for part in raw.split(os.pathsep) if part]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise _Fault(f"files that are there (missing: {', '.join(missing)})")
    return tuple(paths)


def _speed(raw: str) -> str:
    if not re.fullmatch(r"max|[1-9]\d{0,4}(\.\d+)?x|[1-9]\d{0,6}/s", raw):
        raise _Fault("max, 10x or 50/s")
    return raw


def _level(raw: str) -> str:
    if raw.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise _Fault("DEBUG, INFO, WARNING or ERROR")
    return raw.upper()


def _token(raw: str) -> str:
    if re.search(r"\s", raw) or not raw.isascii():
        raise _Fault("a bearer token: ASCII without spaces or line breaks")
    return raw


def _key(raw: str) -> str:
    if raw and len(raw) < 16:
        raise _Fault("at least 16 characters, chosen at random")
    return raw


_CHECKS: dict[str, Callable[[str], Any]] = {
    "data_dir": _folder,
    "database_url": _database,
    "broker_url": _broker,
    "host": _host,
    "port": _whole(0, 65_535),
    "workers": _whole(1, 64),
    "slots": _whole(1, 64),
    "worker_concurrency": _whole(0, 256),
    "x_bearer_token": _token,
    "x_api_base": _url("https", "http", empty=False),
    "bluesky_url": _url("wss", "ws", empty=True),
    "bluesky_zstd_dictionary": _file,
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


# What is kept in the data directory.


def make_data_dir(config: Config) -> None:
    """Make the data directory, readable by its owner only; raises ConfigError."""
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = config.data_dir / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            [
                f"TWEETER_DATA_DIR is '{config.data_dir}': expected a folder that this user"
                f" can write to ({error.strerror})."
            ]
        ) from error


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The text of a small private file, made at first use; safe when two processes race."""
    if not path.exists():
        make_data = make()
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:  # mode 0600
            file.write(make_data)
        try:
            os.link(file.name, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(file.name)
    return path.read_text().strip()


def installation_id(config: Config) -> str:
    """8 hex characters that tell this installation's rules at X from others'."""
    return _kept(config.data_dir / "installation-id", lambda: secrets.token_hex(4))


def secret_key(config: Config) -> bytes:
    """The key that signs cookies and forms: the setting, or one made at random and kept."""
    text = config.secret_key or _kept(config.data_dir / "secret-key", lambda: secrets.token_hex(32))
    return text.encode()


def broker_socket(config: Config) -> Path:
    """Where the embedded broker listens: in the data directory, or a short folder of /tmp."""
    path = config.data_dir / "broker.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(config.data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tweeter-{os.getuid()}-{name}.sock"


def broker_url(config: Config) -> str:
    """The URL for Celery."""
    return config.broker_url or f"redis+socket://{broker_socket(config)}"
