"""Settings: overridden, checked, and every fault said at once."""

import hashlib
import os
import pathlib
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tweeter import checks, config, settings
from tweeter.checks import X_PLANS
from tweeter.errors import ConfigError
from tweeter.keywords.x_limits import PLANS


def faults(**environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load({f"TWEETER_{name}": value for name, value in environ.items()})
    return caught.value.faults


def test_the_form_as_shipped_is_right(tmp_path: Path) -> None:
    loaded = config.load({"TWEETER_DATA_DIR": str(tmp_path)})
    assert loaded.port == 5000
    assert loaded.database_url == f"sqlite:///{tmp_path}/tweeter.db"
    assert all(url.startswith("wss://") for url in loaded.bluesky_url)


def test_every_setting_of_the_form_is_checked_and_none_is_missing() -> None:
    form = {name for name in vars(settings) if not name.startswith("_")}
    assert form == set(config.Config.__struct_fields__) - {"secret_key"}


def test_all_faults_are_reported_at_once_with_name_value_and_expectation() -> None:
    found = faults(PORT="many", HOST="0.0.0.0", REPLAY="/nowhere.jsonl", PRT="1")
    assert len(found) == 4
    assert "TWEETER_PRT is not a setting. Did you mean TWEETER_PORT?" in found
    assert "TWEETER_PORT is 'many': expected a whole number from 0 to 65535." in found
    assert any("/nowhere.jsonl" in fault for fault in found)
    assert any("0.0.0.0" in fault and "ssh" in fault for fault in found)


def test_a_line_of_the_form_that_sets_nothing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "keep_days_blueksy", 30, raising=False)
    monkeypatch.setattr(settings, "mastodon_ulr", "https://a.example", raising=False)
    monkeypatch.setattr(settings, "WORKERS", 3, raising=False)
    monkeypatch.delattr(settings, "mastodon_url")
    assert faults() == [
        "WORKERS in tweeter/settings.py is not a setting. Did you mean workers?",
        "keep_days_blueksy in tweeter/settings.py is not a setting. Did you mean"
        " keep_days_bluesky?",
        "mastodon_ulr in tweeter/settings.py is not a setting. Did you mean mastodon_url?",
        "mastodon_url is missing in tweeter/settings.py: docs/settings.md has its default.",
    ]
    monkeypatch.undo()
    monkeypatch.delattr(settings, "port")
    assert config.load({"TWEETER_PORT": "5001"}).port == 5001, "the environment has it"


def test_the_form_may_import_and_have_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("pathlib", pathlib), ("Path", Path), ("_home", "/home/me")):
        monkeypatch.setattr(settings, name, value, raising=False)
    monkeypatch.setattr(settings, "data_dir", Path("/somewhere"))
    assert config.load({}).data_dir == Path("/somewhere")


def test_a_line_of_the_form_is_text_a_number_or_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "x_bearer_token", None)
    monkeypatch.setattr(settings, "mastodon_token", ["s3cret"])
    expected = 'expected text in quotes ("" for nothing), a number, True or False.'
    assert faults() == [
        f"x_bearer_token in tweeter/settings.py is None: {expected}",
        f"mastodon_token in tweeter/settings.py is a list: {expected}",
    ]


def test_a_switch_is_on_or_off(tmp_path: Path) -> None:
    where = {"TWEETER_DATA_DIR": str(tmp_path)}
    assert config.load(where).search_index is True
    assert config.load({**where, "TWEETER_SEARCH_INDEX": "False"}).search_index is False
    assert faults(SEARCH_INDEX="no") == ["TWEETER_SEARCH_INDEX is 'no': expected true or false."]


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    secret = "AAAA-secret bearer"
    assert secret not in " ".join(faults(X_BEARER_TOKEN=secret))
    url = "postgresql://me:hunter2@db/x"
    loaded = config.load({"TWEETER_DATABASE_URL": url, "TWEETER_X_BEARER_TOKEN": "tok3n"})
    assert "hunter2" not in repr(loaded)
    assert "tok3n" not in repr(loaded)
    assert "hunter2" not in " ".join(faults(DATABASE_URL="oracle://me:hunter2@db/x"))


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")
    assert config.load({"TWEETER_X_BEARER_TOKEN_FILE": str(file)}).x_bearer_token == "abc"
    assert "both set" in faults(X_BEARER_TOKEN_FILE=str(file), X_BEARER_TOKEN="x")[0]
    assert "cannot be read" in faults(X_BEARER_TOKEN_FILE=str(tmp_path / "none"))[0]


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("mysql://u@h/d", "mysql+pymysql://u@h/d?charset=utf8mb4"),
        ("mariadb://u@h/d?ssl=1", "mysql+pymysql://u@h/d?ssl=1&charset=utf8mb4"),
        ("mariadb+pymysql://u@h/d", "mysql+pymysql://u@h/d?charset=utf8mb4"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("sqlite+pysqlite:////tmp/me@home/x.db", "sqlite:////tmp/me@home/x.db"),
    ],
)
def test_database_urls_get_the_driver_that_is_installed(url: str, driver: str) -> None:
    assert config.load({"TWEETER_DATABASE_URL": url}).database_url == driver


def test_plain_http_only_to_this_machine() -> None:
    assert "https://" in faults(X_API_BASE="http://api.x.com")[0]
    loaded = config.load({"TWEETER_X_API_BASE": "http://127.0.0.1:8080/"})
    assert loaded.x_api_base == "http://127.0.0.1:8080"


def test_kept_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    loaded = config.load({"TWEETER_DATA_DIR": str(tmp_path / "data")})
    config.make_data_dir(loaded)
    assert config.secret_key(loaded) == config.secret_key(loaded)
    assert config.old_installation_id(loaded) == ""
    assert (tmp_path / "data" / "secret-key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_long_data_directory_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    loaded = config.load({"TWEETER_DATA_DIR": str(deep)})
    assert len(bytes(config.broker_socket(loaded))) <= config.SOCKET_PATH_BYTES


@pytest.mark.parametrize("how", ["mode", "link", "file"])
def test_nobody_else_can_be_the_broker_of_a_long_data_directory(tmp_path: Path, how: str) -> None:
    loaded = config.load({"TWEETER_DATA_DIR": str(tmp_path / ("d" * 90) / uuid.uuid4().hex)})
    folder = config.broker_socket(loaded).parent
    config.make_data_dir(loaded)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    if how == "mode":
        folder.mkdir()
        folder.chmod(0o777)
    elif how == "link":
        folder.symlink_to(tmp_path)
    else:
        folder.touch()
    with pytest.raises(ConfigError):
        config.make_data_dir(loaded)
    folder.rmdir() if how == "mode" else folder.unlink()


def test_the_plans_of_x_are_those_that_the_packer_knows() -> None:
    assert set(X_PLANS) == set(PLANS)


def test_mastodon_servers_are_a_list_and_one_more(tmp_path: Path) -> None:
    loaded = config.load(
        {
            "TWEETER_DATA_DIR": str(tmp_path),
            "TWEETER_MASTODON_URL": "https://one.example",
            "TWEETER_MASTODON_TOKEN": "secret-one",
            "TWEETER_MASTODON_SERVERS": "# more\nhttps://two.example/ secret-two public hashtag:a",
        }
    )
    one, two = loaded.mastodon_servers
    assert (one.url, one.token, one.streams) == ("https://one.example", "secret-one", ("public",))
    assert (two.url, two.streams) == ("https://two.example", ("public", "hashtag:a"))
    assert "secret-" not in repr(loaded)


def test_mastodon_settings_that_do_not_fit_together_are_named() -> None:
    assert "set both" in faults(MASTODON_TOKEN="t")[0]
    (fault,) = faults(MASTODON_SERVERS="https://a.example token publik")
    assert "token" not in fault.partition("expected")[0].replace("TWEETER_MASTODON_SERVERS", "")
    twice = faults(MASTODON_SERVERS="https://a.example t\nhttps://a.example u")
    assert "given twice" in twice[0]


def test_a_port_of_the_database_is_a_number() -> None:
    for place in ("h:port/x", "u:p/w@h:port/x", "[::1]:port/x", "h:70000/x"):
        with pytest.raises(ConfigError, match="port is a number"):
            config.load({"TWEETER_DATABASE_URL": f"postgresql://{place}"})
    for place in ("h:5432/x", "u:p:w@h/x", "[::1]/x", "/x?host=/run/pg"):
        config.load({"TWEETER_DATABASE_URL": f"postgresql://{place}"})


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:notaport/0",
        "redis://me:p/w@127.0.0.1:6379/0",
        "amqp://me@127.0.0.1:70000//",
        "amqp://me@here//;amqp://me@there:port//",
    ],
)
def test_a_port_of_the_broker_is_a_number(url: str) -> None:
    (fault,) = faults(BROKER_URL=url)
    assert fault.startswith("TWEETER_BROKER_URL: expected a URL whose port is a number")


def test_a_database_of_redis_is_a_number() -> None:
    assert "whose database is a number" in faults(BROKER_URL="redis://127.0.0.1:6379/one")[0]
    fine = ("redis://h", "rediss://:p@h:6379/1?ssl_cert_reqs=none", "redis+socket:///run/r.sock")
    for url in (*fine, "amqp://u:p@h:5672/a-host", "amqp://a//;amqp://[::1]:5672//"):
        assert config.load({"TWEETER_BROKER_URL": url}).broker_url == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://root@127.0.0.1", "names a database, such as mysql://"),
        ("mysql://root@127.0.0.1:3306/?charset=utf8mb4", "names a database, such as mysql://"),
        ("mysql+asyncmy://u@h/d", "without another driver (+asyncmy)"),
        ("postgresql+asyncpg://u@h/d", "without another driver (+asyncpg)"),
        ("sqlite+aiosqlite:////tmp/x.db", "without another driver (+aiosqlite)"),
        ("sqlite://x.db", "a file, such as sqlite:////"),
        ("postgresql://u:p@ss@h/d", "in a password @ is written %40"),
    ],
)
def test_a_database_that_cannot_be_reached_so_is_a_fault(url: str, expected: str) -> None:
    (fault,) = faults(DATABASE_URL=url)
    assert expected in fault
    assert "p@ss" not in fault


def test_the_dictionary_of_jetstream_is_known_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dictionary"
    assert "a file that is there" in faults(BLUESKY_ZSTD_DICTIONARY=str(file))[0]
    file.write_bytes(b"not it")
    (fault,) = faults(BLUESKY_ZSTD_DICTIONARY=str(file))
    its = hashlib.sha256(b"not it").hexdigest()[:8]
    assert f"begins b8d77b46 (this file's begins {its})" in fault
    monkeypatch.setattr(checks, "DICTIONARY_SHA256", its)
    loaded = config.load({"TWEETER_BLUESKY_ZSTD_DICTIONARY": str(file)})
    assert loaded.bluesky_zstd_dictionary == file


LOGS = """
import logging
from tweeter import config, keeper, tasks
{set_up}
log = logging.getLogger("{name}")
log.warning("said %s", "a\\x1b[31m\\x9b2J\\u202ez\\nforged")
try:
    raise ValueError("b\\x1b[32m\\nforged")
except ValueError:
    log.exception("failed")
"""


@pytest.mark.parametrize("name", ["tweeter.follow", "celery.task"])
@pytest.mark.parametrize("set_up", ["config.log_to_stderr(tasks.config)", "tasks.app.log.setup()"])
def test_what_strangers_wrote_does_nothing_to_who_reads_the_log(
    tmp_path: Path, set_up: str, name: str
) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("TWEETER_")}
    code = LOGS.format(set_up=set_up, name=name)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env | {"TWEETER_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "said a\ufffd[31m\ufffd2Jz forged\n" in done.stderr
    assert " ValueError: b\ufffd[32m\n forged\n" in done.stderr
    assert "\x1b" not in done.stderr
    assert "\nforged" not in done.stderr
