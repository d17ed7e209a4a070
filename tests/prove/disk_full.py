"""R7: the disk is full, then not: said within 10 s, nothing lost, storing again within 30 s."""

import errno
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.running import Running, wait_for
from tests.prove.beside import Beside
from tests.prove.flow import Flow, audit, audit_x, gaps_of_x
from tests.prove.harness import Run
from tests.prove.world import World, stored

DISK_MB = 96
POSTS_A_S = 50
X_POSTS_A_S = 4
FULL_FOR_S, LONG_S = 20, 120
SAID_S, RESUMED_S = 10, 30
WORDS = "The disk is full"


def run(run: Run) -> None:
    folder = run.folder / "full" / "data"
    folder.mkdir(parents=True)
    with small_disk(folder) as refusal:
        if refusal:
            run.figures["left_out"] = refusal
            return
        with (
            World(["bluesky", "x"]) as world,
            run.tweeter("full", **world.settings()) as tweeter,
        ):
            _filled_and_freed(run, world, tweeter, folder)
    run.fired(disk_filled=3, x_hung_up=2)


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """Mount a small disk there; gives the reason if that is refused, else ""."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", str(folder)]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except OSError as error:
        yield f"no mount here: {error}"
        return
    if done.returncode:
        yield f"mounting is refused here: {done.stderr.strip()}"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path) -> None:
    """Take all that is left of the disk."""
    with (folder / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 9):
            while True:
                try:
                    file.write(bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error
                    break


class _X(Beside):
    """Posts of X in a thread: a simulator never holds one back, whoever listens."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.quiet = threading.Event()

    def work(self) -> None:
        while not self.ended.wait(1 / X_POSTS_A_S):
            if self.quiet.is_set():
                continue
            said = self._world.prepare("x", "a storm on X")
            self._world.said.append(said)
            self._world.begin("x", self._world.x.publish([said.event]))


def _filled_and_freed(run: Run, world: World, tweeter: Running, folder: Path) -> None:
    tweeter.add("storm")
    for network in ("bluesky", "x"):
        wait_for(lambda n=network: world.connected(n), 60, f"for {network}")
    lasts_s = LONG_S if run.full else FULL_FOR_S
    with Flow(world, POSTS_A_S) as flow, _X(world) as x_posts:
        time.sleep(3)
        _full(run, tweeter, folder, "first", lasts_s)
        run.figure("x_gaps_while_it_waited", len(gaps_of_x(tweeter)), most=0)
        time.sleep(3)
        _full(run, tweeter, folder, "second", lasts_s, hang_up=world)
        wait_for(lambda: world.connected("x"), 60, "for X")
        x_posts.quiet.set()
        time.sleep(2)
        _full(run, tweeter, folder, "third", lasts_s, hang_up=world)
        x_posts.quiet.clear()
        wait_for(lambda: world.connected("x"), 60, "for X")
        time.sleep(3)
        flow.end()
    last = [s.key for s in world.said if s.network == "x"][-1]
    wait_for(lambda: last in stored(tweeter, "x"), 30, "for the last post of X")
    _audit_bluesky(run, tweeter, flow)
    audit_x(run, world, tweeter)


def _full(
    run: Run,
    tweeter: Running,
    folder: Path,
    name: str,
    lasts_s: float,
    *,
    hang_up: World | None = None,
) -> None:
    """Fill the disk for a while. hang_up: X does meanwhile."""
    said_before = tweeter.log_text().count(WORDS)
    fill(folder)
    began_s = time.monotonic()
    run.fault("disk_filled")
    wait_for(lambda: tweeter.log_text().count(WORDS) > said_before, SAID_S + 5, "for the log")
    run.figure(f"{name}_in_log_s", time.monotonic() - began_s, most=SAID_S)
    status, body = fetch(f"{tweeter.url}/healthz")
    run.figure(f"{name}_healthz", status, least=503, most=503)
    found = json.loads(body)
    assert found["status"] == "failing", found
    assert WORDS in found["verdict"], found
    for path in ("/health", "/", "/live"):
        assert WORDS in fetch(f"{tweeter.url}{path}")[1], f"{path} does not say it"
    run.figure(f"{name}_on_pages_s", time.monotonic() - began_s, most=SAID_S)
    if hang_up is not None:
        time.sleep(5)
        hang_up.do("x", hang_up.x.close())
        run.fault("x_hung_up")
    while time.monotonic() - began_s < lasts_s:
        fill(folder)  # whatever was freed meanwhile
        time.sleep(0.5)
    count = "SELECT count(*) FROM posts"
    before = tweeter.sql(count)[0][0]
    (folder / "ballast").unlink()
    freed_s = time.monotonic()
    wait_for(lambda: tweeter.sql(count)[0][0] > before, RESUMED_S + 5, "for new posts")
    run.figure(f"{name}_resumed_s", time.monotonic() - freed_s, most=RESUMED_S)
    wait_for(lambda: fetch(f"{tweeter.url}/healthz")[0] == 200, 10, "for /healthz")


def fetch(url: str) -> tuple[int, str]:
    """Status and text, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _audit_bluesky(run: Run, tweeter: Running, flow: Flow) -> None:
    x_keys = set(stored(tweeter, "x"))
    audit(run, tweeter, flow.keys | x_keys)
