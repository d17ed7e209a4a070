"""Verdicts, ratios, the table, and its place in the docs."""

from pathlib import Path

import pytest

from bench import crowd, peering, report, whole, works
from bench.figures import Figure, Goal, ratio
from bench.goals import GOALS


def figure(*values: float, **more: object) -> Figure:
    return Figure(name="a/b", work="a work", values=list(values), **more)  # type: ignore[arg-type]


def test_a_figure_is_its_median_with_the_least_and_the_most() -> None:
    assert figure(30_000, 10_000, 20_000).shown() == "20,000/s (10,000 – 30,000)"
    assert figure(20_000).shown() == "20,000/s (one run)"
    assert figure().shown() == "–"


def test_verdicts() -> None:
    least, most = Goal(least=100), Goal(most=60)
    assert figure(100, goal=least).verdict() == "met"
    assert figure(40, goal=least).verdict() == "below: 40% of it"
    assert figure(60, unit="ms", goal=most).verdict() == "met"
    assert figure(120, unit="ms", goal=most).verdict() == "below: 50% of it"
    assert figure(10**6, goal=least, wrong="2 posts lost").verdict() == "WRONG: 2 posts lost"
    assert figure(goal=least, left_out="no server").verdict() == "left out: no server"
    assert figure(1).verdict() == ""
    assert figure(1, goal=Goal(floor=2)).verdict() == ""  # only what was reached
    assert Goal(floor=2).words("x") == ""


def test_a_quick_run_fails_for_a_wrong_result_or_a_ratio_under_half_of_its_floor() -> None:
    gate, none = Goal(least=20, floor=8), Goal(least=100_000)
    assert not figure(4, unit="x", goal=gate).fails_quick()
    assert figure(3.9, unit="x", goal=gate).fails_quick()
    assert not figure(10, goal=none).fails_quick()  # a rate says nothing of another machine
    assert figure(10**6, goal=none, wrong="1 post lost").fails_quick()
    assert not figure(goal=gate, left_out="not installed").fails_quick()
    reached = Goal(floor=2.5)
    assert not figure(1.3, unit="x", goal=reached).fails_quick()
    assert figure(1.2, unit="x", goal=reached).fails_quick()
    most = Goal(most=1, floor=1.8)
    assert not figure(3.6, unit="x", goal=most).fails_quick()
    assert figure(3.7, unit="x", goal=most).fails_quick()


def test_a_ratio_is_of_medians_and_inherits_what_is_wrong() -> None:
    ours, theirs = figure(900, 1_000, 1_200), figure(90, 100, 110)
    made = ratio("r", "ours / theirs", ours, theirs, Goal(least=8))
    assert made.value == 10
    assert made.shown().startswith("10.0× (8.2 –")
    theirs.wrong = "a post is missing"
    assert "a post is missing" in ratio("r", "", ours, theirs, Goal(least=8)).verdict()
    absent = Figure(name="peer", work="", left_out="not installed: twarc")
    assert ratio("r", "", ours, absent, Goal(least=8)).left_out == "not installed: twarc"


def test_the_table_goes_between_the_markers_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    shown = figure(2_000, 1_000, 3_000, goal=Goal(least=1_000), without="a database")
    latest = {
        "quick": False,
        "works": ["whole"],
        "took": "3 min",
        "at": "2026-11-26",
        "machine": "2 × a processor",
        "load": "0.1",
        "python": "3.11",
        "versions": "SQLite 3",
        "figures": [report.as_dict(shown)],
    }
    report.into_docs(latest, page)
    text = page.read_text()
    row = "| a work; without: a database | ≥ 1,000/s | 2,000/s (1,000 – 3,000) | met |"
    assert row in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    report.into_docs(latest, page)
    assert page.read_text() == text
    page.write_text("no markers")
    with pytest.raises(ValueError, match="markers"):
        report.into_docs(latest, page)


def test_the_page_of_the_project_has_the_markers() -> None:
    text = report.PAGE.read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1


def test_each_goal_belongs_to_a_figure() -> None:
    folder = Path(works.__file__).parent
    source = "\n".join(p.read_text() for p in folder.rglob("*.py") if p.name != "goals.py")
    made = {line.name for line in whole.LINES} | {f"fanout/{n}/p99" for n, _ in crowd.CROWDS}
    made.add("growth/postgresql")
    made |= {f"{begin}{peer.ratio}" for begin in peering.OURS for peer in peering.PEERS}
    assert not [name for name in GOALS if name not in made and f'"{name}"' not in source]
