"""Forms: what a person may send, checked; CSRF protection comes with each."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    FileField,
    IntegerField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange
from wtforms.validators import Optional as MayBeEmpty

from tweeter.store.keywords import KeywordRow, Options

EXPRESSION_CHARACTERS = 1024
NETWORKS = [("x", "X"), ("bluesky", "Bluesky"), ("mastodon", "Mastodon"), ("demo", "demo")]


class _Whole(IntegerField):  # type: ignore[misc]
    """A whole number, with a sentence of ours for what is none."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata([value.strip().replace(",", "") for value in valuelist])
        except ValueError as error:
            raise ValueError("A whole number, such as 500.") from error


def _number(label: str, most: int) -> Any:
    words = f"A whole number from 0 to {most:,}."
    return _Whole(label, default=0, validators=[MayBeEmpty(), NumberRange(0, most, words)])


class KeywordForm(FlaskForm):  # type: ignore[misc]
    """A keyword's expression and what is chosen beside it; the grammar is the store's matter."""

    expression = StringField(
        "Keyword",
        filters=[lambda value: value.strip() if value else value],
        validators=[
            InputRequired("Write a word, a “phrase”, or several joined by OR, AND, NOT."),
            Length(max=EXPRESSION_CHARACTERS, message="At most 1,024 characters."),
        ],
    )
    networks = SelectMultipleField(
        "Networks (none chosen: all)",
        choices=[SelectChoice(name, label) for name, label in NETWORKS],
    )
    day_budget = _number("Posts read at X a day, at most (0: no limit)", 100_000_000)
    month_budget = _number("A month, at most", 1_000_000_000)
    keep_days = _number("Delete its posts after so many days (0: never)", 36_500)

    def options(self) -> Options:
        """What is chosen beside the expression."""
        return Options(
            networks=tuple(self.networks.data or ()),
            day_budget=self.day_budget.data or 0,
            month_budget=self.month_budget.data or 0,
            keep_days=self.keep_days.data or 0,
        )

    def show(self, row: KeywordRow) -> None:
        """Fill the form with what is kept."""
        self.expression.data = row.expression
        self.networks.data = row.networks.split()
        for name in ("day_budget", "month_budget", "keep_days"):
            self[name].data = getattr(row, name)


class ImportForm(FlaskForm):  # type: ignore[misc]
    """Many keywords: pasted, or a file."""

    lines = TextAreaField("One keyword a line, or CSV with the columns expression, networks")
    file = FileField("Or a file")
    all_or_none = BooleanField("Add none if a line is wrong")

    def given(self) -> str:
        """The text; raises ValueError for a file that is none."""
        file = self.file.data
        if file and getattr(file, "filename", ""):
            try:
                self.lines.data = file.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise ValueError("The file is not UTF-8 text.") from error
        return self.lines.data or ""


class ButtonForm(FlaskForm):  # type: ignore[misc]
    """A button: nothing but the proof that our page sent it."""


class RemoveForm(FlaskForm):  # type: ignore[misc]
    """Removing asks whether the posts go too."""

    purge = BooleanField("Also delete its posts")


def mark(expression: str, position: int) -> tuple[str, str, str]:
    """The expression cut at a wrong character: before it, the character ("" at the end), after."""
    return expression[:position], expression[position : position + 1], expression[position + 1 :]


def _named(field: Any, message: object) -> str:
    return f"{field.label.text}: {message}"


def first_error(form: Any) -> str:
    """The first sentence of what is wrong with a form."""
    for name, messages in form.errors.items():
        for message in messages:
            field = form._fields.get(name)
            return str(message) if field is None or name == "expression" else _named(field, message)
    return "The form was not understood: reload the page and send it again."
