"""Who is served, and the headers of every answer.

Until there are accounts, only this machine is served: the address is loopback, the Host names
it with our port (a page of another site that rebinds its name to 127.0.0.1 fails here), and
no proxy stands between.
"""

from collections.abc import Mapping

_HERE = ("127.0.0.1", "localhost", "[::1]")
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
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
