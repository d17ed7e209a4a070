"""The static files: read once, packed once, and kept by browsers for good.

Their address holds a digest of them all, so that a script's own imports carry it too. An
address with another digest (a page that stayed open over an upgrade) gets the file of now,
which is not kept.
"""

import gzip
import hashlib
import mimetypes
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask, Response, abort, request

FOLDER = Path(__file__).parents[1] / "static"
FRAMED = "picture.css"  # of pages in a sandbox, which are of no origin: not even of ours
FOR_GOOD = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Asset(msgspec.Struct, frozen=True):
    """A file, plain and packed."""

    kind: str
    plain: bytes
    packed: bytes


def _read() -> tuple[str, dict[str, Asset]]:
    """The digest of all files, and the files by name."""
    digest, found = hashlib.blake2b(digest_size=6), {}
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        name, plain = path.relative_to(FOLDER).as_posix(), path.read_bytes()
        digest.update(f"{name}\0{len(plain)}\0".encode() + plain)
        kind = (
            _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        )
        found[name] = Asset(kind, plain, gzip.compress(plain, 9, mtime=0))
    return digest.hexdigest(), found


def serve(app: Flask) -> None:
    """Serve the files as the endpoint "static", with or without a digest in the address."""
    version, files = _read()

    def static(filename: str, digest: str = "") -> Response:
        asset = files.get(filename)
        if asset is None:
            abort(404)
        is_packed = (
            len(asset.packed) < len(asset.plain) and request.accept_encodings.quality("gzip") > 0
        )
        answer = Response(asset.packed if is_packed else asset.plain, mimetype=asset.kind)
        answer.headers["Cache-Control"] = FOR_GOOD if digest == version else ASK_AGAIN
        answer.headers["Vary"] = "Accept-Encoding"
        if filename == FRAMED:
            answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if is_packed:
            answer.headers["Content-Encoding"] = "gzip"
        answer.set_etag(f"{version}{'-gzip' if is_packed else ''}")
        answer.make_conditional(request)
        return answer

    def with_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values.setdefault("digest", version)

    app.add_url_rule("/static/<path:filename>", "static", static)
    app.add_url_rule("/static/v/<digest>/<path:filename>", "static", static)
    app.url_defaults(with_version)
