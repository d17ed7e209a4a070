"""An account of Bluesky followed through its names, with its handle shown: all of tweeter."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.integration.running import Running, wait_for
from tests.simulators.bluesky_api import BlueskyApiSimulator
from tests.simulators.jetstream import JetstreamSimulator, now_us, post_event
from tests.simulators.served import Served

DID = "did:plc:ann"


def shown(tweeter: Running, keyword: int) -> dict[str, str]:
    """text -> handle, as the API gives them."""
    with urllib.request.urlopen(f"{tweeter.url}/api/v1/keywords/{keyword}/posts") as answer:
        found: list[dict[str, Any]] = json.load(answer)["posts"]
    return {post["text"]: post["author_handle"] for post in found}


def test_an_account_is_followed_and_called_by_its_name(tmp_path: Path) -> None:
    handles = {"ann.example": DID}
    with (
        Served(JetstreamSimulator()) as sim,
        Served(BlueskyApiSimulator(handles=handles)) as api,
        Running(tmp_path, BLUESKY_URL=sim.it.url, BLUESKY_API=api.it.url) as tweeter,
    ):
        refused = tweeter.cli("keyword", "add", "from:nobody.example", check=False)
        assert "knows no account" in refused
        api.it.silent = True
        keyword = tweeter.add("from:ann.example")
        wait_for(lambda: sim.it.clients, 20, "for the stream")
        sim.do(sim.it.publish([post_event("too early", 1, did=DID)]))
        api.it.silent = False
        ids = "SELECT author_id FROM followed_names"
        wait_for(lambda: tweeter.sql(ids) == [(DID,)], 60, "for the account")
        sim.do(sim.it.publish([post_event("hello", 2, did=DID)]))
        # The earlier post comes by the look-back that follows.
        wait_for(lambda: set(shown(tweeter, keyword)) == {"too early", "hello"}, 40, "for posts")
        wait_for(lambda: shown(tweeter, keyword)["hello"] == "ann.example", 40, "for the handle")
        event = {"did": DID, "time_us": now_us(), "kind": "identity"}
        event |= {"identity": {"did": DID, "handle": "renamed.example", "seq": 1, "time": ""}}
        sim.do(sim.it.publish([event]))
        wait_for(lambda: shown(tweeter, keyword)["hello"] == "renamed.example", 10, "for its new")
        thief = post_event("under the old name", 3, did="did:plc:thief")
        sim.do(sim.it.publish([thief, post_event("still me", 4, did=DID)]))
        wait_for(lambda: "still me" in shown(tweeter, keyword), 10, "for the next post")
        assert "under the old name" not in shown(tweeter, keyword)
