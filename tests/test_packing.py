"""gzip in pieces: any reader can be sent any of them."""

import zlib

import pytest

from tweeter import packing

PIECES = [b"event: post\ndata: %d\n\n" % n * n for n in (1, 40, 3, 3_000)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 3), (2,), (1, 1, 2, 0)])
def test_pieces_follow_each_other_in_any_order_and_each_can_be_read_when_it_comes(
    order: tuple[int, ...],
) -> None:
    reading = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert reading.decompress(packing.HEAD) == b""
    for n in order:
        assert reading.decompress(packing.packed(PIECES[n])) == PIECES[n]


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br, GZIP;q=0.5", True),
        ("", False),
        ("identity", False),
        ("br, gzip;q=0", False),
        ("gzip; q=0.00, br", False),
    ],
)
def test_who_takes_it(header: str, taken: bool) -> None:
    assert packing.is_taken(header) is taken
