"""The demo's keywords: they follow no other network, and a person can make one of them theirs."""

import re

from flask.testing import FlaskClient
from sqlalchemy import Engine, update

from tests.store.posts import post, store, take
from tweeter.records import now_us
from tweeter.store import demo, keywords, ledger, streams
from tweeter.store.engine import writing
from tweeter.store.leases import owner
from tweeter.store.ledger import Turn
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import streams as stream_table

US = 1_000_000


def send(client: FlaskClient, path: str, **fields: str) -> str:
    """The page after a form that was sent."""
    page = client.get("/add_keyword").text
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    assert token
    return client.post(path, data=fields | {"csrf_token": token[1]}, follow_redirects=True).text


def test_a_demo_keyword_has_a_page_also_after_a_gap_of_its_stream(
    engine: Engine, client: FlaskClient
) -> None:
    (keyword_id,) = demo.start(engine, ["harbour"])
    ((_, lease),) = streams.claim(engine, owner(), networks=["demo"])
    now = now_us()
    store(engine, lease, post(1, network="demo", received_at=now - 90 * US))
    with writing(engine) as connection:
        connection.execute(update(stream_table).values(covered_until=now))
    for ago, state, outcome in ((100, "live", ""), (60, "down", ""), (30, "live", "lost")):
        turn = Turn(state=state, cause="", at=now - ago * US, kind="closed", outcome=outcome)
        ledger.enter(engine, lease, turn)
    assert client.get(f"/keywords/{keyword_id}").status_code == 200


def test_the_form_of_a_demo_keyword_shows_its_network_and_what_is_widened_stays(
    engine: Engine, client: FlaskClient
) -> None:
    harbour, fog = demo.start(engine, ["harbour", "fog"])
    page = client.get(f"/keywords/{harbour}").text
    assert "It follows the demo alone" in page
    assert re.search(r'name="networks" value="demo" checked', page)
    assert 'value="demo"' not in client.get("/add_keyword").text
    assert "demo only" in client.get("/add_keyword").text
    send(client, f"/keywords/{harbour}/edit", act="save", expression="harbour", networks="bluesky")
    said = send(client, "/demo/remove")
    assert "The demo is gone, with its 0 posts and its keywords." in said
    assert "These of its keywords stay, for they were changed or found real posts: harbour." in said
    assert [row.id for row in keywords.list_all(engine)] == [harbour]
    assert fog not in [row.id for row in keywords.list_all(engine, removed=True)]


def test_invented_posts_stand_apart_from_real_ones_on_the_overview(
    engine: Engine, client: FlaskClient
) -> None:
    (harbour,) = demo.start(engine, ["harbour"])
    now = now_us()
    before = now - 86_400 * 2 * US
    with writing(engine) as connection:
        connection.execute(update(keyword_table).values(created_at=before, changed_at=before))
    invented = [post(n, network="demo", occurred_at=now) for n in range(3)]
    store(engine, take(engine), *invented)
    first = client.get("/").text
    assert "<b>0</b> posts" in first
    assert "<b>3</b> invented (demo)" in first
    storm = keywords.add(engine, "storm").id
    with writing(engine) as connection:
        connection.execute(update(keyword_table).values(created_at=before, changed_at=before))
    real = [post(9 + n, network=name, occurred_at=now) for n, name in enumerate(("x", "bluesky"))]
    (lease,) = [one for stream, one in streams.claim(engine, owner(), networks=["demo"])]
    store(engine, lease, *real, post(20, network="demo", occurred_at=now))  # all keywords have them
    page = client.get("/").text
    assert "<b>2</b> posts" in page
    assert "<b>4</b> invented (demo)" in page
    assert "of the 2 posts stored in that time, each once, without the invented ones" in page
    found = client.get("/api/v1/overview").json["overview"]
    assert found["everything"] == 2
    lines = {line["keyword_id"]: line for line in found["lines"]}
    assert (lines[storm]["day"], lines[storm]["share"]) == (3, 1.0)
    assert (lines[harbour]["day"], lines[harbour]["share"]) == (6, None)
    send(client, "/demo/remove")
    page = client.get("/").text
    assert "invented" not in page.partition("<main")[2]
    assert "of the 2 posts stored in that time, each once; a post" in page
