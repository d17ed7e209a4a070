"""The figures as a table: on the screen, in latest.json, in docs/performance.md."""

from pathlib import Path
from typing import Any

import msgspec

from bench.figures import Figure

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def table(figures: list[Figure], *, markdown: bool) -> str:
    """work | goal | figure (min – max) | verdict; what belongs to a figure stands in its work."""
    rows = [("work", "goal", "figure (min – max)", "verdict")]
    for one in figures:
        words = [one.work]
        if one.without:
            words.append(f"without: {one.without}")
        if one.note:
            words.append(one.note)
        goal = one.goal.words(one.unit) if one.goal else ""
        rows.append(("; ".join(words), goal, one.shown(), one.verdict()))
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([lines[0], "| --- | --- | ---: | --- |", *lines[1:]])
    widths = [max(len(row[n]) for row in rows) for n in (1, 2)]
    lines = []
    for work, goal, figure, verdict in rows:
        lines.append(f"{figure:>{widths[1]}}  {goal:<{widths[0]}}  {verdict:<18} {work}".rstrip())
    return "\n".join(lines)


def as_dict(figure: Figure) -> dict[str, Any]:
    """For latest.json: the figure, with its median and verdict."""
    found: dict[str, Any] = msgspec.to_builtins(figure)
    if figure.values:
        found["median"] = figure.value
    return found | {"verdict": figure.verdict()}


def into_docs(latest: dict[str, Any], page: Path = PAGE) -> None:
    """Put a run's table between the two markers of the page. Raises ValueError."""
    figures = [msgspec.convert(one, Figure, strict=False) for one in latest["figures"]]
    kind = "Quick run" if latest["quick"] else "Run"
    lines = [
        f"{kind} of {latest['at']}, {latest['took']}, works: {', '.join(latest['works'])}.",
        f"Machine: {latest['machine']}. Load before: {latest['load']}.",
        f"Python {latest['python']}, {latest['versions']}.",
    ]
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has not the two markers {BEGIN} and {END}")
    text = "\n".join(lines) + "\n\n" + table(figures, markdown=True)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
