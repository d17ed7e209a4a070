"""The records that travel between the rooms. Frozen; moments are integer microseconds, UTC.

`msgspec.Struct` instead of dataclasses: a frozen one is built about ten times faster, and
the hot path builds several for each event.
"""

import time
from typing import Literal

import msgspec

Kind = Literal["post", "reply", "repost", "quote"]


def now_us() -> int:
    """This machine's clock, unix microseconds."""
    return time.time_ns() // 1000


class RawEvent(msgspec.Struct, frozen=True, gc=False):
    """One message of a network, exactly as it came."""

    shape: str  # which decoder: "x", "bluesky", "mastodon", "demo", or "any" (found per event)
    body: bytes  # the JSON text, or the SSE block, without its line end
    received_at: int  # our clock
    cursor: str = ""  # position after this event, where the source knows it (replay); else ""
    origin: str = ""  # server or file the event came from: part of aliases, shown in quarantine
    place: str = ""  # for people: "posts.jsonl line 12"; else ""
    lines: int = 0  # lines of a file this event took (replay); else 0


class Link(msgspec.Struct, frozen=True, gc=False):
    """A link in a post: where it goes and how the network shows it."""

    url: str
    display: str = ""
    short: str = ""  # what the text says instead of `display` (X: the t.co address); "" if that


class Media(msgspec.Struct, frozen=True, gc=False):
    """A picture or film of a post, in words, and where a reader can see it: tweeter loads none."""

    kind: str  # "picture", "video", "animation", "audio", "media"
    alt: str = ""  # its description, or ""
    url: str = ""  # https address of a small picture of it, at the network's host; "" if none


class Post(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """A post as decoded, before anything is known about keywords.

    Identity is (network, key). text is what readers see; `also` holds the other strings that
    keywords are matched against, one a part: a phrase never spans two parts.
    """

    network: str  # "x", "bluesky", "mastodon", "demo"
    key: str  # X id, at-uri, Mastodon uri: unique within network, at most 190 bytes (else hashed)
    post_id: str  # the network's own id as people and its API write it; never parsed
    url: str  # where a person can see it; "" if unknown
    text: str  # whole text, HTML removed, at most 100_000 characters; may be ""
    also: tuple[str, ...] = ()  # quoted or reposted text, link displays, hashtags, alt texts
    warning: str = ""  # Mastodon spoiler_text (also in `also`); Bluesky: labels, "nudity, !warn"
    kind: Kind = "post"
    lang: str = ""  # BCP 47 as the network claims it; "" if not claimed
    author_id: str = ""  # stable id (X user id, DID, Mastodon account url)
    author_handle: str = ""  # without "@"; may be ""
    author_name: str = ""  # display name; may be ""
    tags: tuple[str, ...] = ()  # hashtags without "#", as written
    links: tuple[Link, ...] = ()
    media: tuple[Media, ...] = ()
    traits: tuple[str, ...] = ()  # "reply", "repost", "quote", "media": all that hold
    reply_to: str = ""  # key or id of the post it answers; "" if none
    created_at: int  # the author's claim: only ever shown
    occurred_at: int  # the network's clock, never later than received_at: all statistics
    received_at: int  # ours
    sort_us: int  # time hidden in the key (snowflake, TID), else created_at: gives rows locality
    operation: Literal["create", "update"] = "create"
    version: str = ""  # grows with each edit (Bluesky rev, Mastodon edited_at); "" if unknown
    edited_at: int = 0  # 0: never edited
    supersedes: tuple[str, ...] = ()  # keys of older versions of this post (X edits)
    alias: str = ""  # "server:id", by which Mastodon announces its removal; "" if none
    sensitive: bool = False
    flags: tuple[str, ...] = ()  # "mended" (NUL or surrogate replaced), "cut" (over 100_000), "bot"
    cursor: int = 0  # the network's position after this event (Jetstream time_us); 0: none


class Removal(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """The network says that a post is gone. key or alias names it, the other is ""."""

    network: str
    key: str = ""
    alias: str = ""
    occurred_at: int
    reason: str = "deleted"
    cursor: int = 0


class AccountChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """The network hides all posts of an account, or shows them again.

    status: "active", or why not: "deleted", "takendown", "suspended", "deactivated".
    Only "deleted" is final.
    """

    network: str
    author_id: str
    status: str
    occurred_at: int
    cursor: int = 0


class IdentityChange(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The network says what an account is called now.

    handle: "" if it only says that something changed, NO_HANDLE if the account has none.
    """

    network: str
    author_id: str
    handle: str
    occurred_at: int
    cursor: int = 0


NO_HANDLE = "-"


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """An event that is fine and not for us: a like, a notice, a heartbeat. why is a stable word."""

    why: str
    cursor: int = 0


class Unread(msgspec.Struct, frozen=True, gc=False):
    """One of several events that came as one: it cannot be read, the others can.

    body: its own JSON; reason and detail: as of a DecodeError.
    """

    body: bytes
    reason: str
    detail: str
    cursor: int = 0


Event = Post | Removal | AccountChange | IdentityChange | Ignored | Unread


class Keyword(msgspec.Struct, frozen=True, kw_only=True):
    """What a person follows. version grows when it means something else: with each edit of the
    expression or the networks, and when an account that it names becomes known.

    changed_at: when that was, or it was paused or resumed: what was said before is of another.
    """

    id: int
    expression: str
    version: int = 1
    state: str = "active"  # "active", "paused", "removed"
    networks: tuple[str, ...] = ()  # only there; () = on all
    day_budget: int = 0  # posts read at X a UTC day; 0: no limit
    month_budget: int = 0
    accounts: tuple[tuple[str, str], ...] = ()  # names of `from:` and their ids ("": not known)
    changed_at: int = 0
    held: str = ""  # why X is not asked for it now, a sentence: its budget


# What a network does with a keyword: (state, cause), see keyword_ledger; if it may be so for
# longer than since now, the moment (us) too.
KeywordState = tuple[str, str] | tuple[str, str, int]
PENDING_AT_X = ("pending", "X has not taken the keyword's rule yet.")


class Match(msgspec.Struct, frozen=True, gc=False):
    """A keyword, in one version, found in a post."""

    keyword_id: int
    keyword_version: int
