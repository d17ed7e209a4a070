"""The benchmark's way through a whole installation, with few posts: all of them arrive."""

from pathlib import Path

import pytest

from bench import checks
from bench.events import Plan
from bench.network import Network
from bench.product import Core, Product


@pytest.mark.parametrize(("network", "processes"), [("x", 2), ("bluesky", 1)])
def test_what_is_sent_is_committed_and_found_right(
    network: str, processes: int, tmp_path: Path
) -> None:
    plan = Plan(network, 100, 40, 0.25)
    with (
        Network(plan) as source,
        Product(tmp_path, source, "sqlite:///", processes=processes) as product,
    ):
        assert product.owners() == processes
        for count in (150, 250):
            sent, took_s = product.take(count)
            assert sent.count == count
            assert took_s > 0
        running = product.running
        assert not checks.faults(running.sql, running.database_url(), source.stream, 400)
        assert checks.faults(running.sql, running.database_url(), source.stream, 300)


def test_the_core_set_up_writes_no_words_of_search(tmp_path: Path) -> None:
    plan = Plan("x", 100, 40, 1.0)
    with Network(plan) as source, Core(tmp_path, source, "sqlite:///") as product:
        product.take(600)  # at once: a helper digests some
        running = product.running
        asked = running.sql, running.database_url(), source.stream, 600
        assert not checks.faults(*asked, checks.Beside(indexed=False))
        assert checks.faults(*asked) == "600 posts without their words"
