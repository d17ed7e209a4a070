"""Who is served, and the headers of every answer.

Until there are accounts, only this machine is served: the address is loopback, the Host names
it with our port (a page of another site that rebinds its name to 127.0.0.1 fails here), and
no proxy stands between, as far as a request shows it. Pages of other sites may link to ours; what
else their browsers ask for them, also by an <img>, is refused before it costs anything: they would
learn from the time that it takes what is stored here.
"""

import re
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

_HERE = ("127.0.0.1", "localhost", "[::1]")
# What proxies add. nginx adds nothing unless it is told to, but speaks HTTP/1.0 (before 1.29.7).
_FORWARDED = re.compile(
    r"forwarded|via|x-forwarded(-.+)?|x-original-.+|x-real-ip|.+-(client|connecting)-ip",
    re.IGNORECASE,
)
_OURS = ("same-origin", "none")  # Sec-Fetch-Site; "none": typed, or a bookmark
_STATIC = "/static/"  # also asked for by the page of a picture, which is of no origin

# Pages with posts, which may show a picture's own page below one.
WITH_CARDS = frozenset(
    f"pages.{name}"
    for name in (
        "home",
        "keyword",
        "edit_keyword",
        "annotate",
        "change_annotation",
        "live",
        "change_deck",
        "search",
    )
)


def policy(*, frames: bool = False, is_framed: bool = False, picture_host: str = "") -> str:
    """The Content-Security-Policy of a page.

    frames: it may show a page of ours in itself. is_framed: it may be shown in one. picture_host
    (as `harmless.picture_host` gives it): it may load pictures from there over https.
    """
    pictures = f"'self' https://{picture_host}" if picture_host else "'self'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {pictures}",
            "connect-src 'self'",
            *(("frame-src 'self'",) if frames else ()),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'self'" if is_framed else "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


HEADERS = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Guarded(RequestHandler):
    """A handler of Tornado's whose own answers have the headers, too."""

    ALLOWED = RequestHandler.SUPPORTED_METHODS

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def write_error(self, status_code: int, **more: Any) -> None:
        """What Tornado refuses itself: a method that there is not, a form without its boundary."""
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.ALLOWED))
            self.say(405, f"Nothing here takes {self.request.method}.")
            return
        error = more["exc_info"][1] if "exc_info" in more else None
        self.say(status_code, getattr(error, "log_message", None) or f"{self._reason}.")

    def say(self, status: int, words: str) -> None:
        """Answer with a sentence."""
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(words + "\n")


def refusal(asked: HTTPServerRequest, port: int) -> str:
    """Why a request is not served, as a sentence; "" if it is."""
    hosts = {f"{name}:{port}" for name in _HERE}
    if port == 80:
        hosts |= set(_HERE)
    if asked.headers.get("Host", "").lower() not in hosts:
        return (
            f"tweeter answers only to http://127.0.0.1:{port} and http://localhost:{port}"
            " until it has accounts."
        )
    signs = [name for name in asked.headers if _FORWARDED.fullmatch(name)]
    if asked.version == "HTTP/1.0":
        signs.append(asked.version)
    if signs:
        return f"tweeter does not serve through a proxy until it has accounts ({signs[0]})."
    if not _is_ours(asked):
        return "tweeter answers its own pages only; those of other sites may link to them."
    return ""


def _is_ours(asked: HTTPServerRequest) -> bool:
    """Whether no page of another site asks, but by a link that a reader follows."""
    if asked.headers.get("Sec-Fetch-Site", "none") in _OURS or asked.path.startswith(_STATIC):
        return True
    is_link = asked.headers.get("Sec-Fetch-Dest") == "document" and asked.method in ("GET", "HEAD")
    return is_link and asked.headers.get("Sec-Fetch-Mode") == "navigate"
