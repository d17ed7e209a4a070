"""The API's routes about sources, gaps, quarantine and the demo."""

from flask import Response, request

from tweeter.moments import DAY_US
from tweeter.sources.demo_words import DEMO_KEYWORDS
from tweeter.store import deletions, demo, gaps, keywords, past, quarantine, streams
from tweeter.store.overview import overview
from tweeter.views import source_pages
from tweeter.views.api import MOST, answer, api, number, only, stretch
from tweeter.views.pages import engine

PAGE = 100


@api.get("/streams")
def list_streams() -> Response:
    """How the streams are, what is asked of the past, and since when deletions are unknown."""
    found = {"overview": overview(engine()), "past": past.progress(engine())}
    return answer(found | {"deletions_unknown": deletions.unknown(engine())})


@api.get("/sources")
def list_sources() -> Response:
    """Each source in words: state, since when, next try."""
    found = overview(engine())
    return answer({"sources": found.streams, "warning": found.warning})


@api.get("/sources/<path:name>")
def one_source(name: str) -> Response:
    """One source: its last day, its gaps, what it cost, what could not be read."""
    return answer(source_pages.facts(_stream(name)))


@api.post("/sources/<path:name>/check")
def check_source(name: str) -> Response:
    """Check its credentials and its connection: a row a question. Takes at most about 45 s."""
    return answer({"rows": source_pages.checked(name)})


@api.get("/gaps")
def list_gaps() -> Response:
    """What was not seen since ?since= (default: two days), of ?stream= or as ?keyword= met it."""
    only("since", "until", "stream", "keyword")
    keyword_id = number("keyword", 0, 0, 1 << 62) or None
    if keyword_id is not None:
        keywords.get(engine(), keyword_id)
    found = gaps.found(
        engine(),
        *stretch(2 * DAY_US),
        keyword_id=keyword_id,
        stream=request.args.get("stream", ""),
    )
    return answer({"gaps": found})


@api.get("/quarantine")
def list_quarantine() -> Response:
    """The newest events of ?stream= (default: of each) that could not be read."""
    only("stream", "limit")
    name = request.args.get("stream", "")
    rows = [_stream(name)] if name else streams.list_all(engine())
    limit = number("limit", PAGE, 1, MOST)
    found = {row.name: quarantine.newest(engine(), row.id, limit=limit) for row in rows}
    return answer({"quarantine": {name: kept for name, kept in found.items() if kept}})


@api.post("/demo")
def start_demo() -> Response:
    """Start the invented stream and its keywords."""
    return answer({"keywords": demo.start(engine(), DEMO_KEYWORDS)}, 201)


@api.delete("/demo")
def remove_demo() -> Response:
    """Remove it and all it stored; kept_keywords: those of its that a person changed."""
    gone = demo.remove(engine())
    return answer({"removed_posts": gone.posts, "kept_keywords": list(gone.kept)})


def _stream(name: str) -> streams.Stream:
    """The stream of this name; raises NoSuchStream."""
    for stream in streams.list_all(engine()):
        if stream.name == name:
            return stream
    raise gaps.NoSuchStream(f"There is no stream “{name}”. List them: GET /api/v1/sources")
