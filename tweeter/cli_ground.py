"""What all commands stand on: data to stdout, words to stderr, errors as sentences.

Exit codes: 0 done · 1 failed · 2 something that the person can mend (the message says how) ·
4 token or plan · 5 limited or out of budget · 6 partly done · 7 not found · 78 the
database is another's now (errors.MUST_END) · 130 stopped.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

import click
import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import config as configuration
from tweeter import moments, problems
from tweeter.config import Config
from tweeter.errors import MUST_END, KeywordSyntaxError, MustEnd, TweeterError
from tweeter.harmless import lines, one_line
from tweeter.records import now_us
from tweeter.store import revisions, trouble
from tweeter.store.engine import make_engine
from tweeter.store.keyword_errors import KeywordNotFound
from tweeter.texts import plain
from tweeter.views.show import readable

PROGRAM = "python -m tweeter"  # as it is typed, and as it calls itself

FAILED, MEND, CREDENTIALS, LIMITED, PARTLY, NOT_FOUND = 1, 2, 4, 5, 6, 7

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # of what is written to

_AS_JSON = "tweeter.as_json"  # in the context: whether errors are wanted as JSON too


def _remember(context: click.Context, _: click.Parameter, value: bool) -> bool:
    context.meta[_AS_JSON] = value
    return value


JSON = click.option(
    "--json",
    "as_json",
    is_flag=True,
    callback=_remember,
    help="Print JSON, one value a line; errors as problem documents.",
)


class Moment(click.ParamType[int]):
    """2d, 36h, 30m (so long ago) or ISO 8601, as microseconds."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int:
        try:
            return value if isinstance(value, int) else moments.read(value, now_us())
        except moments.BadMoment as error:
            raise click.BadParameter(str(error), context, param) from error


MOMENT = Moment()


class Id(click.types.IntParamType):
    """A number of something, as far as a database can hold one."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int:
        found: int = super().convert(value, param, context)
        if not 0 <= found < 1 << 63:
            self.fail("There is no such number.", param, context)
        return found


ID = Id()


def say(words: str) -> None:
    """Tell the person; never mixed with data."""
    click.echo(lines(words), err=True)


def print_lines(*lines: str) -> None:
    """Print what a person asked for; strangers' words in it do nothing to the terminal."""
    for line in lines:
        click.echo(one_line(line))


def data(value: Any) -> None:
    """Print one JSON value as one line."""
    click.echo(msgspec.json.encode(value, enc_hook=plain).decode())


def moments_as_text(value: Any) -> Any:
    """A value for `data` as the API gives it: moments in ISO 8601, long ids as text."""
    return readable(msgspec.to_builtins(value, enc_hook=plain))


def fail(words: str, code: int = MEND) -> NoReturn:
    """Say what is wrong and leave."""
    say(words)
    sys.exit(code)


NONE_LATER: Mapping[str, str] = {}


class Guarded(click.Group):
    """Turns our exceptions into a sentence (or a problem document) and an exit code.

    later: commands that are loaded when they are asked for, as "module:name".
    """

    def __init__(self, *args: Any, later: Mapping[str, str] = NONE_LATER, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted({*super().list_commands(ctx), *self._later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, None if there is none."""
        if cmd_name not in self._later:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._later[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # What stands until the command's own options are read: they may be wrong.
        ctx.meta[_AS_JSON] = "--json" in args
        with _told(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _told(ctx):
            found = super().invoke(ctx)
            if sys.stdout:
                sys.stdout.flush()
            return found


@contextmanager
def _told(context: click.Context) -> Iterator[None]:
    """What can go wrong is said, as a sentence or a problem document, and gives the exit code."""
    try:
        yield
    except (TweeterError, SQLAlchemyError) as error:
        problem = problems.of(error)
        words = trouble.words_of_end(error) if isinstance(error, SQLAlchemyError) else str(error)
        if isinstance(error, KeywordNotFound):
            words += f" List them: {PROGRAM} keyword list"
        _say_problem(context, problem, words)
        sys.exit(MUST_END if isinstance(error, MustEnd) else _code(problem))
    except click.UsageError as error:
        if not context.meta.get(_AS_JSON):
            raise
        _say_problem(context, _of_usage(error), "")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `tweeter posts | head`
        _drop_output()
        sys.exit(0)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _drop_output()
        words = f"The output cannot be written: {error.strerror}."
        _say_problem(context, problems.of_request("internal", words), words)
        sys.exit(FAILED)


def _say_problem(context: click.Context, problem: problems.Problem, words: str) -> None:
    if context.meta.get(_AS_JSON):
        click.echo(msgspec.json.encode(problem.document()).decode(), err=True)
    else:
        say(words)


def _of_usage(error: click.UsageError) -> problems.Problem:
    """A wrong argument, with the code of its cause where that is ours."""
    words = error.format_message()
    if isinstance(error.__cause__, TweeterError):
        return msgspec.structs.replace(problems.of(error.__cause__), detail=words)
    return problems.of_request("bad_request", words)


def _drop_output() -> None:
    """Throw away what stdout does not take, or Python tries it once more at its end."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _code(problem: problems.Problem) -> int:
    if problem.code == "database" and problem.title == "The database does not answer":
        return FAILED
    return NOT_FOUND if problem.status == 404 else MEND


@contextmanager
def pointing_at(expression: str) -> Iterator[None]:
    """Shows a syntax error under the expression (unless the person wants JSON)."""
    try:
        yield
    except KeywordSyntaxError as error:
        if not click.get_current_context().meta.get(_AS_JSON):
            say(f"  {one_line(expression)}\n  {' ' * error.position}^")
        raise


def set_up(*, check: Callable[[Engine], None] | None = revisions.check) -> tuple[Config, Engine]:
    """The settings and this process's engine.

    check refuses a database that is not ready, before anything is made; None: it is made now.
    """
    config = configuration.load()
    engine = make_engine(config.database_url)
    is_first = check is None or config.data_dir.is_dir()
    if is_first:
        configuration.make_data_dir(config)
    if check is not None:
        check(engine)
    if not is_first:
        configuration.make_data_dir(config)
    return config, engine


def run(commands: click.Group) -> None:
    """Run what was typed, and leave with its exit code."""
    try:
        commands.main(prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
