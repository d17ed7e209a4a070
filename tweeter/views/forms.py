"""Forms: what a person may send, checked; CSRF protection comes with each."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, StringField
from wtforms.validators import InputRequired, Length

EXPRESSION_CHARACTERS = 1024


class KeywordForm(FlaskForm):  # type: ignore[misc]
    """A keyword's expression; its grammar is checked by the store."""

    expression = StringField(
        "Keyword",
        filters=[lambda value: value.strip() if value else value],
        validators=[
            InputRequired("Write a word, a “phrase”, or several joined by OR, AND, NOT."),
            Length(max=EXPRESSION_CHARACTERS, message="At most 1,024 characters."),
        ],
    )


class ButtonForm(FlaskForm):  # type: ignore[misc]
    """A button: nothing but the proof that our page sent it."""


class RemoveForm(FlaskForm):  # type: ignore[misc]
    """Removing asks whether the posts go too."""

    purge = BooleanField("Also delete its posts")


def mark(expression: str, position: int) -> tuple[str, str, str]:
    """The expression cut at a wrong character: before it, the character ("" at the end), after."""
    return expression[:position], expression[position : position + 1], expression[position + 1 :]


def first_error(form: Any) -> str:
    """The first sentence of what is wrong with a form."""
    for messages in form.errors.values():
        for message in messages:
            return str(message)
    return "The form was not understood: reload the page and send it again."
