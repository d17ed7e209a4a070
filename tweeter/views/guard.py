"""Who is served, and the headers of every answer.

Until there are accounts, only this machine is served: the address is loopback, the Host names
it with our port (a page of another site that rebinds its name to 127.0.0.1 fails here), and
no proxy stands between.
"""

from collections.abc import Mapping

_HERE = ("127.0.0.1", "localhost", "[::1]")
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip")

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
}


def refusal(headers: Mapping[str, str], port: int) -> str:
    """Why a request is not served, as a sentence; "" if it is."""
    hosts = {f"{name}:{port}" for name in _HERE}
    if port == 80:
        hosts |= set(_HERE)
    if headers.get("Host", "").lower() not in hosts:
        return (
            f"tweeter answers only to http://127.0.0.1:{port} and http://localhost:{port}"
            " until it has accounts."
        )
    for name in _FORWARDED:
        if headers.get(name):
            return f"tweeter does not serve through a proxy until it has accounts ({name})."
    return ""
