"""The configuration: settings.py, overridden by TWEETER_*, checked as a whole.

Every fault is reported at once, as a sentence with the name, the value (never a secret's) and
what was expected.
"""

import difflib
import hashlib
import logging
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import msgspec

from tweeter import settings
from tweeter.checks import CHECKS, Fault, MastodonServer
from tweeter.errors import ConfigError, TweeterError
from tweeter.harmless import lines, one_line

SECRETS = (
    "x_bearer_token",
    "mastodon_token",
    "mastodon_servers",
    "database_url",
    "broker_url",
    "secret_key",
)
IN_FORM = "in tweeter/settings.py"
NOT_IN_FORM = ("secret_key",)  # it may stand there
MISSING = object()
INTERNAL = ("TWEETER_SUPERVISED",)  # set by the supervisor for its children
SOCKET_PATH_BYTES = 100  # Unix refuses longer ones (108 with the closing NUL on Linux)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Checked settings; settings.py says what each means. Secrets are not in its repr."""

    data_dir: Path
    database_url: str
    broker_url: str  # "" = embedded
    host: str
    port: int
    web_processes: int
    workers: int
    slots: int
    worker_concurrency: int
    helpers: int
    slot_memory_mb: int
    x_bearer_token: str
    x_api_base: str
    x_plan: str
    x_day_posts: int
    x_month_posts: int
    x_recheck_days: int
    keep_days_x: int
    keep_days_bluesky: int
    keep_days_mastodon: int
    bluesky_url: tuple[str, ...]
    bluesky_zstd_dictionary: Path | None
    bluesky_api: str
    mastodon_url: str
    mastodon_token: str
    mastodon_streaming_url: str
    mastodon_servers: tuple[MastodonServer, ...]  # all of them, also the one above
    search_index: bool
    look_back_hours: int
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


def keep_days(config: Config) -> dict[str, int]:
    """How many days each network's posts are kept; 0: for ever."""
    return {
        "x": config.keep_days_x,
        "bluesky": config.keep_days_bluesky,
        "mastodon": config.keep_days_mastodon,
    }


def asks_bluesky(config: Config) -> bool:
    """Whether Bluesky may be asked for accounts: it is on, and so is its API."""
    return bool(config.bluesky_url and config.bluesky_api)


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check everything; raises ConfigError with one sentence for each fault."""
    faults = _unknown(environ) + _unknown_lines()
    values: dict[str, Any] = {}
    for name, check in CHECKS.items():
        raw, place, fault = _raw(name, environ)
        if fault:
            faults.append(fault)
            continue
        try:
            values[name] = check(raw)
        except Fault as expected:
            shown = "" if name in SECRETS else f" is {raw!r}"
            faults.append(f"{place}{shown}: expected {expected}.")
    if "data_dir" in values and values.get("database_url") == "":
        values["database_url"] = f"sqlite:///{values['data_dir'] / 'tweeter.db'}"
    faults += _mastodon(values)
    if values.get("web_processes", 1) > 1 and values.get("port") == 0:
        faults.append("TWEETER_PORT is 0 and TWEETER_WEB_PROCESSES more than 1: name a port.")
    if faults:
        raise ConfigError(faults)
    return Config(**values)


def _mastodon(values: dict[str, Any]) -> list[str]:
    """Join the one server to the list; what does not fit together."""
    url, token = values.get("mastodon_url"), values.get("mastodon_token")
    if token and url == "":
        return ["TWEETER_MASTODON_TOKEN is set and TWEETER_MASTODON_URL is not: set both."]
    if url:
        streaming = values.get("mastodon_streaming_url", "")
        one = MastodonServer(url=url, token=token or "", streaming_url=streaming)
        values["mastodon_servers"] = (one, *values.get("mastodon_servers", ()))
    hosts = [server.host for server in values.get("mastodon_servers", ())]
    twice = sorted({host for host in hosts if hosts.count(host) > 1})
    return [f"Mastodon's server {host} is given twice: keep one." for host in twice]


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
    return _line(name)


def _line(name: str) -> tuple[str, str, str]:
    """As `_raw`, of a line of settings.py."""
    place = f"{name} {IN_FORM}"
    value = getattr(settings, name, "" if name in NOT_IN_FORM else MISSING)
    if value is MISSING:
        return "", place, f"{name} is missing {IN_FORM}: docs/settings.md has its default."
    if isinstance(value, str | int | float | Path):
        return str(value), place, ""
    kind = "None" if value is None else f"a {type(value).__name__}"
    expected = 'expected text in quotes ("" for nothing), a number, True or False'
    return "", place, f"{place} is {kind}: {expected}."


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {f"TWEETER_{name.upper()}" for name in CHECKS}
    known |= {f"TWEETER_{name.upper()}_FILE" for name in SECRETS} | set(INTERNAL)
    faults = []
    for name in sorted(environ):
        if not name.startswith("TWEETER_") or name in known or name.startswith("TWEETER_TEST_"):
            continue
        faults.append(f"{name} is not a setting. {_nearest(name, known)}")
    return faults


def _unknown_lines() -> list[str]:
    """Lines of settings.py that set nothing; what it imports, and names with _ first, may stand."""
    return [
        f"{name} {IN_FORM} is not a setting. {_nearest(name.lower(), CHECKS)}"
        for name, value in sorted(vars(settings).items())
        if not (name in CHECKS or name.startswith("_"))
        and not (isinstance(value, ModuleType) or callable(value))
    ]


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else "docs/settings.md lists all."


# What is kept in the data directory.


def make_data_dir(config: Config) -> None:
    """Make the data directory, readable by its owner only; raises ConfigError.

    What this process and its children write from here on is so, too: the directory may have been
    there before, open to others, and the database may lie elsewhere.
    """
    os.umask(0o077)
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = config.data_dir / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        short = broker_socket(config).parent
        if short != config.data_dir and not config.broker_url:
            _own(short)
    except OSError as error:
        raise ConfigError(
            [
                f"TWEETER_DATA_DIR is '{config.data_dir}': expected a folder that this user"
                f" can write to ({error.strerror})."
            ]
        ) from error


def _own(folder: Path) -> None:
    """Make the folder of the broker's socket; raises ConfigError if others could put one there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or found.st_mode & 0o022:
        raise ConfigError(
            [
                f"{folder} is not this user's alone, so another could pretend to be the broker:"
                " remove it, or forbid others to write there (chmod go-w)."
            ]
        )


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


def old_installation_id(config: Config) -> str:
    """The id that version 0.1 kept here; today it is in the database. "" if there is none."""
    path = config.data_dir / "installation-id"
    return path.read_text().strip()[:32] if path.exists() else ""


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
    return Path(tempfile.gettempdir()) / f"tweeter-{os.getuid()}-{name}" / "broker.sock"


def broker_url(config: Config) -> str:
    """The URL for Celery."""
    return config.broker_url or f"redis+socket://{broker_socket(config)}"


@contextmanager
def errors_to_stderr() -> Iterator[None]:
    """Our errors as a sentence, and the exit code of every command that a person can mend.

    For processes that load no other command: `__main__.LEAN`.
    """
    try:
        yield
    except TweeterError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


class Tamed(logging.Formatter):
    """As another one formats, but strangers' words in it do nothing to the terminal.

    A message is one line, so that none of them looks like another event; the lines of a traceback
    below it begin with a space.
    """

    def __init__(self, other: logging.Formatter) -> None:
        super().__init__()
        self._other = other

    def format(self, record: logging.LogRecord) -> str:
        """Cleaned before: colours are the other's own."""
        record.msg, record.args = one_line(record.getMessage().rstrip()), None
        if record.exc_info:
            record.exc_text = indent(lines(self.formatException(record.exc_info)), " ")
        return self._other.format(record)


def log_to_stderr(config: Config) -> None:
    """One line an event."""
    handler = logging.StreamHandler()
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(Tamed(form))
    logging.basicConfig(level=config.log_level, handlers=[handler])
