"""gzip for an answer without end, made once for many readers.

Each piece ends on a whole byte and refers to nothing before it, so that the same bytes can be sent
to readers who have seen different pieces. The connection's end is the end; there is no trailer.
"""

import zlib

HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # of the answer, before its first piece


def packed(text: bytes) -> bytes:
    """A piece. The quickest level: events that follow each other repeat most of their names."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)


def is_taken(accept_encoding: str) -> bool:
    """Whether a client with this header takes gzip."""
    choices = [one.partition(";") for one in accept_encoding.lower().replace(" ", "").split(",")]
    return any(name == "gzip" and more.strip("0.") != "q=" for name, _, more in choices)
