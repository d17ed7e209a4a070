"""Forms: what a person may send, checked; CSRF protection comes with each."""

from collections.abc import Callable
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
from wtforms.validators import InputRequired, ValidationError
from wtforms.validators import Optional as MayBeEmpty

from tweeter.choices import FOLLOWED
from tweeter.harmless import typed
from tweeter.store.keywords import KeywordRow, Options
from tweeter.texts import say
from tweeter.views.words import told

EXPRESSION_CHARACTERS = 1024
NETWORKS = FOLLOWED | {"demo": "demo"}


class _Whole(IntegerField):  # type: ignore[misc]
    """A whole number, with a sentence of ours for what is none."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata([value.strip().replace(",", "") for value in valuelist])
        except ValueError as error:
            raise ValueError(say("A whole number, such as 500.")) from error


def _number(label: str, most: int) -> Any:
    return _Whole(label, default=0, validators=[MayBeEmpty(), _up_to(most)])


# WTForms fills its own values into a message, and makes a plain string of it: hence these.


def _up_to(most: int) -> Callable[[Any, Any], None]:
    def check(_form: Any, field: Any) -> None:
        if field.data is None or not 0 <= field.data <= most:
            raise ValidationError(say("A whole number from 0 to %(most)s.", most=format(most, ",")))

    return check


def _not_too_long(_form: Any, field: Any) -> None:
    if len(field.data or "") > EXPRESSION_CHARACTERS:
        most = f"{EXPRESSION_CHARACTERS:,}"
        raise ValidationError(say("At most %(most)s characters.", most=most))


class KeywordForm(FlaskForm):  # type: ignore[misc]
    """A keyword's expression and what is chosen beside it; the grammar is the store's matter."""

    expression = StringField(
        say("Keyword"),
        filters=[lambda value: value and typed(value)],
        validators=[
            InputRequired(say("Write a word, a “phrase”, or several joined by OR, AND, NOT.")),
            _not_too_long,
        ],
    )
    networks = SelectMultipleField(
        say("Networks (none chosen: all)"),
        choices=[SelectChoice(name, label) for name, label in NETWORKS.items()],
    )
    day_budget = _number(say("Posts read at X a day, at most (0: no limit)"), 100_000_000)
    month_budget = _number(say("A month, at most"), 1_000_000_000)
    keep_days = _number(say("Delete its posts after so many days (0: never)"), 36_500)

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

    lines = TextAreaField(say("One keyword a line, or CSV with the columns expression, networks"))
    file = FileField(say("Or a file"))
    all_or_none = BooleanField(say("Add none if a line is wrong"))

    def given(self) -> str:
        """The text; raises ValueError for a file that is none."""
        file = self.file.data
        if file and getattr(file, "filename", ""):
            try:
                self.lines.data = file.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise ValueError(say("The file is not UTF-8 text.")) from error
        return self.lines.data or ""


class ButtonForm(FlaskForm):  # type: ignore[misc]
    """A button: nothing but the proof that our page sent it."""


class RemoveForm(FlaskForm):  # type: ignore[misc]
    """Removing asks whether the posts go too."""

    purge = BooleanField(say("Also delete its posts"))


def mark(expression: str, position: int) -> tuple[str, str, str]:
    """The expression cut at a wrong character: before it, the character ("" at the end), after."""
    return expression[:position], expression[position : position + 1], expression[position + 1 :]


def _named(field: Any, message: object) -> str:
    return f"{told(field.label.text)}: {told(message)}"


def first_error(form: Any) -> str:
    """The first sentence of what is wrong with a form."""
    for name, messages in form.errors.items():
        for message in messages:
            field = form._fields.get(name)
            if field is None or name == "expression":
                return str(told(message))
            return _named(field, message)
    return str(told(say("The form was not understood: reload the page and send it again.")))
