"""Decoders: nothing but DecodeError for any bytes, and every recorded line understood."""

import copy
import gzip
import json
import re
import tracemalloc
from collections import Counter
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.jetstream import post_event
from tests.simulators.x import post
from tweeter.decode import DECODERS
from tweeter.decode.glance import GLANCES
from tweeter.decode.html import to_text, unescaped
from tweeter.errors import DecodeError
from tweeter.records import (
    NO_HANDLE,
    AccountChange,
    Event,
    IdentityChange,
    Ignored,
    Link,
    Media,
    Post,
    RawEvent,
    Removal,
    Unread,
)

NOW = 1_795_500_000_000_000


def decode(body: Any, shape: str = "any", origin: str = "a.example") -> list[Event]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DECODERS[shape](RawEvent(shape=shape, body=data, received_at=NOW, origin=origin))


def one(body: Any, shape: str = "any") -> Any:
    (event,) = decode(body, shape)
    return event


# Recorded lines: kinds of events as the README of the recordings counts them.
RECORDED = {
    "x_v1.jsonl.gz": {"Post": 2635},
    "x_v1_stream.jsonl": {"Post": 72},
    "x_v2.jsonl.gz": {"Post": 5824},
    "x_v2_pages.jsonl.gz": {"Post": 915},
    "x_v2_stream.jsonl": {"Post": 7},
    "x_v2_stream_broken.jsonl": {"Post": 7, "not JSON": 1},
    "x_v2_reserialised.jsonl.gz": {"Post": 8419},
    "jetstream.jsonl": {"Post": 17, "Removal": 1, "AccountChange": 1, "IdentityChange": 1}
    | {"Ignored": 132},
    "jetstream_jsonbench_cc-by-nc-sa.jsonl.gz": {"Post": 66, "Removal": 1, "Ignored": 683},
    "jetstream_constructed.jsonl.gz": {"Post": 1209},
    "jetstream_legacy_2024-09.jsonl": {"Post": 12, "AccountChange": 1, "IdentityChange": 2}
    | {"Ignored": 111},
    "jetstream_v2_subscribeEvents_2026-08.jsonl": {"Ignored": 3},
    "mastodon.jsonl.gz": {"Post": 808},
    "mastodon_ws_constructed.jsonl": {"Post": 50, "Removal": 1, "Ignored": 3},
}


def lines_of(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines()


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_line_is_understood(samples: Path, name: str) -> None:
    if not (samples / name).exists():
        pytest.skip(f"{name} is not among the recorded posts here")
    found: Counter[str] = Counter()
    for line in lines_of(samples / name):
        try:
            events = decode(line)
        except DecodeError as error:
            found[error.reason] += 1
            continue
        for event in events:
            found[type(event).__name__] += 1
            if isinstance(event, Post):
                sound(event)
    assert found == RECORDED[name]


def sound(found: Post) -> None:
    """What holds for every post."""
    assert found.key
    assert found.occurred_at <= found.received_at
    for text in (found.text, *found.also, found.author_name, found.key, *found.tags):
        assert "\x00" not in text
        text.encode()  # no lone surrogate
    assert len(found.key.encode()) <= 190
    assert found.text not in found.also or not found.text


def test_the_whole_text_of_a_repeated_post_is_matched(samples: Path) -> None:
    seen = 0
    for line in lines_of(samples / "x_v2.jsonl.gz"):
        value = json.loads(line)
        others = {other["id"]: other for other in value.get("includes", {}).get("tweets", [])}
        for reference in value["data"].get("referenced_tweets", []):
            if reference["type"] == "retweeted" and reference["id"] in others:
                (found,) = decode(line)
                assert isinstance(found, Post)
                text = others[reference["id"]]["text"].replace("&amp;", "&")
                text = text.replace("&gt;", ">").replace("&lt;", "<")
                assert text in (found.text, *found.also)
                seen += 1
    assert seen > 3_000


@given(st.binary(max_size=300))
def test_any_bytes_raise_nothing_but_decode_error(body: bytes) -> None:
    for shape in DECODERS:
        try:
            decode(body, shape)
        except DecodeError as error:
            assert error.reason


STATUS = {
    "id": "1",
    "uri": "https://a.example/1",
    "url": "https://a.example/@me/1",
    "created_at": "2026-11-24T05:00:00.000Z",
    "edited_at": None,
    "content": "<p>A <b>storm</b></p>",
    "spoiler_text": "",
    "visibility": "public",
    "language": "en",
    "account": {"acct": "me", "url": "https://a.example/@me", "display_name": "Me"},
    "media_attachments": [{"description": "a picture"}],
    "tags": [{"name": "Storm"}],
    "poll": {"options": [{"title": "yes"}]},
    "card": None,
    "reblog": None,
}
LONG_POST = post(
    1_900_000_000_000_000_000,
    "short &amp; sweet…",
    note_tweet={
        "text": "long &lt;text&gt;",
        "entities": {"urls": [{"display_url": "b.example/x"}]},
    },
    entities={"hashtags": [{"tag": "Storm"}], "urls": [{"display_url": "a.example/x"}]},
    attachments={"media_keys": ["3_1"]},
    edit_history_tweet_ids=["1899999999999999999", "1900000000000000000"],
    referenced_tweets=[{"type": "quoted", "id": "5"}],
)
LONG_POST["includes"] |= {
    "tweets": [{"id": "5", "text": "the quoted text"}],
    "media": [{"media_key": "3_1", "alt_text": "a lighthouse"}],
}
SHAPES = [LONG_POST, post_event("storm"), STATUS, {"data": [LONG_POST["data"]]}]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(st.sampled_from(SHAPES), st.data())
def test_a_field_of_a_wrong_type_never_raises_another_error(shape: Any, data: Any) -> None:
    value = copy.deepcopy(shape)
    spots = list(places(value))
    holder, key = data.draw(st.sampled_from(spots))
    holder[key] = data.draw(anything)
    try:
        for event in decode(json.dumps(value).encode()):
            if isinstance(event, Post):
                sound(event)
    except DecodeError as error:
        assert error.reason


def places(value: Any) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from places(inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield value, index
            yield from places(inner)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("storm<blockquote>at sea</blockquote>calm", "storm\nat sea\ncalm"),
        ("storm<p>at sea</p>", "storm\nat sea"),
        ("one<pre>two</pre>three<hr>four", "one\ntwo\nthree\nfour"),
        ("one<h2>two</h2><ul><li>three</li><li>four</li></ul>", "one\ntwo\n\nthree\n\nfour"),
        ("<p>one<br>two</p><p>three</p>", "one\ntwo\n\nthree"),
        ("<blockquote><p>one</p></blockquote><p>two</p>", "one\n\ntwo"),
        ("<p>o<b>n</b>e</p>", "one"),
    ],
)
def test_words_of_two_blocks_are_two(html: str, text: str) -> None:
    assert to_text(html)[0] == text


@given(
    st.text(max_size=200) | st.lists(st.sampled_from("<>/p abr=\"'&;!-"), max_size=60).map("".join)
)
def test_any_html_becomes_text(html: str) -> None:
    text, links = to_text(html)
    assert isinstance(text, str)
    assert isinstance(links, list)


@given(st.sampled_from(["&#", "&#x", "&a"]), st.text("0159amp#x;& ", max_size=20))
def test_references_are_read_as_html_says(beginning: str, rest: str) -> None:
    assert unescaped(beginning + rest) == unescape(beginning + rest)


def test_an_x_post_is_matched_in_all_its_texts() -> None:
    found = one(LONG_POST, "x")
    assert found.text == "long <text>"
    for part in ("#Storm", "a.example/x", "b.example/x", "a lighthouse", "the quoted text"):
        assert part in found.also
    assert found.kind == "quote"
    assert found.supersedes == ("1899999999999999999",)
    assert found.url == "https://x.com/sim_user/status/1900000000000000000"


def test_both_spellings_of_xs_fields_are_read() -> None:
    value = json.loads(json.dumps(LONG_POST).replace("_tweet", "_post").replace("tweets", "posts"))
    value["data"]["edit_history_post_ids"] = value["data"].pop("edit_history_post_ids", [])
    found = one(value, "x")
    assert found.text == "long <text>"
    assert "the quoted text" in found.also


def test_an_address_is_matched_as_it_is() -> None:
    """`&sect` and `&copy` are signs to a reader of HTML, also without a semicolon."""
    address = "https://b.example/?page=1&section=storm&copy=2"
    link = {"url": "https://t.co/a", "expanded_url": address, "unwound_url": address + "&lt=1"}
    link |= {"display_url": "b.example/?page=1&section…", "title": "Wind &amp; rain"}
    value = post(1_900_000_000_000_000_000, "storm", entities={"urls": [link]})
    found = one(value, "x")
    assert found.links[0].url == address
    parts = {address, address + "&lt=1", "b.example/?page=1&section…", "Wind & rain"}
    assert set(found.also) == parts
    glance = GLANCES["x"](json.dumps(value).encode())
    assert glance is not None
    assert set(glance.texts) == parts | {"storm"}


def test_a_picture_on_x_is_no_photo_in_words(samples: Path) -> None:
    """Its link leads to the post itself, `…/status/1/photo/1`, which no reader sees."""
    seen = 0
    for name in ("x_v1.jsonl.gz", "x_v2.jsonl.gz"):
        for line in lines_of(samples / name):
            if b"/photo/1" in line or b"/video/1" in line:
                (found,) = decode(line)
                glance = GLANCES["x"](line)
                texts = [*found.also, *(glance.texts if glance else ())]
                own = [text for text in texts if re.search(r"/status/\d+/(photo|video)/1$", text)]
                assert not own or any(text.startswith("twitter.com/") for text in texts)
                seen += any(text.startswith("pic.twitter.com/") for text in texts)
    assert seen > 2_000


def test_hostile_values_survive() -> None:
    body = b'{"data": {"id": 123, "text": "a\\u0000b\\ud800c \\ud83d\\ude00"}}'
    found = one(body, "x")
    assert found.text == "a\ufffdb\ufffdc 😀"
    assert found.flags == ("mended",)
    long = one({"data": {"id": "1", "text": "x" * 150_000}}, "x")
    assert len(long.text) == 100_000
    assert "cut" in long.flags
    for date in ("1970-01-01T00:00:00.000Z", "2099-12-31T23:59:59Z", "not a date", 5, None):
        event = post_event("t", time_us=NOW - 5, record={"createdAt": date})
        assert one(event).occurred_at == NOW - 5


def test_one_of_several_that_cannot_be_read_costs_no_other() -> None:
    said = [{"id": "1", "text": "a"}, {"id": "2"}, {"id": "3", "text": "c\ud800"}]
    bad = {"id": "2"}
    for body, of in (({"data": said}, bad), ([{"data": one} for one in said], {"data": bad})):
        first, unread, last = decode(body)
        assert (first.key, last.key) == ("1", "3")
        assert isinstance(unread, Unread)
        assert (unread.reason, unread.detail) == ("no text", "post 2")
        assert json.loads(unread.body) == of
    for nothing in ({"data": [bad, bad]}, [{"data": bad}], [1, {"what": 1}]):
        with pytest.raises(DecodeError):
            decode(nothing)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff{}", "not UTF-8"),
        (b"[" * 100_000, "too deep"),
        (b'"' + b"x" * 5_000_000 + b'"', "too large"),
        (b"[1, 2]", "unknown shape"),
        (b"12", "unknown shape"),
        (b'{"what": 1}', "unknown shape"),
        (b'{"data": {"text": "x", "id": "abc"}}', "no id"),
        (b'{"data": {"id": "1"}}', "no text"),
        (b'{"data": {}}', "unknown shape"),
    ],
)
def test_reasons_are_stable_words(body: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(body)
    assert caught.value.reason == reason


@pytest.mark.parametrize("wrapped", [True, False])
def test_what_x_says_of_a_stream_is_no_broken_post(wrapped: bool) -> None:
    """Problems come in `errors`, and bare (docs.x.com, "handling disconnections")."""
    for kind in ("usage-capped", "operational-disconnect", "streaming-connection"):
        problem = {"title": "x", "detail": "y", "type": f"https://api.x.com/2/problems/{kind}"}
        assert one({"errors": [problem]} if wrapped else problem, "x") == Ignored("notice")
    for other in ({"title": "x", "type": "about:blank"}, {"title": "x", "type": 5}):
        with pytest.raises(DecodeError):
            one(other, "x")


def test_jetstream_events_of_all_kinds() -> None:
    gone = post_event("", commit={"operation": "delete"})
    del gone["commit"]["record"]
    removal = one(gone)
    assert isinstance(removal, Removal)
    assert removal.key.startswith("at://did:plc:sim0000/app.bsky.feed.post/")
    account = {"did": "did:plc:a", "time_us": 5, "kind": "account"}
    hidden = one(account | {"account": {"active": False, "status": "suspended"}})
    assert isinstance(hidden, AccountChange)
    assert hidden.status == "suspended"
    assert one(account | {"account": {"active": True}}).status == "active"
    throttled = one(account | {"account": {"active": False, "status": "throttled"}})
    assert isinstance(throttled, Ignored)
    assert throttled.cursor == 5


def test_an_account_says_what_it_is_called() -> None:
    said = {"did": "did:plc:a", "time_us": 5, "kind": "identity"}
    for handle, expected in (
        ("Ann.Example", "ann.example"),
        ("handle.invalid", NO_HANDLE),
        ("no handle\x00", ""),
        ("a." + "b" * 200, ""),
        (7, ""),
    ):
        found = one(said | {"identity": {"did": "did:plc:a", "handle": handle, "seq": 1}})
        assert isinstance(found, IdentityChange)
        assert (found.author_id, found.handle, found.cursor) == ("did:plc:a", expected, 5)
    assert one(said | {"identity": {"did": "did:plc:a"}}).handle == ""
    with pytest.raises(DecodeError, match="identity event"):
        one(said | {"did": "did:plc:\x00"})


def test_a_bluesky_post_is_matched_in_all_its_texts() -> None:
    text = "猫 see site"
    facet = {
        "index": {"byteStart": 8, "byteEnd": 12},
        "features": [{"uri": "https://c.example/deep"}, {"tag": "Sturm"}],
    }
    embed = {
        "$type": "app.bsky.embed.recordWithMedia",
        "record": {"record": {"uri": "at://did:plc:b/app.bsky.feed.post/1"}},
        "media": {"images": [{"alt": "a lighthouse"}]},
    }
    record = {"facets": [facet], "embed": embed, "tags": ["extra"], "langs": ["ja", "en"]}
    found = one(post_event(text, record=record, time_us=NOW - 5))
    for part in ("#Sturm", "#extra", "https://c.example/deep", "site", "a lighthouse"):
        assert part in found.also
    assert (found.kind, found.lang) == ("quote", "ja")
    assert found.cursor == found.occurred_at


@pytest.mark.parametrize("with_media", [False, True])
@pytest.mark.parametrize(
    ("collection", "kind"),
    [
        ("app.bsky.feed.post", "quote"),
        ("app.bsky.feed.generator", "post"),
        ("app.bsky.graph.list", "post"),
        ("app.bsky.graph.starterpack", "post"),
    ],
)
def test_on_bluesky_only_a_post_that_is_embedded_is_a_quote(
    collection: str, kind: str, with_media: bool
) -> None:
    record = {"uri": f"at://did:plc:b/{collection}/1", "cid": "bafy"}
    embed: dict[str, Any] = {"$type": "app.bsky.embed.record", "record": record}
    if with_media:
        media = {"$type": "app.bsky.embed.images", "images": [{"alt": "rain"}]}
        embed = {"$type": "app.bsky.embed.recordWithMedia", "record": embed, "media": media}
    found = one(post_event("storm", record={"embed": embed}))
    assert found.kind == kind
    assert ("quote" in found.traits, "media" in found.traits) == (kind == "quote", with_media)


@pytest.mark.parametrize("of", ["quote", "reblog"])
def test_of_a_quoted_post_of_mastodon_all_is_matched_that_readers_see(of: str) -> None:
    quoted = STATUS | {
        "content": '<p>A <b>storm</b> <a href="https://c.example/deep">c.example…</a></p>',
        "spoiler_text": "wind",
        "card": {"title": "The sea", "description": "and the sky", "url": "https://d.example/"},
    }
    whose = {"state": "accepted", "quoted_status": quoted} if of == "quote" else quoted
    found = one(STATUS | {"content": "<p>look</p>", "tags": [], of: whose})
    parts = {found.text, *found.also}
    assert {"wind", "#Storm", "c.example…", "https://c.example/deep", "a picture"} < parts
    assert {"yes", "The sea", "and the sky", "https://d.example/", "A storm c.example…"} < parts
    assert found.kind == {"quote": "quote", "reblog": "repost"}[of]


def test_mastodon_in_its_three_forms() -> None:
    frame = {"stream": ["public"], "event": "update", "payload": json.dumps(STATUS)}
    sse = b"event: update\ndata: " + json.dumps(STATUS).encode()
    for body in (STATUS, frame, sse):
        found = one(body)
        assert found.text == "A storm"
        assert found.alias == "a.example:1"
        assert {"#Storm", "a picture", "yes"} <= set(found.also)
        assert found.author_handle == "me@a.example"
    edited = frame | {"event": "status.update"}
    edited["payload"] = json.dumps(STATUS | {"edited_at": "2026-11-24T05:01:00.000Z"})
    assert one(edited).operation == "update"
    assert one(STATUS).operation == "create"
    assert one(STATUS | {"edited_at": "2026-11-24T05:01:00.000Z"}).operation == "update"
    assert one({"event": "delete", "payload": "1"}).alias == "a.example:1"
    assert one(STATUS | {"visibility": "private"}) == Ignored("not public")


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_what_only_python_takes_for_a_line_end_does_not_cut_a_server_sent_event(
    inside: str, end: bytes
) -> None:
    """Mastodon's streaming server leaves them as they are, as JSON may (JSON.stringify)."""
    said = STATUS | {"content": f"<p>a storm{inside}at sea</p>"}
    data = b"data: " + json.dumps(said, ensure_ascii=False).encode()
    assert one(b"event: update" + end + data).text == f"a storm{inside}at sea"


def test_mastodons_links_are_shown_short_and_kept_whole() -> None:
    html = (
        '<p>See <a href="https://c.example/very/long"><span class="invisible">https://</span>'
        '<span class="ellipsis">c.example/ve</span><span class="invisible">ry/long</span></a>'
        "<br>and &amp; more</p><p>#x</p>"
    )
    text, links = to_text(html)
    assert text == "See c.example/ve…\nand & more\n\n#x"
    assert links[0].url == "https://c.example/very/long"
    assert links[0].display == "c.example/ve…"


def test_an_old_long_status_has_the_links_of_its_whole_text() -> None:
    """The cut text ends with a link to the status itself, which the whole one has not."""
    itself = "https://twitter.com/i/web/status/1900000000000000000"
    status = {
        "id_str": "1900000000000000000",
        "text": "a storm at… https://t.co/s",
        "truncated": True,
        "entities": {"urls": [{"url": "https://t.co/s", "expanded_url": itself}]},
        "extended_tweet": {
            "full_text": "a storm at sea https://t.co/a",
            "entities": {"urls": [{"url": "https://t.co/a", "expanded_url": "https://b.example/"}]},
        },
    }
    repeated = {"id_str": "1900000000000000001", "text": "RT", "retweeted_status": status}
    for found in (one(status), one(repeated)):
        assert "https://b.example/" in found.also
        assert itself not in found.also
    assert [link.url for link in one(status).links] == ["https://b.example/"]
    del status["extended_tweet"]
    assert [link.url for link in one(status).links] == [itself]


def test_an_old_status_is_matched_in_the_cards_of_its_links(samples: Path) -> None:
    seen = 0
    for line in lines_of(samples / "x_v1.jsonl.gz"):
        if b'"unwound":{"title"' in line:
            links = json.loads(line)["entities"]["urls"]
            for card in [link["unwound"] for link in links if link.get("unwound")]:
                assert {card["title"], card["description"], card["url"]} <= set(one(line).also)
                seen += 1
    assert seen > 5


def test_links_keep_what_the_text_says_and_media_their_words() -> None:
    link = {
        "url": "https://t.co/a",
        "expanded_url": "https://b.example/c",
        "display_url": "b.example/c",
    }
    picture = {"id_str": "9", "type": "photo", "url": "https://t.co/p"}
    status = {
        "id_str": "1900000000000000000",
        "text": "storm https://t.co/a https://t.co/p",
        "entities": {"urls": [link], "media": [picture]},
        "extended_entities": {"media": [picture | {"ext_alt_text": "a lighthouse"}]},
        "user": {"id_str": "7", "screen_name": "keeper"},
    }
    old = one(status)
    assert old.links == (Link("https://b.example/c", "b.example/c", "https://t.co/a"),)
    assert old.media == (Media("picture", "a lighthouse"),)  # once, as extended_entities has it
    assert one(LONG_POST).media == (Media("media", "a lighthouse"),)
    film = {"$type": "app.bsky.embed.video", "alt": "waves"}
    labels = {"values": [{"val": "nudity"}, {"val": "nudity"}, {"val": "a-list"}, {"val": "!warn"}]}
    found = one(post_event("storm", record={"embed": film, "labels": labels}))
    assert found.media == (Media("video", "waves"),)
    assert (found.warning, found.sensitive) == ("nudity, !warn", True)
    assert "nudity" not in found.also
    bot = one(STATUS | {"account": STATUS["account"] | {"bot": True}})
    assert (bot.flags, bot.media) == (("bot",), (Media("media", "a picture"),))


def test_many_links_on_one_long_text_are_cut_before_they_are_decoded() -> None:
    text = "storm é" + "é" * 150_000
    feature = {"$type": "app.bsky.richtext.facet#link", "uri": "https://a.example/"}
    features = [feature | {"uri": f"https://a.example/{n}"} for n in range(20_000)]
    facet = {"index": {"byteStart": 0, "byteEnd": 300_000}, "features": features}
    event = post_event(text, record={"facets": [facet]})
    tracemalloc.start()
    found = one(event, "bluesky")
    seen = GLANCES["bluesky"](json.dumps(event).encode())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.links) == 100
    assert found.links[0].display == text[:1_000]
    assert seen is None
    assert most < 100_000_000


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_outside_all_years_is_none(moment: str) -> None:
    assert one(post_event("storm", record={"createdAt": moment}), "bluesky").created_at <= NOW
    status = {"id": "1", "uri": "https://a.example/1", "content": "x"}
    found = one(status | {"created_at": moment, "edited_at": moment}, "mastodon")
    assert (found.created_at, found.edited_at) == (NOW, 0)
