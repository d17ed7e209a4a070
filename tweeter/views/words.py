"""The pages' texts in the reader's language: `_()` and `{% trans %}` in templates, `say` in Python.

Python's own gettext and Jinja's own extension: nothing more is needed at run time. English is
the language of the texts and the only one there is; `make words` collects what to translate.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from gettext import NullTranslations
from typing import Any

import flask
from flask import Flask, current_app
from markupsafe import Markup, escape

from tweeter.texts import Said, say
from tweeter.views import show
from tweeter.views.vocabulary import HEARD, OF_SCRIPTS, WORDS

KEY = "words"


def _language() -> NullTranslations:
    found: NullTranslations = current_app.extensions[KEY]
    return found


def _one(text: str) -> str:
    return _language().gettext(text)


def ngettext(one: str, many: str, count: int) -> str:
    """A text for so many, in the reader's language: "%(name)s" in it stands for a value."""
    return _language().ngettext(one, many, count)


def told(value: Any) -> Any:
    """A value as a page shows it: what `say` made in the reader's language, the rest as it is."""
    return _told(value, _language()) if isinstance(value, Said) else value


def _told(value: Any, language: NullTranslations) -> Any:
    if not isinstance(value, Said):
        return value
    text = (
        language.gettext(value.text)
        if value.number is None
        else language.ngettext(value.text, value.many, value.number)
    )
    return text % {name: _told(one, language) for name, one in value.values.items()}


def hours_of_week() -> Sequence[str]:
    """What the hours of the week are called, from Monday's first on."""
    return _hours_of_week(_language())


@lru_cache(maxsize=8)  # languages: a page shows all 168
def _hours_of_week(language: NullTranslations) -> Sequence[str]:
    return tuple(_told(show.hour(number), language) for number in range(7 * 24))


def of_error(error: Exception) -> str:
    """What is wrong, as a page says it."""
    return str(told(error.args[0])) if error.args else ""


def looked_up(text: str) -> str:
    """A text of somebody else's that `make words` was told of, with no value in it."""
    return _one(text)


def word(code: str) -> str:
    """A state, a verdict or another name of ours as a word: "needs_attention"."""
    words = code.replace("_", " ")
    return _one(words) if words in WORDS else words


def flash(text: str, /, **values: Any) -> None:
    """Say it on the next page: "%(name)s" in the text stands for a value."""
    flask.flash(told(say(text, **values)))


def of_scripts(language: NullTranslations) -> dict[str, str]:
    """The texts of the scripts that are others in a language."""
    texts = dict.fromkeys((*OF_SCRIPTS, *HEARD, *sorted(WORDS)))
    found = {_for_scripts(text): _for_scripts(language.gettext(text)) for text in texts}
    return {text: other for text, other in found.items() if other != text}


def _for_scripts(text: str) -> str:
    return re.sub(r"%\((\w+)\)s", r"{\1}", text).replace("%%", "%")


def _in_templates(
    language: NullTranslations,
) -> tuple[Callable[..., Markup], Callable[..., Markup]]:
    """gettext and ngettext, as Jinja's own newstyle ones, which take three times as long.

    A text is markup, its values are not; a per cent sign in it is written twice.
    """

    def filled(text: str, values: dict[str, Any]) -> Markup:
        return Markup(text % {name: escape(value) for name, value in values.items()})  # noqa: S704

    def one(text: str, /, **values: Any) -> Markup:
        return filled(language.gettext(text), values)

    def many(text: str, others: str, count: int, /, **values: Any) -> Markup:
        return filled(language.ngettext(text, others, count), {"num": count} | values)

    return one, many


def speak(app: Flask, language: NullTranslations | None = None) -> None:
    """Give the pages a language; without one they say what stands in them."""
    found = app.extensions[KEY] = language or NullTranslations()
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.newstyle_gettext = True  # type: ignore[attr-defined]
    one, many = _in_templates(app.extensions[KEY])
    app.jinja_env.globals.update({"_": one, "gettext": one, "ngettext": many})
    app.jinja_env.finalize = told
    app.jinja_env.filters.update(told=told, word=word)
    name = found.info().get("language", "en")
    app.jinja_env.globals.update(language=name, words_of_scripts=of_scripts(found))
