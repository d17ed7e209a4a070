"""The runner of all tests: what fails beside others, and what fails alone, too."""

from pathlib import Path

import pytest

from tests.__main__ import MOST_AGAIN, parts, run, verdict

ROOT = Path(__file__).parent.parent
ONCE = """
from pathlib import Path

def test_once():
    before = Path(__file__).with_suffix(".ran")
    ran = before.exists()
    before.touch()
    assert ran
"""


def file_of(folder: Path, name: str, text: str) -> list[str]:
    path = folder / f"test_{name}.py"
    path.write_text(text)
    return [str(path)]


def test_every_file_is_in_one_part() -> None:
    dealt = [file for files in parts() for file in files]
    assert sorted(dealt) == sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")
    )


def test_what_passes_alone_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [file_of(tmp_path, "once", ONCE), file_of(tmp_path, "well", "def test_well(): pass")]
    assert verdict(*run(files, tmp_path / "notes")) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Passed only alone: ")
    assert last.endswith("test_once.py::test_once")


def test_what_fails_alone_too_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [file_of(tmp_path, "ill", "def test_ill(): assert False")]
    assert verdict(*run(files, tmp_path / "notes")) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("test_ill.py::test_ill")


def test_a_part_that_ends_otherwise_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {
        "import": "import a_module_that_is_not_there",
        "death": "import os\ndef test_death(): os._exit(1)",
        "nothing": "def helper(): pass",
    }
    files = [file_of(tmp_path, name, text) for name, text in texts.items()]
    assert verdict(*run(files, tmp_path / "notes")) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Failed: ")
    assert {word.strip(".,") for word in last.split()[1:]} == {"Part", "1", "2", "3"}


def test_many_are_not_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = "".join(
        ONCE.replace("test_once", f"test_{n}").replace(".ran", f".{n}") for n in range(9)
    )
    assert MOST_AGAIN < 9
    assert verdict(*run([file_of(tmp_path, "many", many)], tmp_path / "notes")) == 1
    assert "Passed only alone" not in capsys.readouterr().out
