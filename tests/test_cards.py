"""What a card says, by the rules of the post's network."""

from typing import Any

import pytest

from tests.pictures import posts as invented
from tests.store.posts import post
from tweeter import cards
from tweeter.cards import Card, Medium, Part
from tweeter.records import Link, Media, Post
from tweeter.store.posts import StoredPost
from tweeter.views import pieces

AT = 1_795_000_000_000_000


def stored(post: Post, **more: Any) -> StoredPost:
    """A decoded post as it comes back from the store."""
    names = set(StoredPost.__struct_fields__) & set(Post.__struct_fields__)
    values = {name: getattr(post, name) for name in names}
    values |= {"tags": list(post.tags), "links": list(post.links), "media": list(post.media)}
    values |= {"flags": list(post.flags), "keywords": [1], "id": 1 << 60}
    values |= {"removed_at": None, "removed_reason": ""}
    return StoredPost(**(values | more))


def card_of(body: bytes, **more: Any) -> Card:
    post = invented.decoded(body, AT)
    assert isinstance(post, Post)
    return cards.card(stored(post, **more))


def test_x_shows_links_as_displayed_and_leads_where_x_wants() -> None:
    card = card_of(invented.x_post(AT))
    assert card.text == [
        Part("The night train to Varnholm runs again "),
        Part("varnholm.example/trains", "https://t.co/aB3dE5"),
        Part(" "),
        Part("#harbour", "https://x.com/hashtag/harbour"),
        Part(" "),
        Part("@quaywatch_demo", "https://x.com/quaywatch_demo"),
    ]
    assert (card.network, card.view) == ("X", "View on X")
    assert card.profile == "https://x.com/mara_lind_demo"
    assert card.url == "https://x.com/mara_lind_demo/status/1990000000000000001"
    assert card.links == []
    assert card.media == [Medium("Picture: A blue engine under snow", "pictures.varnholm.example")]


@pytest.mark.parametrize(
    "labels, cover, hidden",
    [
        ((), "", False),
        (("nudity",), "Nudity", False),
        (("!warn", "porn"), "General warning, Adult content", False),
        (("nudity", "!hide"), "", True),
        (("!no-unauthenticated",), "", True),
        (("somebody-elses-list",), "", False),
    ],
)
def test_bluesky_labels_cover_or_hide(labels: tuple[str, ...], cover: str, hidden: bool) -> None:
    card = card_of(invented.bluesky_post(AT, labels=labels))
    assert card.cover == cover
    assert bool(card.hidden) == hidden
    assert bool(card.text or card.media) != hidden
    assert card.profile == "https://bsky.app/profile/did:plc:ottobrandtdemo"


def test_bluesky_facets_are_links_in_the_text() -> None:
    card = card_of(invented.bluesky_post(AT))
    assert card.text[1:] == [
        Part("#harbour", "https://bsky.app/hashtag/harbour"),
        Part(" "),
        Part("quay.example", "https://quay.example/fog"),
    ]
    assert card.media == [Medium("Picture: A lamp in the fog")]


def test_mastodon_folds_its_warning_names_the_server_and_the_bot() -> None:
    card = card_of(invented.mastodon_post(AT))
    assert card.cover == "Tormenta, ruido"
    assert (card.handle, card.view) == ("@lucia@quay.example", "View on quay.example")
    assert card.marks == ["bot"]
    assert Part("#harbour", "https://quay.example/tags/harbour") in card.text
    assert Part("faro.example/apagon…", "https://faro.example/apagon?id=7") in card.text
    assert card.media == [Medium("Picture: Las luces se apagan", "files.quay.example")]
    quiet = card_of(invented.mastodon_post(AT, spoiler_text=""))
    assert quiet.cover == "Sensitive content"


def test_a_removed_post_keeps_nothing_that_leads_to_it() -> None:
    card = card_of(invented.x_post(AT), text="", removed_at=AT, removed_reason="deleted")
    assert card.gone == "Removed: deleted"
    assert card.text == card.links == card.media == []
    assert card.url == card.profile == card.cover == ""


def test_only_http_becomes_a_link_and_no_text_is_lost() -> None:
    text = "see javascript:alert(1) and https://a.example/x #tag @name " + "x" * 800
    post = invented.decoded(invented.x_post(AT, text=text), AT)
    assert isinstance(post, Post)
    bad = [Link("javascript:alert(1)", "javascript:alert(1)"), Link("https://a.example/x", "see")]
    card = cards.card(stored(post, links=bad, url="javascript:1", author_handle="a/../b"))
    assert "".join(part.text for part in card.rest) == text
    assert card.rest[0] == Part("see", "https://a.example/x")
    assert len("".join(part.text for part in card.text)) == cards.BEGINNING + 1
    assert all(part.url.startswith("https://") for part in card.rest if part.url)
    assert card.url == card.view == ""
    assert card.profile == "https://x.com/i/user/7001"


def test_a_tag_that_leads_nowhere_stands_apart_in_its_own_direction_and_is_found_whole() -> None:
    found = stored(post(1, "عاصفة #harbour هنا", network="demo", tags=("harbour",)))
    parts = cards.card(found).text
    assert parts == [Part("عاصفة "), Part("#harbour", apart=True), Part(" هنا")]
    marked = cards.with_marks(cards.card(found), found, [(7, 14)])
    assert marked.text[1] == Part("#harbour", hit=True, apart=True)
    link = Part("#fog", "https://bsky.app/hashtag/fog")
    assert pieces.card_text([parts[0], marked.text[1], link], "ar") == (
        '<div class="text" dir="auto" lang="ar">عاصفة <bdi><mark class="hit">#harbour</mark></bdi>'
        '<bdi><a href="https://bsky.app/hashtag/fog" rel="noopener nofollow ugc noreferrer"'
        ' target="_blank">#fog</a></bdi></div>'
    )


def test_media_that_nobody_described_are_said_to_be_there() -> None:
    post = invented.decoded(invented.x_post(AT), AT)
    assert isinstance(post, Post)
    media = [Media("video"), Media("new-kind", "a \x07 bell", "http://a.example/b.jpg")]
    card = cards.card(stored(post, media=media))
    assert card.media == [Medium("Video without a description"), Medium("Media: a \ufffd bell")]


@pytest.mark.parametrize("lang, shown", [("pt-BR", "pt-BR"), ("qme", ""), ("und", ""), ("<b", "")])
def test_only_real_languages_reach_the_page(lang: str, shown: str) -> None:
    assert card_of(invented.x_post(AT, lang=lang)).lang == shown
