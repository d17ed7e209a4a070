"""docs/commands.md shows the help of each command as it is.

To write the blocks again: python -m tests.commands.test_docs
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from tweeter.cli import LATER, cli

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
BLOCK = re.compile(r"```\n\$ (tweeter[^\n]*) --help\n(.*?)```", re.DOTALL)


def commands(
    group: click.Group = cli, above: tuple[str, ...] = ("tweeter",)
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
