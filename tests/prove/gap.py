"""R11 and the whole of it: three networks, 1,000 keywords, a script of faults; the right rows, and
a ledger that equals the script, each gap with its true cause and repaired where it could be.
"""

import json
import sqlite3
import threading
import time
import urllib.request
from typing import Any, NamedTuple

from tests.integration.running import Running, wait_for
from tests.prove import script
from tests.prove.beside import Beside
from tests.prove.flap import connects, stream_of, wait_until_connected
from tests.prove.harness import Run
from tests.prove.world import Said, World, twice, wrong_counts
from tweeter.follow import LIVE_AFTER_S

KEYWORDS = 1_000
POSTS_A_S = 20
BEGIN_S, END_S = 4.0, 4.0  # how far the ledger's moments may be from the script's
LIMITED_S = 130  # longer than X's second wait after a 420
AWAY_H, WINDOW_H = 40, 36
HOUR_US = 3_600_000_000
PAST = "('look_back', 'repair')"
REPAIRED = {"x": "lost", "bluesky": "replayed", "mastodon": "repaired"}


class Fault(NamedTuple):
    """A break as the script made it. kinds: what the ledger may call it; outcomes: in order."""

    network: str
    began_us: int
    ended_us: int
    kinds: tuple[str, ...]
    outcomes: tuple[str, ...]


class Story(Beside):
    """The posts and the faults of a run; posts go on in a thread of their own."""

    def __init__(self, run: Run, world: World) -> None:
        super().__init__()
        self.run, self.world = run, world
        self.vocabulary = script.Vocabulary(run.dice)
        self.keywords = script.keywords(run.dice, self.vocabulary, KEYWORDS)
        self.facts: dict[str, tuple[Said, script.Facts]] = {}
        self.faults: list[Fault] = []
        self.deleted: set[str] = set()
        self._talking = threading.Event()

    def talk(self) -> None:
        """Posts from now on."""
        self._talking.set()

    def hush(self) -> None:
        """No posts until `talk`."""
        self._talking.clear()
        time.sleep(1)

    def work(self) -> None:
        networks = ("x", "bluesky", "mastodon")
        number = 0
        while not self.ended.wait(1 / POSTS_A_S):
            if not self._talking.wait(0.2):
                continue
            number += 1
            self.say(networks[number % 3])
            if number % 50 == 0:
                self._delete_before_it_comes()

    def say(self, network: str, **fields: Any) -> Said:
        """One post of the script."""
        facts = script.post(self.run.dice, self.vocabulary, network)
        said = self.world.say(
            network,
            script.text_of(facts),
            **script.fields_of(facts, len(self.facts)) | fields,
        )
        self.facts[said.key] = said, facts
        return said

    def _delete_before_it_comes(self) -> None:
        """Mastodon's order hazard: `delete` overtakes `update`."""
        facts = script.post(self.run.dice, self.vocabulary, "mastodon")
        number = len(self.facts) + 1
        text, fields = script.text_of(facts), script.fields_of(facts, number)
        said = self.world.prepare("mastodon", text, **fields)
        self.world.do("mastodon", self.world.mastodon.delete(said.event))
        self.world.publish(said)
        self.facts[said.key] = said, facts
        self.deleted.add(said.key)
        self.run.fault("delete_before_update")

    def fault(self, network: str, begin: Any, *kinds: str, end: Any = None) -> None:
        """Make a fault, wait until the network is followed again, and write it down."""
        began_us = now_us()
        begin()
        wait_for(lambda: not self.world.connected(network), 60, f"for {network} to break")
        if end is not None:
            end()
        wait_for(lambda: self.world.connected(network), 200, f"for {network} to be back")
        self.run.fault(f"{network}_{kinds[0]}")
        outcome = (REPAIRED[network],)
        self.faults.append(Fault(network, began_us, now_us(), kinds, outcome))

    def expected(self, network: str) -> dict[str, set[int]]:
        """Keys of the posts that must be there -> numbers of the keywords they belong to."""
        found: dict[str, set[int]] = {}
        for key, (said, facts) in self.facts.items():
            if said.network == network and key not in self.deleted:
                hits = {n for n, keyword in enumerate(self.keywords) if keyword.holds(facts)}
                if hits:
                    found[key] = hits
        return found


def now_us() -> int:
    return time.time_ns() // 1000


def run(run: Run) -> None:
    with (
        World() as world,
        run.tweeter(**world.settings()) as tweeter,
        Story(run, world) as story,
    ):
        ids = _add(run, tweeter, story)
        wait_until_connected(world)
        time.sleep(8)  # until X has taken the rules
        for chapter in (_short_faults, _silences, _limits, _another_program):
            story.talk()
            time.sleep(3)
            chapter(run, world, story)
            story.hush()
            _settle(tweeter)
            audit(run, world, tweeter, story, ids)
        _forty_hours_away(run, world, tweeter, story)
        _settle(tweeter)
        audit(run, world, tweeter, story, ids)
    run.fired(x_closed=2, bluesky_closed=1, mastodon_http=1, x_limited=2, stalls=3, away_40_h=1)
    run.fired(x_occupied=1, x_kicked=1, delete_before_update=5)


def _add(run: Run, tweeter: Running, story: Story) -> list[int]:
    file = run.folder / "keywords.txt"
    file.write_text("".join(f"{keyword.expression}\n" for keyword in story.keywords))
    lines = tweeter.cli("keyword", "import", str(file), "--json").splitlines()
    ids = [int(found["id"]) for found in map(json.loads, lines) if found["id"]]
    run.figure("keywords", len(ids), least=KEYWORDS)
    return ids


def _short_faults(run: Run, world: World, story: Story) -> None:
    """Each network ends the connection once, in its own way; X's is also kicked by another."""
    story.fault("x", lambda: world.do("x", world.x.close()), "closed")
    time.sleep(3)
    story.fault("bluesky", lambda: world.do("bluesky", world.bluesky.reset()), "closed", "network")
    time.sleep(3)

    def down() -> None:
        world.mastodon.answers = [(503, {}, {"error": "maintenance"})]
        world.do("mastodon", world.mastodon.drop())

    story.fault("mastodon", down, "http", "closed")
    time.sleep(3)
    story.fault("x", lambda: world.do("x", world.x.disconnect()), "closed")
    time.sleep(3)


def _silences(run: Run, world: World, story: Story) -> None:
    """Not a byte from any of the three, at the same time; each speaks again when it is left."""
    began_us = now_us()
    before = {network: _opened(world, network) for network in world.networks}
    world.x.stalled = world.mastodon.stalled = True
    world.x.recovers = True  # it cannot send again what it keeps to itself on a new connection
    world.do("bluesky", world.bluesky.mute())
    left = list(world.networks)
    until = time.monotonic() + 90
    while left:
        assert time.monotonic() < until, f"the silence of {left} was not noticed"
        for network in [n for n in left if _opened(world, n) > before[n]]:
            world.served[network].it.stalled = False
            left.remove(network)
            run.fault("stalls")
            outcome = (REPAIRED[network],)
            # X may hold our silent connection for a moment: it is ended, and that is said too.
            kinds = ("stalled", "closed") if network == "x" else ("stalled",)
            story.faults.append(Fault(network, began_us, now_us(), kinds, outcome))
        time.sleep(0.02)


def _opened(world: World, network: str) -> int:
    """How often a network let us in."""
    if network == "x":
        return sum(status == 200 for _, status in world.x.connects())
    return len(connects(world, network))


def _limits(run: Run, world: World, story: Story) -> None:
    """A 420; then a rate limit with the clocks 7 minutes apart, which ends by X's clock."""

    def calm() -> None:
        world.x.answers = [(420, {}, {"title": "Enhance Your Calm"})]
        world.do("x", world.x.close())

    def limited() -> None:
        reset = int(time.time() + world.x.clock_s) + LIMITED_S
        headers = {"x-rate-limit-reset": str(reset), "x-rate-limit-remaining": "0"}
        world.x.answers = [(429, headers, {"title": "Too Many Requests", "status": 429})]
        world.do("x", world.x.close())

    story.fault("x", calm, "limited", "closed")
    time.sleep(3)
    world.x.clock_s = -420.0
    before = now_us()
    story.fault("x", limited, "limited", "closed")
    run.figure("limited_for_s", (now_us() - before) / 1e6, least=LIMITED_S - 5, most=LIMITED_S + 10)
    world.x.clock_s = 0.0


def _another_program(run: Run, world: World, story: Story) -> None:
    """It takes the only connection while ours is down; later one kicks ours off it."""
    time.sleep(LIVE_AFTER_S + 2)  # so that the wait after a close is the first one again

    def taken() -> None:
        world.do("x", world.x.close())
        wait_for(lambda: not world.connected("x"), 5, "for the end")
        threading.Thread(target=_hold_connection, args=(world, 10.0), daemon=True).start()

    began_us, asked = now_us(), len(world.x.connects())
    taken()
    wait_for(lambda: len(world.x.connects()) >= asked + 3, 90, "for ours to be back")
    assert world.x.connects()[asked + 1][1] == 429, "ours was let in beside the other"
    run.fault("x_occupied")
    story.faults.append(Fault("x", began_us, now_us(), ("occupied", "closed"), ("lost",)))
    time.sleep(3)
    world.x.second = "kick"
    began_us, asked = now_us(), len(world.x.connects())
    _hold_connection(world, 0.2)
    wait_for(lambda: len(world.x.connects()) >= asked + 2, 30, "for ours to be back")
    run.fault("x_kicked")
    story.faults.append(Fault("x", began_us, now_us(), ("closed",), ("lost",)))
    world.x.second = "429"


def _hold_connection(world: World, for_s: float) -> None:
    """Another program on X's stream."""
    request = urllib.request.Request(
        f"{world.x.url}/2/tweets/search/stream",
        headers={"Authorization": f"Bearer {world.x.token}"},
    )
    with urllib.request.urlopen(request, timeout=5):
        time.sleep(for_s)


def _forty_hours_away(run: Run, world: World, tweeter: Running, story: Story) -> None:
    """The program was off for 40 hours; Bluesky has 36 of them, Mastodon all, X none."""
    story.talk()  # so that the last event before the stop is a moment old
    time.sleep(3)
    story.hush()
    stopped_us = now_us()
    tweeter.stop()
    away_us = AWAY_H * HOUR_US
    _age(tweeter, away_us)
    world.bluesky.events = [(at - away_us, b"", {}) for at, _, _ in world.bluesky.events]
    story.faults = [
        f._replace(began_us=f.began_us - away_us, ended_us=f.ended_us - away_us)
        for f in story.faults
    ]
    # A post from before: who finds it when paging back knows that nothing between was missed.
    before_s = time.time() - (AWAY_H + 1) * 3600
    world.say("mastodon", "of another day", at_s=before_s)
    for hours_ago in (39, 38, 37, 30, 20, 10, 1):
        for _ in range(10):
            at_us = now_us() - hours_ago * HOUR_US
            said = story.say("bluesky", time_us=at_us)
            if hours_ago > WINDOW_H:
                del story.facts[said.key]
            story.say("mastodon", at_s=at_us / 1e6)
            story.say("x")
    tweeter.start()
    wait_until_connected(world)
    back_us, floor_us = now_us(), now_us() - WINDOW_H * HOUR_US
    run.fault("away_40_h")
    began_us = stopped_us - away_us
    story.faults += [
        Fault("x", began_us, back_us, ("",), ("lost",)),
        Fault("bluesky", began_us, back_us, ("",), ("lost", "replayed")),
        Fault("mastodon", began_us, back_us, ("",), ("repaired",)),
    ]
    run.figures["bluesky_window_began_us"] = floor_us
    time.sleep(5)


def _age(tweeter: Running, by_us: int) -> None:
    """Make an installation that is off as old as if it had been so for `by_us`."""
    moments = {
        "intervals": ("started_at", "ended_at"),
        "keyword_intervals": ("started_at", "ended_at"),
        "streams": ("covered_until", "since", "created_at", "heartbeat_at", "lease_until"),
        "keywords": ("created_at", "changed_at"),
        "posts": ("occurred_at", "received_at", "created_at"),
        "matches": ("occurred_at",),
    }
    with sqlite3.connect(tweeter.folder / "data" / "tweeter.db") as connection:
        for table, names in moments.items():
            values = ", ".join(f"{name} = {name} - {by_us}" for name in names)
            connection.execute(f"UPDATE {table} SET {values}")
        connection.execute(
            f"UPDATE streams SET cursor = CAST(cursor AS INTEGER) - {by_us} WHERE cursor <> ''"
            " AND network = 'bluesky'"
        )
    connection.close()


def _settle(tweeter: Running) -> None:
    """Until all repairs have ended and no stream has counted anything for three seconds."""
    last, since = None, time.monotonic()
    until = since + 120
    while time.monotonic() - since < 3:
        assert time.monotonic() < until, "repairs do not end"
        seen = (
            tweeter.sql("SELECT sum(events) FROM streams"),
            tweeter.sql(f"SELECT count(*) FROM jobs WHERE state = 'waiting' AND kind IN {PAST}"),
            tweeter.sql("SELECT count(*) FROM intervals WHERE outcome = 'repairing'"),
        )
        if seen != last or seen[1] != [(0,)] or seen[2] != [(0,)]:
            last, since = seen, time.monotonic()
        time.sleep(0.2)


# The auditor.


def audit(run: Run, world: World, tweeter: Running, story: Story, ids: list[int]) -> None:
    """Rows, counters, pages and ledger against the script."""
    run.figure("twice", twice(tweeter), most=0)
    run.figure("wrong_counts", wrong_counts(tweeter), most=0)
    lost: list[str] = []
    for network in ("x", "bluesky", "mastodon"):
        gaps = _gaps(tweeter, stream_of(tweeter, network))
        expected, found = story.expected(network), _credited(tweeter, network, ids)
        run.figure(f"{network}_posts", len(found), least=50)
        strangers = {key for key in found if key not in expected}
        run.figure(f"{network}_surplus", len(strangers), most=0)
        wrong = [key for key in found if found[key] != expected[key]]
        run.figure(f"{network}_wrong_keywords", len(wrong), most=0)
        missing = [story.facts[key][0] for key in expected if key not in found]
        if network == "x":  # cannot send again: all that is missing lies in a recorded gap
            inside = [m for m in missing if any(a <= m.at_us <= b for a, b, _, _ in gaps)]
            run.figures["x_missing_in_gaps"] = len(inside)
            missing = [m for m in missing if m not in inside]
        lost += [_lost(m, gaps) for m in missing]
    run.figures["lost_posts"] = lost[:10]
    run.figure("lost", len(lost), most=0)
    errors = [e for n in ("x", "bluesky", "mastodon") for e in _ledger_errors(tweeter, story, n)]
    run.figures["ledger"] = errors[:5]
    run.figure("ledger_errors", len(errors), most=0)
    run.figure("api_errors", _api_errors(tweeter, story, ids), most=0)


def _lost(said: Said, gaps: list[tuple[int, int, set[str], list[str]]]) -> str:
    """Which post is missing, and where it lies beside the recorded gaps."""
    near = min(gaps, key=lambda gap: abs(gap[0] - said.at_us), default=None)
    if near is None:
        return said.key
    since, until = ((said.at_us - moment) / 1e6 for moment in near[:2])
    return f"{said.key}: {since:+.3f} s from the begin, {until:+.3f} s from the end of a gap"


def _credited(tweeter: Running, network: str, ids: list[int]) -> dict[str, set[int]]:
    number = {keyword_id: n for n, keyword_id in enumerate(ids)}
    rows = tweeter.sql(
        "SELECT p.key, m.keyword_id FROM posts p JOIN matches m ON m.post_id = p.id"
        " WHERE p.network = ? AND p.removed_at IS NULL",
        network,
    )
    found: dict[str, set[int]] = {}
    for key, keyword_id in rows:
        found.setdefault(key, set()).add(number[keyword_id])
    return found


def _gaps(tweeter: Running, stream: str) -> list[tuple[int, int, set[str], list[str]]]:
    """(from, to, kinds, outcomes) of what was not live since the first connection, joined."""
    rows = tweeter.sql(
        "SELECT i.state, i.kind, i.started_at, i.ended_at, i.outcome FROM intervals i"
        " JOIN streams s ON s.id = i.stream_id WHERE s.name = ? ORDER BY i.started_at, i.id",
        stream,
    )
    first = next((n for n, row in enumerate(rows) if row[0] == "live"), len(rows))
    gaps: list[tuple[int, int, set[str], list[str]]] = []
    for state, kind, started, ended, outcome in rows[first:]:
        if state == "live" or ended == started:
            continue
        if gaps and gaps[-1][1] == started:
            begun, _, kinds, outcomes = gaps[-1]
            joined = outcomes if outcomes[-1:] == [outcome] else [*outcomes, outcome]
            gaps[-1] = begun, ended or now_us(), kinds | {kind}, joined
        else:
            gaps.append((started, ended or now_us(), {kind}, [outcome]))
    return gaps


def _ledger_errors(tweeter: Running, story: Story, network: str) -> list[str]:
    """Where the ledger says otherwise than the script."""
    gaps = _gaps(tweeter, stream_of(tweeter, network))
    faults = [fault for fault in story.faults if fault.network == network]
    if len(gaps) != len(faults):
        said = [[(a - faults[0].began_us) / 1e6, (b - a) / 1e6, sorted(k)] for a, b, k, _ in gaps]
        return [f"{network}: {len(gaps)} gaps recorded, {len(faults)} made: {said}"]
    errors = []
    for fault, (began, ended, kinds, outcomes) in zip(faults, gaps, strict=True):
        early, late = (began - fault.began_us) / 1e6, (ended - fault.ended_us) / 1e6
        if not -BEGIN_S <= early <= BEGIN_S:
            errors.append(f"{network} {fault.kinds}: began {early:.1f} s from the script")
        if not -END_S <= late <= END_S:
            errors.append(f"{network} {fault.kinds}: ended {late:.1f} s from the script")
        if fault.kinds[0] not in kinds or not kinds <= {*fault.kinds, ""}:
            errors.append(f"{network}: {fault.kinds} is called {sorted(kinds)}")
        if tuple(outcomes) != fault.outcomes:
            errors.append(f"{network} {fault.kinds}: ended {outcomes}, not {fault.outcomes}")
    return errors


def _api_errors(tweeter: Running, story: Story, ids: list[int]) -> int:
    """Keywords for which the API gives other posts than the database's rows."""
    wrong = 0
    for keyword_id in story.run.dice.sample(ids, 20):
        url = f"{tweeter.url}/api/v1/keywords/{keyword_id}/posts?limit=500"
        with urllib.request.urlopen(url, timeout=10) as answer:
            shown = {post["key"] for post in json.load(answer)["posts"]}
        rows = tweeter.sql(
            "SELECT p.key FROM posts p JOIN matches m ON m.post_id = p.id WHERE m.keyword_id = ?",
            keyword_id,
        )
        wrong += {row[0] for row in rows} != shown
    return wrong
