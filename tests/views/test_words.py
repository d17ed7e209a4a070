"""Every page can be translated: in an invented language no English is left but data."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from gettext import NullTranslations
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from sqlalchemy import Engine, select

from tests.conftest import ROOT
from tests.views import visits
from tests.views.visits import BARE, VISITS, Visit
from tweeter import config
from tweeter.harmless import harmless
from tweeter.store import schema
from tweeter.store.engine import reading
from tweeter.store.overview import START_A_WORKER
from tweeter.texts import counted, joined, say
from tweeter.views import vocabulary, words
from tweeter.web import create_app

TEMPLATES, STATIC = ROOT / "tweeter" / "templates", ROOT / "tweeter" / "static"
SHOWN = ("title", "aria-label", "alt", "placeholder", "data-label")
VOID = {"meta", "link", "input", "img", "br"}
# What stands in these is a stranger's, the reader's, or a program's.
DATA = {"bdi", "code", "pre", "kbd", "time", "textarea", "script"}
# In classes of these names too: a post's text, its author, its links, a value that is counted.
DATA_CLASSES = {"text", "author", "links", "name"}
# Names, units and the query's own words: the same in all languages, or not ours.
NAMES = {
    *("tweeter", "Bluesky", "Mastodon", "Demo", "bluesky", "mastodon", "BLUESKY", "MASTODON"),
    *("CSV", "JSON", "API", "UTC", "USD", "MB", "GB", "min", "sqlite", "AND", "OR", "NOT", "Mine"),
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
WRITTEN = (
    *("hour, day, week, month, year", "post, reply, repost, quote", "x, bluesky, mastodon, demo"),
    *(START_A_WORKER, "docs/operations.md", "/healthz"),
)
# Addresses, and what stands in quotes: somebody wrote it.
QUOTED = re.compile(r"""#\w+|https?://\S+|[\w-]+(\.[\w-]+)+(/\S*)?|"[^"]*"|“[^”]*”|'[^' ]*'""")
# In English the same of one, or never said of one.
ONE_AS_MANY = {
    "And %(count)s more.",
    "and %(num)s more",
    "%(num)s removed",
    "%(num)s newest removed",
    "%(posts)s removed since",
    "%(num)s of its posts",
    "(version %(version)s; %(num)s of its versions began in this time)",
    "<b>%(found)s</b> of the newest %(looked_at)s stored posts (since %(since)s).",
    "%(percent)s %% of %(count)s posts looked at have the same text as another.",
    "%(since)s to %(until)s: %(total)s posts, %(most)s in the highest hour, where %(usual)s are"
    " usual (%(deviations)s deviations).",
    'These are the newest %(count)s keywords; <a href="%(older)s">the older ones</a>.',
}
PLACES = re.compile(r"%\(\w+\)s|%%|<[^>]*>|&\w+;|[A-Za-z]")
WIDE = ord("Ａ") - ord("A")


def invented(text: str) -> str:
    """The text in wide letters; its values and its markup stay."""

    def wide(found: re.Match[str]) -> str:
        return found[0] if len(found[0]) > 1 else chr(ord(found[0]) + WIDE)

    return PLACES.sub(wide, text)


class Invented(NullTranslations):
    """A language of wide letters."""

    def gettext(self, message: str) -> str:
        return invented(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return invented(msgid1 if n == 1 else msgid2)


class Shown(HTMLParser):
    """The texts of a page that are not data, and what stands in its attributes.

    of_names: attributes of links on a value; they may say one of names, the values of the page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.said: list[str] = []
        self.of_names: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        classes = set((found.get("class") or "").split())
        is_data = tag in DATA or bool(DATA_CLASSES & classes) or (tag == "th" and "dir" in found)
        is_of_name = tag == "a" and self.is_in_data
        if tag not in VOID:
            self.open.append((tag, is_data))
        if tag != "time" and not (tag == "a" and is_data):
            attributes = [found[name] or "" for name in SHOWN if name in found]
            (self.of_names if is_of_name else self.said).extend(attributes)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self.is_in_data:
            self.said.append(data)
        elif self.open[-1][0] == "bdi":
            self.names |= {data, data.lstrip("@#"), f"https://{data}"}

    @property
    def is_in_data(self) -> bool:
        return any(is_data for _, is_data in self.open)

    def texts(self) -> list[str]:
        """What is said, without the names in it."""
        names = sorted(self.names, key=len, reverse=True)
        return [*self.said, *(without(text, names) for text in self.of_names)]


def stored(engine: Engine) -> list[str]:
    """What people wrote and what workers entered, names, expressions, causes."""
    columns: tuple[Any, ...] = (
        schema.keywords.c.expression,
        schema.keywords.c.networks,
        schema.streams.c.name,
        schema.streams.c.reason,
        schema.intervals.c.cause,
        schema.keyword_intervals.c.cause,
        schema.followed_names.c.words,
        schema.annotations.c.words,
        schema.quarantine.c.reason,
        schema.quarantine.c.detail,
        schema.searches.c.name,
        schema.decks.c.name,
        schema.posts.c.author_name,
        schema.posts.c.author_handle,
        schema.posts.c.author_id,
        schema.posts.c.warning,
        schema.posts.c.media,
        schema.posts.c.lang,
    )
    with reading(engine) as connection:
        found = {
            str(row[0]) for one in columns for row in connection.execute(select(one).distinct())
        }
    return [harmless(one) for one in found]


def given(visit: Visit) -> list[str]:
    """What a visit brings: the values of its address and its form."""
    values = parse_qsl(visit.address.partition("?")[2]) + list((visit.form or {}).items())
    return [word for _, value in values for word in re.split("[,:!]", value)]


def without(text: str, data: Iterable[str]) -> str:
    for one in data:
        text = text.replace(one, " ")
    return text


def english(page: str, data: Iterable[str]) -> Iterator[str]:
    """The texts of a page in which a word of ours is left as it was."""
    known = sorted({one for one in data if len(one) > 3}, key=len, reverse=True)
    names = NAMES.union(one for one in data if len(one) <= 3)
    shown = Shown()
    shown.feed(page)
    for text in shown.texts():
        rest = without(text, (one for one in known if " " in one))
        rest = without(QUOTED.sub(" ", rest), known)
        if set(re.findall(r"[A-Za-z]{2,}", rest)) - names:
            yield " ".join(text.split())


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    """One database is enough for words."""
    return sqlite_engine


X_IS_ON = {"TWEETER_X_BEARER_TOKEN": "A" * 80, "TWEETER_KEEP_DAYS_X": "30"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "is_bare, settings", [(True, {}), (False, {}), (False, X_IS_ON)], ids=["bare", "full", "with X"]
)
def test_no_text_of_any_page_is_left_untranslated(
    engine: Engine, tmp_path: Path, is_bare: bool, settings: dict[str, str]
) -> None:
    chosen = config.load({"TWEETER_DATA_DIR": str(tmp_path), "TWEETER_BLUESKY_URL": ""} | settings)
    if not is_bare:
        visits.furnish(engine)
    app = create_app(chosen, engine)
    words.speak(app, Invented())
    asked = BARE if is_bare else VISITS
    data, left = [*stored(engine), *WRITTEN], set()
    with app.test_client() as client:
        found = list(visits.pages(client, asked))
    for visit, (name, page) in zip(asked, found, strict=True):
        assert re.search("[Ａ-Ｚ]", page), name
        left |= {f"{name}: {text}" for text in english(page, data + given(visit))}
    assert not left, "\n".join(sorted(left))


def test_values_that_are_words_of_ours_are_said_otherwise_too(engine: Engine, app: Flask) -> None:
    visits.furnish(engine)
    words.speak(app, Invented())
    with app.test_client() as client:
        keyword = client.get("/keywords/1?by=kind&off=kind:reply&off=media:with").text
        search = client.get("/search?q=harbour&kind=reply").text
    legend = keyword[keyword.index('class="legend"') :]
    assert f'<bdi dir="auto">{invented("post")}</bdi>' in legend
    for words_of_ours in ("kind: reply", "media: with"):
        assert f'class="what">{invented(words_of_ours)}</bdi>' in keyword
    assert f'<bdi dir="auto">{invented("without")}</bdi>' in keyword
    assert f'<bdi dir="auto">{invented("reply")}</bdi>' in search


# Of a template: comments, what is said in any language, statements and values, markup.
TRANSLATED = re.compile(
    r"{#.*?#}|{% block (?:body|width) %}.*?\n|{% trans\b.*?endtrans %}|{%.*?%}|{{.*?}}", re.DOTALL
)
ATTRIBUTE = re.compile(r'(?:title|aria-label|alt|placeholder|data-label)="([^"]*)"')
MARKUP = re.compile(r"<(script|pre|code|kbd|style)\b.*?</\1>|<[^>]*>", re.DOTALL)
NOTHING = re.compile(r"&\w+;|\d{4}-\d\d-\d\dT\d\d:\d\dZ|from:| UTC\b|\b(MB|CSV|JSON|Esc|X)\b")


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_text_of_a_template_stands_outside_of_what_is_translated(path: Path) -> None:
    left = TRANSLATED.sub("\0", path.read_text())
    texts = [*ATTRIBUTE.findall(left), *MARKUP.sub("\0", left).split("\0")]
    found = [text.strip() for text in texts if re.search("[A-Za-z]{2}", NOTHING.sub("", text))]
    assert not set(found) - {"tweeter", "· tweeter"}


SAYING = {"say", "mark", "counted", "joined", "flash", "Refused"}  # Refused: of the API
STORED = (  # what a row keeps is English
    *("A person paused it.", "A person removed it.", "X is being searched for it."),
    *("X's search reaches back _ days only.", "Until then it is matched by the name as written."),
    "Bluesky's posts carry no names: none is found before the account is known.",
    "The settings say not to ask Bluesky; its stream may tell.",
    "No Mastodon server is set that could be asked.",
)


def sentences(source: str) -> Iterator[str]:
    """The strings of a module that are sentences, but for docstrings and what is said."""
    tree, passed = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            passed.add(node.value)
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
            passed.update(one for arg in node.args for one in ast.walk(arg) if name in SAYING)
        if isinstance(node, ast.JoinedStr):
            passed.update(node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node not in passed:
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(p.value) if isinstance(p, ast.Constant) else "_" for p in parts)
            if re.fullmatch(r"[A-Z_“].* .*[.?]", text):
                yield text


def test_no_sentence_of_a_module_that_speaks_is_left_unsaid() -> None:
    """Modules that speak: the views, and those that import something of tweeter/texts.py."""
    left = set()
    for path in (ROOT / "tweeter").rglob("*.py"):
        source = path.read_text()
        speaks = "from tweeter.texts import" in source or path.parent.name == "views"
        if speaks and not path.name.startswith(("cli", "api")):
            left |= {f"{path.name}: {text}" for text in sentences(source) if text not in STORED}
    assert not left


def test_what_is_said_is_english_and_can_be_said_otherwise(app: Flask) -> None:
    posts = counted("%(count)s post", "%(count)s posts", 1200)
    whole = joined(say("%(name)s has %(posts)s.", name="storm <b>", posts=posts), "", "Stored.")
    assert whole == "storm <b> has 1,200 posts. Stored."
    words.speak(app, Invented())
    with app.test_request_context():
        assert words.told(whole) == "storm <b> ｈａｓ 1,200 ｐｏｓｔｓ. Stored."
        assert words.word("needs_attention") == "ｎｅｅｄｓ ａｔｔｅｎｔｉｏｎ"
        assert words.word("some_thing") == "some thing"
    texts = words.of_scripts(Invented())
    assert texts["View on {place}"] == "Ｖｉｅｗ ｏｎ {place}"
    assert texts["needs attention"] == "ｎｅｅｄｓ ａｔｔｅｎｔｉｏｎ"


def test_a_page_brings_the_scripts_texts_of_another_language_only(app: Flask) -> None:
    with app.test_client() as client:
        assert 'id="words"' not in client.get("/health").text
        words.speak(app, Invented())
        page = client.get("/health").text
    found = re.search(r'<script type="application/json" id="words">(.*?)</script>', page)
    assert found
    assert json.loads(found[1])["Connected"] == "Ｃｏｎｎｅｃｔｅｄ"


def test_the_texts_of_the_scripts_are_those_that_translators_get() -> None:
    sources = {path.name: path.read_text() for path in sorted(STATIC.glob("*.js"))}
    said = {t for s in sources.values() for t in re.findall(r'\bsay\(\s*"([^"]*)"', s)}
    written = {t for s in sources.values() for t in re.findall(r'"((?:[^"\\\n]|\\.)*)"', s)}
    listed = {re.sub(r"%\((\w+)\)s", r"{\1}", text) for text in vocabulary.OF_SCRIPTS}
    assert said <= listed, "not in views/vocabulary.py"
    assert listed <= written, "no script says it"


# Strings of scripts that look like a text and are none: selectors, classes, what is not shown.
NO_TEXTS = re.compile(r"[#.\[>]|^(input|button)\b|^noopener |^state state-|^(links|original) \w+$")
NOT_SHOWN = {"no answer", "light dark", "too many", "(prefers-reduced-motion: reduce)"}


def test_no_script_shows_a_text_past_say() -> None:
    """A string with a blank between words is a text that translators get, or none."""
    texts = (*vocabulary.OF_SCRIPTS, *vocabulary.HEARD)
    known = {re.sub(r"%\((\w+)\)s", r"{\1}", text) for text in texts} | NOT_SHOWN
    left = []
    for path in sorted(STATIC.glob("*.js")):
        source = re.sub(r"//.*", "", path.read_text())
        plain = re.findall(r'"([^"\n]*)"', source)
        left += [text for text in plain if re.search("[A-Za-z]{2}.* .*[A-Za-z]{2}", text)]
        for text in re.findall(r"`([^`]*)`", source):
            bare = re.sub(r"\$\{[^}]*\}", "\0", text)
            left += [text] if re.search(r"[A-Za-z]{2,} |, [a-z]|\0 [a-z]", bare) else []
    assert not {text for text in left if text not in known and not NO_TEXTS.search(text)}


@pytest.fixture(scope="module")
def for_translators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that `make words` makes."""
    found = tmp_path_factory.mktemp("words") / "words.pot"
    made = (ROOT / "Makefile").read_text()
    line = next(line for line in made.splitlines() if "pybabel" in line)
    options = line.partition("pybabel")[2].replace("build/words.pot", str(found)).split()
    run = [sys.executable, "-m", "babel.messages.frontend", *options]
    subprocess.run(run, cwd=ROOT, check=True, timeout=60)
    return found


def test_one_of_a_thing_is_not_said_as_several(for_translators: Path) -> None:
    with for_translators.open("rb") as file:
        pairs = [text.id for text in read_po(file) if text.pluralizable]
    assert len(pairs) > 50
    assert {one for one, many in pairs if one == many} == ONE_AS_MANY


def test_the_texts_are_found_for_translators(for_translators: Path) -> None:
    texts = for_translators.read_text()
    for text in (
        *("Overview", "Skip to the content", "As the system", "needs attention"),  # `mark`, `_`
        *("The note needs a text.", "The note is kept.", "View on %(place)s"),  # `say`, `flash`
        "≥ %(count)s post, %(percent)s %% covered",  # `counted`
        "<b>%(count)s</b> worker",  # {% trans %}
    ):
        assert f'msgid "{text}"' in texts, text
    assert 'msgid_plural "<b>%(count)s</b> workers"' in texts
    assert 'msgid_plural "≥ %(count)s posts, %(percent)s %% covered"' in texts
