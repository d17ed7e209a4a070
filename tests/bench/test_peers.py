"""The peers take every post of the source, and say so."""

from pathlib import Path

import pytest

from bench import peering
from bench.setting import Bench, Sizes
from tests.conftest import lacking

SIZES = Sizes(1, 200, 100, 100, 60, 60, 100)


@pytest.mark.parametrize("peer", peering.PEERS, ids=lambda peer: peer.module)
def test_a_peer_takes_every_post(peer: peering.Peer, tmp_path: Path) -> None:
    missing = peering.lacking(peer.needs)
    if missing:
        lacking(missing)
    said: list[str] = []
    bench = Bench(tmp_path, quick=True, say=said.append)
    bench.sizes = SIZES
    try:
        assert peering.once(bench, peer, 60) > 0
    finally:
        bench.close()
