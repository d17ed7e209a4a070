"""Posts that try to break a page."""

from tests.integration.browsers import HOSTILE
from tests.pictures.scene import World, keep
from tests.store.posts import store, take
from tweeter.decode.build import build
from tweeter.records import Link, Media, Removal, now_us


def strangers(place: World) -> None:
    """Posts that try to break a page, of each network; some are edited, folded, hidden, gone."""
    now, lease = now_us(), take(place.engine, "strangers")
    kept = []
    for number, text in enumerate(HOSTILE):
        for network in ("x", "bluesky", "mastodon"):
            url = f"https://{network}.example/{number}"
            post = build(
                network=network,
                key=f"{network}:{number}",
                post_id=f"{network}:{number}",
                url=url if number else "javascript:alert(1)",
                text=f"{text} #tag @some_one {url} " + "\n\n" * number,
                also=[],
                kind="reply" if number == 3 else "post",
                lang="ar" if "rtl" in text else "en",
                author_id=f"{url}/<b>" if network == "mastodon" else f"did:plc:{number}",
                author_handle="" if number == 2 else f"some_one{'x' * 20 * number}",
                author_name=text[:50],
                tags=["tag"],
                links=[Link(url, f"<i>{url}"), Link(f"{url}?more", "more"), Link("data:x", "x")],
                media=[
                    Media("picture", text[:90], f"https://a.example/{text[:90]}"),
                    Media("video", "", f"https://{network}.example/{number}.jpg"),
                ],
                warning=["", "", "!hide", text[:40], "!warn, nudity"][number % 5],
                sensitive=number == 1,
                flags=["bot"] if number == 4 else [],
                created_at=now - number,
                occurred_at=now - number,
                received_at=now,
                sort_us=now - number,
                edited_at=now if number == 5 else 0,
            )
            kept.append(post)
    store(place.engine, lease, *kept)
    gone = Removal(network="x", key="x:6", occurred_at=now, reason="deleted")
    store(place.engine, lease, gone)
    keep(place.engine, now)
