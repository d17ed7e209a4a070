"""docs/commands.md shows the help of each command as it is.

To write the blocks again: python -m tests.commands.test_docs
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import tweeter
from tweeter.cli import LATER, cli
from tweeter.cli_ground import PROGRAM

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
BLOCK = re.compile(r"```\n\$ (python -m tweeter[^\n]*) --help\n(.*?)```", re.DOTALL)


def commands(
    group: click.Group = cli, above: tuple[str, ...] = (PROGRAM,)
) -> Iterator[tuple[str, str]]:
    """Each command as typed, with its help at 88 columns."""
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": 88}
    context = click.Context(group, info_name=" ".join(above), **settings)  # type: ignore[arg-type]
    yield " ".join(above), group.get_help(context)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            typed = " ".join((*above, name))
            inner = click.Context(command, info_name=typed, **settings)  # type: ignore[arg-type]
            yield typed, command.get_help(inner)


def test_each_command_and_its_help_is_in_the_page() -> None:
    shown = {name: text.rstrip() for name, text in BLOCK.findall(PAGE.read_text())}
    assert shown == {name: text.rstrip() for name, text in commands()}, __doc__


def printed(path: Path) -> Iterator[str]:
    """The texts in a file of ours that somebody may read: not what is said of its own parts."""
    if path.suffix == ".html":
        yield path.read_text()
        return
    tree = ast.parse(path.read_text())
    bodies = [getattr(one, "body", None) for one in ast.walk(tree)]
    said = {id(body[0].value) for body in bodies if isinstance(body, list) and is_text(body)}
    for one in ast.walk(tree):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in said:
            yield one.value


def is_text(body: list[Any]) -> bool:
    """Whether it begins with a docstring."""
    return bool(body) and isinstance(body[0], ast.Expr)


def test_commands_are_printed_as_they_are_typed() -> None:
    names = "|".join(cli.list_commands(click.Context(cli)))
    cut = re.compile(rf"(?<!python -m )\btweeter ({names})\b")
    package = Path(tweeter.__file__).parent
    texts = [
        (path.name, text)
        for path in (*package.rglob("*.py"), *package.rglob("*.html"))
        for text in printed(path)
    ]
    examples = PAGE.read_text().partition("## A few at work")[2].partition("## All commands")[0]
    for name, text in (*texts, *commands(), (PAGE.name, examples)):
        assert not cut.search(text), f"{name}: {text}"


def test_commands_that_are_loaded_late_have_their_own_names() -> None:
    context = click.Context(cli)
    for name in LATER:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_each_option_says_what_it_does() -> None:
    for name, text in commands():
        for line in text.partition("Options:")[2].splitlines():
            assert not re.fullmatch(r"  -\S+( [A-Z]+)?", line.rstrip()), f"{name}: {line}"


def write() -> None:
    before = PAGE.read_text().partition("## All commands")[0]
    blocks = [f"```\n$ {name} --help\n{text.rstrip()}\n```\n" for name, text in commands()]
    PAGE.write_text(f"{before}## All commands\n\n" + "\n".join(blocks))


if __name__ == "__main__":
    write()
