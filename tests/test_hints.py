"""Hints between processes: heard where somebody listens, and missed without harm elsewhere."""

import select
import socket
from pathlib import Path

import pytest

from tweeter import hints


def is_told(ear: hints.Ear) -> bool:
    return bool(select.select([ear], [], [], 0)[0])


def test_who_listens_is_told(tmp_path: Path) -> None:
    ear = hints.Ear(tmp_path / "hints")
    assert not is_told(ear)
    for _ in range(2_000):  # more than a socket holds: nobody waits
        hints.tell(tmp_path / "hints")
    assert is_told(ear)
    ear.hear()
    assert not is_told(ear)
    ear.close()
    assert not list((tmp_path / "hints").iterdir())


def test_nobody_listens(tmp_path: Path) -> None:
    hints.tell(tmp_path / "hints")
    assert not (tmp_path / "hints").exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "99999999"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(left))
    ear = hints.Ear(tmp_path)
    hints.tell(tmp_path)
    assert is_told(ear)
    assert not left.exists()
    ear.close()


def test_a_folder_whose_name_is_too_long_for_a_socket_has_no_hints(tmp_path: Path) -> None:
    where = tmp_path / ("long" * 30)
    with pytest.raises(OSError, match="too long"):
        hints.Ear(where)
    (where / "1").touch()
    hints.tell(where)
