"""Links as they are compared: without what only tracks readers, and short enough for a key."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit

from tweeter.records import Link

LONGEST = 190  # bytes of a value in a key

# Parameters that say where a reader came from, not what is read.
_TRACKING = re.compile(
    r"^(utm_.*|fbclid|gclid|dclid|msclkid|yclid|igshid|igsh|mc_[ce]id|ref_src|ref_url|_hs(enc|mi)"
    r"|mkt_tok|s_cid|cmpid|wt_mc|at_(medium|campaign)|smid|ocid|__twitter_impression)$"
)
# Most links: nothing in them is escaped or written in more than one way. Three times as fast.
_USUAL = re.compile(
    r"https?://([a-z0-9-]+(?:\.[a-z0-9-]+)+)((?:/[!$-;=@-~]*)?)"
    r"(?:\?([\w.~-]+=[\w.~-]*(?:&[\w.~-]+=[\w.~-]*)*))?",
    re.ASCII,
)
_SHORTENED = re.compile(r"…[0-9a-f]{16}")
_SPACE = re.compile(r"\s+")


@lru_cache(maxsize=8_192)  # a search describes up to 2,000 posts each time it is shown
def compared(url: str) -> str:
    """A link as a filter has it: that of the statistics, which may be given too; "" if none.

    In a filter white space stands between two links, so it is "%20" in one.
    """
    clean, domain = tidy(url)
    if not domain:
        return ""
    return _SPACE.sub("%20", url if _SHORTENED.fullmatch(url[-17:]) else short(clean))


def of_post(links: Iterable[Link]) -> set[str]:
    """The links of a post, as they are compared."""
    return {found for link in links if (found := compared(link.url))}


def host(link: str) -> str:
    """The host of a link as it is compared; "" where the link is shortened within it."""
    found = link.removeprefix("https://").partition("/")[0].partition("?")[0]
    return "" if "…" in found else found


def tidy(url: str) -> tuple[str, str]:
    """A link without what only tracks its readers, and its domain without "www."; "" if none."""
    usual = _USUAL.fullmatch(url)
    if usual is None:
        return _tidy_parsed(url)
    host, path, query = usual.groups()
    host = host.removeprefix("www.")
    if "." not in host:
        return "", ""
    if query:
        pairs = query.split("&")
        query = "&".join([one for one in pairs if not _TRACKING.match(one.partition("=")[0])])
    return f"https://{host}{path.rstrip('/')}{'?' if query else ''}{query or ''}", host


def _tidy_parsed(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host = (parts.hostname or "").removesuffix(".").removeprefix("www.")
    except ValueError:
        return "", ""
    if "." not in host:
        return "", ""
    query = parts.query
    if query:
        kept = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(name, value) for name, value in kept if not _TRACKING.match(name)])
    path = parts.path.rstrip("/")
    return f"https://{host}{path}{'?' if query else ''}{query}", host


def short(value: str) -> str:
    """A value that fits into a key; a long one keeps its beginning, and a hash of the whole."""
    if len(value) <= LONGEST and value.isascii() and "\x00" not in value:
        return value
    encoded = value.encode("utf-8", "replace").replace(b"\x00", b"")
    if len(encoded) <= LONGEST:
        return encoded.decode()
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: LONGEST - 20].decode('utf-8', 'ignore')}…{digest}"
