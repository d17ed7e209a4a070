"""Markup that stands dozens of times on a page: a moment, a bar, the text of a post.

Written here, as a template's macro takes four times as long for each. All of them are functions
that templates call by their names.
"""

from collections.abc import Sequence

from flask import Flask
from markupsafe import Markup

from tweeter.cards import Part
from tweeter.harmless import harmless
from tweeter.moments import iso
from tweeter.views.asked import page_of
from tweeter.views.output import written
from tweeter.views.show import clock
from tweeter.views.words import word


def moment(value: int) -> Markup:
    """A moment, in microseconds."""
    at = iso(value)
    return Markup(f'<time datetime="{at}" title="{at}">{clock(value)}</time>')  # noqa: S704


def bar(share: float, series: int = 1) -> Markup:
    """A bar for a row of .bars; share is 0 to 1.

    No style attribute: the security policy forbids it.
    """
    return Markup(  # noqa: S704
        f'<svg class="bar s{series}" viewBox="0 0 1000 6" preserveAspectRatio="none"'
        ' aria-hidden="true" focusable="false">'
        f'<rect width="{round(1000 * share)}" height="6"/></svg>'
    )


def outside(url: str, words: str, kind: str = "") -> Markup:
    """A link that leads away from here, to what strangers wrote."""
    of_kind = f' class="{written(kind)}"' if kind else ""
    return Markup(  # noqa: S704
        f'<a{of_kind} href="{written(url)}" rel="noopener nofollow ugc noreferrer"'
        f' target="_blank">{written(words)}</a>'
    )


def card_text(parts: Sequence[Part], lang: str, *, scrolls: bool = False) -> Markup:
    """The text of a post."""
    said = "".join(map(_part, parts))
    more = (' tabindex="0"' if scrolls else "") + (f' lang="{written(lang)}"' if lang else "")
    return Markup(f'<div class="text" dir="auto"{more}>{said}</div>')  # noqa: S704


def _part(part: Part) -> str:
    if part.url:
        return f"<bdi>{outside(part.url, part.text)}</bdi>"
    said = f'<mark class="hit">{written(part.text)}</mark>' if part.hit else written(part.text)
    return f"<bdi>{said}</bdi>" if part.apart else said


def value_word(facet: str, label: str) -> str:
    """A value of a panel, as it is shown."""
    return harmless(word(label) if facet == "media" else label)


def offer(app: Flask) -> None:
    """Let the templates of an application call them."""
    functions = (moment, bar, outside, card_text, value_word, page_of)
    app.jinja_env.globals.update({function.__name__: function for function in functions})
