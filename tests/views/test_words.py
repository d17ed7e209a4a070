"""The frame of every page can be translated: in an invented language no English is left."""

import subprocess
import sys
from gettext import NullTranslations
from html.parser import HTMLParser
from pathlib import Path

from flask import Flask
from sqlalchemy import Engine

from tests.conftest import ROOT
from tweeter.sources.demo import DEMO_KEYWORDS
from tweeter.store import demo
from tweeter.views import words

NAMES = {"tweeter"}
SPOKEN = ("title", "aria-label", "alt", "placeholder")
VOID = {"meta", "link", "input", "img", "br"}


class Invented(NullTranslations):
    """Says everything in brackets."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"


class Frame(HTMLParser):
    """The texts of a page outside of main, head, scripts and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if "main" not in self.open:
            self.said += [value or "" for name, value in attrs if name in SPOKEN]

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"main", "head", "script", "kbd"}.intersection(self.open):
            self.said.append(data)


def test_no_text_of_the_frame_is_left_untranslated(app: Flask, engine: Engine) -> None:
    demo.start(engine, DEMO_KEYWORDS)
    words.speak(app, Invented())
    frame = Frame()
    with app.test_client() as client:
        frame.feed(client.get("/sources").get_data(as_text=True))
    said = [text.strip() for text in frame.said if text.strip()]
    assert sum("⟦" in text for text in said) > 20
    known = NAMES | {"Demo data."}  # inside a text with markup, whose ends are in brackets
    assert not [text for text in said if not {"⟦", "⟧"}.intersection(text) and text not in known]


def test_the_texts_are_found_for_translators(tmp_path: Path) -> None:
    found = tmp_path / "words.pot"
    command = ["-q", "extract", "-F", "babel.cfg", "-k", "mark", "-o", str(found), "tweeter"]
    run = [sys.executable, "-m", "babel.messages.frontend", *command]
    subprocess.run(run, cwd=ROOT, check=True, timeout=60)
    for text in ("Overview", "Skip to the content", "First page", "As the system"):
        assert f'msgid "{text}"' in found.read_text()
