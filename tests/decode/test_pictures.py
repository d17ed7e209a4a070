"""Where a small picture of a post's media is, as each network says it; and what is none."""

from typing import Any

import pytest

from tests.decode.test_decoders import STATUS, one
from tests.simulators.jetstream import post_event
from tests.simulators.x import post
from tweeter.harmless import PICTURE_CHARACTERS, picture_host
from tweeter.records import Media

CID = "bafkreicwsq23gkygrgpijv7ocssxdyjokfv3quss3f2dg4csds3jpeqkwe"
WRONG = [
    "http://a.example/1.jpg",
    "//a.example/1.jpg",
    "/1.jpg",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "https://",
    "https:///1.jpg",
    "https://me:secret@a.example/1.jpg",
    "https://a.example@b.example/1.jpg",
    "https://a.example:8443/1.jpg",
    "https://a.example\\@b.example/1.jpg",
    "https://127.0.0.1/1.jpg",
    "https://0x7f.0x1/1.jpg",
    "https://[::1]/1.jpg",
    "https://localhost/1.jpg",
    "https://a.example./1.jpg",
    "https://*.example/1.jpg",
    "https://a.example;script-src *",
    "https://a.example/1.jpg\n",
    "https://a.example/1 2.jpg",
    'https://a.example/"onerror="alert(1)',
    "https://a.example/'x",
    "https://a.example/<b>",
    "https://a.example/\x00",
    "https://a.example/\ud800",
    "https://tweſter.example/1.jpg",
    "https://a.example/" + "x" * PICTURE_CHARACTERS,
]


def of_mastodon(**attachment: Any) -> Media:
    (found,) = one(STATUS | {"media_attachments": [attachment]}).media
    assert isinstance(found, Media)
    return found


def of_x(**medium: Any) -> Media:
    event = post(1_900_000_000_000_000_000, "storm", attachments={"media_keys": ["3_1"]})
    event["includes"] |= {"media": [{"media_key": "3_1"} | medium]}
    (found,) = one(event).media
    assert isinstance(found, Media)
    return found


def of_bluesky(blob: Any, did: str = "did:plc:abc") -> Media:
    embed = {"$type": "app.bsky.embed.images", "images": [{"alt": "rain", "image": blob}]}
    (found,) = one(post_event("storm", did=did, record={"embed": embed})).media
    assert isinstance(found, Media)
    return found


@pytest.mark.parametrize(
    "url, host",
    [
        ("https://a.example", "a.example"),
        ("HTTPS://Files.A.Example/media_proxy/1/small", "files.a.example"),
        ("https://xn--mnchen-3ya.example/a/%C3%BC.png?x=1&y=[2]#z", "xn--mnchen-3ya.example"),
        ("https://a.example/@b.example/1@jpeg", "a.example"),
    ],
)
def test_a_plain_https_address_has_a_host_to_ask(url: str, host: str) -> None:
    assert picture_host(url) == host


@pytest.mark.parametrize("url", WRONG, ids=[ascii(url)[:40] for url in WRONG])
def test_any_other_address_is_as_good_as_none(url: str) -> None:
    assert picture_host(url) == ""
    found = of_mastodon(type="image", description="rain", preview_url=url)
    assert found == Media("picture", "rain", "")
    assert of_x(type="photo", url=url).url == ""


def test_mastodon_gives_a_preview_or_the_picture_itself() -> None:
    small, large = "https://a.example/small.jpg", "https://a.example/large.jpg"
    assert of_mastodon(type="image", preview_url=small, url=large).url == small
    assert of_mastodon(type="image", preview_url=None, url=large).url == large
    assert of_mastodon(type="video", preview_url=small, url="https://a.example/1.mp4").url == small
    assert of_mastodon(type="video", preview_url=None, url="https://a.example/1.mp4").url == ""
    assert of_mastodon(type="image", preview_url=["x"], url=7).url == ""


def test_x_gives_a_picture_or_the_first_one_of_a_film() -> None:
    picture = "https://pbs.twimg.com/media/a.jpg"
    assert of_x(type="photo", url=picture).url == picture
    assert of_x(type="video", preview_image_url=picture).url == picture
    assert of_x(type="video", url="https://video.twimg.com/1.mp4").url == ""
    medium = {"id_str": "9", "type": "photo", "media_url_https": picture, "url": "https://t.co/p"}
    old = one({"id_str": "1900000000000000000", "text": "a", "entities": {"media": [medium]}})
    assert old.media == (Media("picture", "", picture),)


def test_bluesky_names_a_blob_that_its_host_has() -> None:
    address = f"https://cdn.bsky.app/img/feed_thumbnail/plain/did:plc:abc/{CID}@jpeg"
    blob = {"$type": "blob", "ref": {"$link": CID}, "mimeType": "image/jpeg", "size": 9}
    assert of_bluesky(blob) == Media("picture", "rain", address)
    assert of_bluesky({"cid": CID, "mimeType": "image/jpeg"}).url == address
    for wrong in ({}, None, {"ref": {"$link": "../x"}}, {"ref": {"$link": ""}}, {"ref": CID}):
        assert of_bluesky(wrong).url == ""
    assert of_bluesky(blob, did="did:plc:a/../b").url == ""
    film = {"$type": "app.bsky.embed.video", "alt": "waves", "video": blob}
    assert one(post_event("storm", record={"embed": film})).media == (Media("video", "waves"),)
