"""What a post is and has, beside its text: author, language, kind, links' domains, media.

A feature is (name, value) as `from:`, `lang:`, `is:`, `has:` and `url:` ask for it.
"""

from collections.abc import Iterator, Set
from urllib.parse import urlsplit

from tweeter.records import Post

Feature = tuple[str, str]

HOST = 253  # characters of a name that can be looked up
OLD_LANGUAGES = {"iw": "he", "in": "id", "ji": "yi"}  # withdrawn codes that X still sends


def features(post: Post) -> Set[Feature]:
    """Everything of a post that a field of the language can ask for."""
    found: set[Feature] = {("lang", lang) for lang in languages(post.lang)}
    found.update(("is", trait) for trait in (post.kind, *post.traits))
    if "media" in post.traits:
        found.add(("has", "media"))
    found.update(("from", name.casefold()) for name in (post.author_id, post.author_handle) if name)
    for link in post.links:
        found.add(("has", "link"))
        found.update(("url", domain) for domain in host_domains(link.url))
    return found


def languages(tag: str) -> Iterator[str]:
    """A language tag and its shorter forms: "pt-br" and "pt"; current codes for withdrawn ones."""
    if not tag:
        return
    first, _, rest = current(tag).partition("-")
    yield first
    while rest:
        yield f"{first}-{rest}"
        rest = rest.rpartition("-")[0]


def current(tag: str) -> str:
    """A language tag as it is compared: small letters, the current code for a withdrawn one."""
    first, joint, rest = tag.lower().replace("_", "-").partition("-")
    return f"{OLD_LANGUAGES.get(first, first)}{joint}{rest}"


def domains(host: str) -> Iterator[str]:
    """A host and the domains above it that have a dot: "a.b.org" and "b.org"."""
    while "." in host:
        yield host
        host = host.partition(".")[2]


def host_domains(url: str) -> Iterator[str]:
    """The domains that `url:` finds an address under."""
    return domains(_host(url))


def _host(url: str) -> str:
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").removesuffix(".")
    except ValueError:
        return ""
    try:
        return ascii_host(host) if len(host) <= HOST else host
    except UnicodeError:  # nobody can go there; what is above it is found all the same
        return host


def ascii_host(host: str) -> str:
    """A host as the internet writes it: "xn--bcher-kva.de" for "bücher.de". Raises UnicodeError."""
    return host if host.isascii() else host.encode("idna").decode()
