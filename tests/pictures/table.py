"""Every page, once. A new page needs a line here and nothing else."""

from typing import NamedTuple


class Shown(NamedTuple):
    """A page: its picture's name, its address, and what must be there before it is looked at."""

    name: str
    address: str
    ready: str = "main"  # a selector
    empty: bool = False  # also looked at in an installation that has nothing yet
    press: str = ""  # a selector: what is pressed before, as the last thing


PAGES = [
    Shown("overview", "/", empty=True),
    Shown("overview-hours", "/?hours=table", "#hours"),
    Shown("shares", "/?with=1&with=2&with=3&range=day", "#voice"),
    Shown("live", "/live", ".state-live, .lamp", empty=True),
    Shown("keywords", "/add_keyword", empty=True),
    Shown("import", "/keywords/import"),
    Shown("keyword", "/keywords/1", "#volume"),
    Shown("keyword-week", "/keywords/1?range=week&by=lang&compare=previous&network=!x", "#volume"),
    Shown(
        "keyword-index",
        "/keywords/1?with=2&scale=index&bucket=3600&lang=!en&off=network:x&pin=lang:!en",
        "#volume path.line",
    ),
    Shown("search", "/search", empty=True),
    Shown("searches", "/searches"),
    Shown("sources", "/sources", empty=True),
    Shown("source", "/sources/bluesky"),
    Shown("health", "/health", empty=True),
    Shown("nowhere", "/there-is-no-such-page"),
]

# For their pictures alone: nothing stands on them that is not on a page above.
MORE = [Shown("keyword-nothing", "/keywords/4", "#volume .empty")]

# States that a page falls into when something is away: what must be seen then.
LOST = [
    Shown("sources", "/sources", ".stale"),
    Shown("live", "/live", ".state-down"),
    Shown("keyword", "/keywords/1", ".statistics.stale", press="#wider"),
]
# While an answer is waited for, which never comes.
LOADING = [Shown("keyword", "/keywords/1", "#statistics-note:not([hidden])", press="#wider")]
# On paper, and in the few colours of who needs contrast.
MEDIA = [
    Shown("keyword", "/keywords/1?lang=!en&off=network:x&pin=lang:!en", "#volume"),
    Shown("shares", "/?with=1&with=2&with=3&range=day", "#voice"),
]
BROKEN = [Shown("overview", "/", ".error")]  # the database cannot be used

# In docs/screenshots: the pages a reader of the documentation wants to see.
CHOSEN = {
    "overview": ("1280-light", "1280-dark", "360-dark"),
    "live": ("1280-dark", "360-light"),
    "keyword": ("1280-light", "1280-dark", "360-light"),
    "search": ("1280-light",),
    "keywords": ("1280-light",),
    "health": ("1280-light",),
    "sources-lost": ("1280-light",),
}
