"""The benchmark's way through a whole installation, with few posts: all of them arrive."""

from pathlib import Path

import pytest

from bench import checks
from bench.events import Plan
from bench.network import Network
from bench.product import Product


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
