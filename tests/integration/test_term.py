"""SIGTERM to a pool process alone, as a service manager sends it to all processes at once."""

import os
import signal
from pathlib import Path

from tests.integration.running import Running, alive, wait_for


def test_a_process_that_follows_streams_gives_them_back_before_it_ends(tmp_path: Path) -> None:
    with Running(tmp_path) as tweeter:
        tweeter.cli("demo")
        held = "SELECT owner FROM streams WHERE owner <> ''"
        owner = wait_for(lambda: tweeter.sql(held), 30, "for a holder")[0][0]
        pid = tweeter.slot_pid()
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not alive(pid), 10, "for its end")
        assert "slot_ends number=0" in tweeter.log_text()
        wait_for(lambda: tweeter.sql(held) not in ([], [(owner,)]), 30, "for the next holder")
