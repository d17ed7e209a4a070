"""The interface's texts, ready to be translated: `_()` and `{% trans %}` in templates.

Python's own gettext and Jinja's own extension: nothing more is needed at run time. English is
the language of the templates and the only one there is; `make words` collects what to translate.
In a text that is translated a per cent sign is written twice.
"""

from gettext import NullTranslations

from flask import Flask, current_app

KEY = "words"


def mark(text: str) -> str:
    """A text that a template will translate: here only found by `make words`."""
    return text


def _one(text: str) -> str:
    found: NullTranslations = current_app.extensions[KEY]
    return found.gettext(text)


def _many(one: str, many: str, count: int) -> str:
    found: NullTranslations = current_app.extensions[KEY]
    return found.ngettext(one, many, count)


def speak(app: Flask, language: NullTranslations | None = None) -> None:
    """Give the templates a language; without one they say what stands in them."""
    app.extensions[KEY] = language or NullTranslations()
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        _one, _many, newstyle=True
    )
