"""Mastodon's HTML to text and links.

Servers send a small, clean subset (p, br, a, span, lists). This reads any text in time that
grows with its length, and never fails: what is no tag is text.
"""

import re
from html import unescape

from tweeter.records import Link

_TAG = re.compile(r"(<[^<>]*>)")
_NAME = re.compile(r"</?\s*([a-zA-Z][a-zA-Z0-9]*)")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""", re.IGNORECASE)
_CLASS = re.compile(r"""\bclass\s*=\s*["']([^"']*)["']""", re.IGNORECASE)
_ENDLESS = re.compile("&#[0-9]{1000,};?")  # Python reads no number of more than 4,300 digits
_NOT_LINKS = ("mention", "hashtag")
_BREAKS = {"br": "\n", "p": "\n\n", "li": "\n", "hr": "\n"}
_BLOCKS = ("p", "blockquote", "div", "pre", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6")
_SILENT = ("script", "style", "template")


def unescaped(text: str) -> str:
    """The text with its character references read. Numbers of no character become U+FFFD, however
    long they are.
    """
    return unescape(_ENDLESS.sub("\ufffd", text)) if "&" in text else text


def to_text(html: str) -> tuple[str, list[Link]]:
    """The text as readers see it, and its links (mentions and hashtags are none)."""
    if "<" not in html:
        return unescaped(html).strip(), []
    reader = _Reader()
    for piece in _TAG.split(html):
        if piece.startswith("<") and piece.endswith(">"):
            reader.tag(piece)
        else:
            reader.say(unescaped(piece))
    text = re.sub(r"\n{3,}", "\n\n", "".join(reader.text))
    return text.strip(), reader.links


class _Reader:
    def __init__(self) -> None:
        self.text: list[str] = []
        self.links: list[Link] = []
        self._spans: list[str] = []  # classes of the open spans
        self._hidden = 0  # open spans that are not shown
        self._link: tuple[str, int] | None = None  # its address, and where its text began
        self._silent = ""

    def say(self, text: str) -> None:
        if text and not self._hidden and not self._silent:
            self.text.append(text)

    def tag(self, piece: str) -> None:
        found = _NAME.match(piece)
        if not found:
            return
        name, closing = found[1].lower(), piece.startswith("</")
        if name in _SILENT:
            self._silent = "" if closing else name
        elif name == "span":
            self._span(piece, closing)
        elif name == "a":
            self._anchor(piece, closing)
        elif name in _BLOCKS and not closing:
            self._begin_line()
        elif name in _BREAKS or name in _BLOCKS:
            self.say(_BREAKS.get(name, "\n"))

    def _begin_line(self) -> None:
        if self.text and not self.text[-1].endswith("\n"):
            self.say("\n")

    def _span(self, piece: str, closing: bool) -> None:
        if not closing:
            classes = _CLASS.search(piece)
            self._spans.append(classes[1] if classes else "")
            self._hidden += "invisible" in self._spans[-1].split()
        elif self._spans:
            ended = self._spans.pop().split()
            if "ellipsis" in ended:
                self.say("…")
            self._hidden -= "invisible" in ended

    def _anchor(self, piece: str, closing: bool) -> None:
        if closing:
            if self._link is not None:
                address, start = self._link
                self.links.append(Link(address, "".join(self.text[start:])))
                self._link = None
            return
        classes = _CLASS.search(piece)
        href = _HREF.search(piece)
        named = classes is not None and any(word in classes[1].split() for word in _NOT_LINKS)
        if href and not named:
            self._link = unescaped(href[1] or href[2] or href[3] or ""), len(self.text)
