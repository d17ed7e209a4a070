"""The peers, each on the same events as the product, and how many times faster it is."""

import importlib.util
import json
import subprocess
import sys
from typing import NamedTuple

from bench.figures import ratio
from bench.goals import GOALS
from bench.network import ROOT
from bench.setting import Bench

# By what their ratio's name begins with: what is compared with a peer, and its name for people.
OURS = {
    "ratio/": ("whole/x/sqlite/p100/1", "everything on"),
    "ratio/core/": ("core/x/sqlite/p100/1", "core set-up"),
}
PATIENCE_S = 300


class Peer(NamedTuple):
    """needs: packages by their import names. size: which of the sizes it is measured with."""

    module: str
    work: str
    without: str
    network: str
    needs: tuple[str, ...]
    size: str
    matches: bool = False  # it says how many it counted
    ratio: str = ""


TWEEPY = "everything but posts, matches and counters: cursor, fence, journal, search, sums, edits"
PEERS = [
    Peer(
        "tweepy_orm",
        "(a) tweepy, ORM add and commit a post, 100 % match",
        f"matching (it takes X's word for it), and {TWEEPY}",
        "x",
        ("tweepy",),
        "slow",
        True,
        "tweepy_orm",
    ),
    Peer(
        "tweepy_core",
        "(b) tweepy, pyahocorasick, Core batches of 1,000, 100 % match",
        TWEEPY,
        "x",
        ("tweepy", "ahocorasick"),
        "middle",
        True,
        "tweepy_core",
    ),
    Peer(
        "twarc_file",
        "(c) twarc2's stream into a file",
        "matching, database",
        "x",
        ("twarc", "tweepy"),
        "middle",
        False,
        "twarc",
    ),
    Peer(
        "atproto_decode",
        "(d) atproto's Jetstream client, decoding",
        "matching, database; it speaks Jetstream v2, so the events are in v2's frames",
        "bluesky",
        ("atproto",),
        "slow",
    ),
    Peer(
        "mastodon_stream",
        "(e) Mastodon.py's streaming",
        "matching, database",
        "mastodon",
        ("mastodon",),
        "slow",
    ),
]


def run(bench: Bench) -> None:
    """Each peer, then the ratios to those on X."""
    for peer in PEERS:
        _measure(bench, peer)
    for begin, (ours, words) in OURS.items():
        for peer in PEERS:
            theirs = bench.figures[f"peer/{peer.module}"]
            if peer.ratio and ours in bench.figures:
                name, work = f"{begin}{peer.ratio}", f"tweeter, {words} / {peer.work[:3]}"
                made = ratio(name, work, bench.figures[ours], theirs, GOALS[name])
                bench.figures[name] = made
                bench.say(f"{made.name}: {made.shown()} {made.verdict()}")


def lacking(needs: tuple[str, ...]) -> str:
    """The packages that are not installed, in words; "" if all are."""
    missing = [name for name in needs if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)} (make setup)" if missing else ""


def _measure(bench: Bench, peer: Peer) -> None:
    figure = bench.figure(f"peer/{peer.module}", peer.work)
    figure.without = peer.without
    figure.left_out = lacking(peer.needs)
    if figure.left_out:
        return
    count = getattr(bench.sizes, peer.size)
    with bench.guarded(figure):
        for _ in range(bench.sizes.repeats):
            figure.values.append(once(bench, peer, count))


def once(bench: Bench, peer: Peer, count: int) -> float:
    """Posts a second, from the first byte to the moment all is where it should be."""
    network = bench.network(peer.network, "p100")
    network.ask(do="forget")
    folder = bench.new_folder(peer.module)
    folder.mkdir()
    (folder / "keywords.txt").write_text("\n".join(network.stream.keywords))
    url = network.v2 if peer.network == "bluesky" else network.url
    words = [sys.executable, "-m", f"bench.peers.{peer.module}", "--url", url]
    words += ["--count", str(count), "--file", str(folder / "out")]
    words += ["--keywords", str(folder / "keywords.txt")]
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            network.connected(1)
            network.say(do="go", first=0, count=count)
            out, _ = process.communicate(timeout=PATIENCE_S)
            sent = network.answer()
        finally:
            process.kill()
            process.wait()
    if not out:
        raise RuntimeError((folder / "errors").read_text()[-300:] or "it said nothing")
    found = json.loads(out.splitlines()[-1])
    if found["posts"] != count or (peer.matches and found["matches"] != count):
        raise RuntimeError(f"{found} of {count:,} posts")
    return count / ((found["done_ns"] - sent["first_ns"]) / 1e9)
