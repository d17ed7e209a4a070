"""Keywords and posts of a seeded script, with what each post is worth known beforehand.

A keyword comes with a plain condition on the facts of a post, made together with its text and
sharing no code with tweeter: so the ledger can say which keywords each post belongs to. The
vocabularies of words, tags, names and domains are apart, so that none is found in another.
"""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

LANGS = ("en", "es", "de", "fr")
NETWORKS = ("x", "bluesky", "mastodon")


class Facts(NamedTuple):
    """What a post of the script is."""

    network: str
    words: tuple[str, ...]
    tags: frozenset[str]
    names: frozenset[str]  # mentioned
    lang: str
    author: int  # number of one of AUTHORS
    is_reply: bool
    domain: str  # of its link; "" for none


class Wanted(NamedTuple):
    """A keyword: its expression, and when a post belongs to it."""

    expression: str
    holds: Callable[[Facts], bool]


class Vocabulary:
    """Invented words, seeded."""

    def __init__(self, dice: random.Random, words: int = 1_500) -> None:
        self.words = _invented(dice, "bdfgklmnprst", words)
        self.tags = [f"tag{word}" for word in _invented(dice, "vz", 60)]
        self.names = [f"name{word}"[:15] for word in _invented(dice, "h", 40)]
        self.domains = [f"{word}.example" for word in _invented(dice, "jw", 20)]


def _invented(dice: random.Random, letters: str, count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        length = dice.randint(2, 4)
        found["".join(dice.choice(letters) + dice.choice("aeiou") for _ in range(length))] = None
    return list(found)


def author_of(network: str, number: int) -> str:
    """As `from:` asks for it."""
    return {
        "x": f"author{number}",
        "bluesky": f"did:plc:author{number}",
        "mastodon": f"author{number}@third.example",
    }[network]


AUTHORS = 30


def keywords(dice: random.Random, vocabulary: Vocabulary, count: int) -> list[Wanted]:
    """Keywords of the whole language, no two the same."""
    found: dict[str, Wanted] = {}
    while len(found) < count:
        one = _keyword(dice, vocabulary)
        found.setdefault(one.expression.casefold(), one)
    return list(found.values())


def _keyword(dice: random.Random, vocabulary: Vocabulary) -> Wanted:
    first = _atom(dice, vocabulary)
    kind = dice.random()
    if kind < 0.45:
        return first
    second = _atom(dice, vocabulary)
    while _excludes(first, second):
        second = _atom(dice, vocabulary)
    if kind < 0.6:
        return Wanted(
            f"{first.expression} OR {second.expression}",
            lambda post: first.holds(post) or second.holds(post),
        )
    if kind < 0.7:
        return Wanted(
            f"{first.expression} {second.expression}",
            lambda post: first.holds(post) and second.holds(post),
        )
    narrow = _narrowing(dice, vocabulary)
    while first.expression.startswith("url:") and narrow.expression == "has:link":
        narrow = _narrowing(dice, vocabulary)  # or nothing could match
    if kind < 0.85:
        return Wanted(
            f"({first.expression} OR {second.expression}) {narrow.expression}",
            lambda post: (first.holds(post) or second.holds(post)) and narrow.holds(post),
        )
    return Wanted(
        f"{first.expression} NOT ({second.expression} OR {narrow.expression})",
        lambda post: first.holds(post) and not (second.holds(post) or narrow.holds(post)),
    )


def _excludes(first: Wanted, second: Wanted) -> bool:
    """True if joining the two could make a keyword that nothing matches."""
    one, other = first.expression.casefold(), second.expression.casefold()
    return one == other or (one.startswith("from:") and other.startswith("from:"))


def _atom(dice: random.Random, vocabulary: Vocabulary) -> Wanted:
    kind = dice.random()
    word = dice.choice(vocabulary.words)
    if kind < 0.6:
        return Wanted(dice.choice((word, word.upper())), lambda post: word in post.words)
    if kind < 0.7:
        after = dice.choice(vocabulary.words)
        pair = (word, after)
        return Wanted(
            f'"{word} {after}"',
            lambda post: any(pair == post.words[n : n + 2] for n in range(len(post.words))),
        )
    if kind < 0.8:
        tag = dice.choice(vocabulary.tags)
        return Wanted(f"#{tag}", lambda post: tag in post.tags)
    if kind < 0.88:
        name = dice.choice(vocabulary.names)
        return Wanted(f"@{name}", lambda post: name in post.names)
    if kind < 0.94:
        domain = dice.choice(vocabulary.domains)
        return Wanted(f"url:{domain}", lambda post: post.domain == domain)
    network, number = dice.choice(NETWORKS), dice.randrange(AUTHORS)
    return Wanted(
        f"from:{author_of(network, number)}",
        lambda post: (post.network, post.author) == (network, number),
    )


def _narrowing(dice: random.Random, vocabulary: Vocabulary) -> Wanted:
    kind = dice.random()
    if kind < 0.4:
        lang = dice.choice(LANGS)
        return Wanted(f"lang:{lang}", lambda post: post.lang == lang)
    if kind < 0.6:
        return Wanted("is:reply", lambda post: post.is_reply)
    if kind < 0.8:
        return Wanted("has:link", lambda post: bool(post.domain))
    word = dice.choice(vocabulary.words)
    return Wanted(word, lambda post: word in post.words)


def post(dice: random.Random, vocabulary: Vocabulary, network: str) -> Facts:
    """A post; common words come more often, as in life."""
    rare = dice.choices(vocabulary.words, k=5)
    common = dice.choices(vocabulary.words[:100], k=5)
    words = rare + common
    dice.shuffle(words)
    return Facts(
        network=network,
        words=tuple(words),
        tags=frozenset(dice.sample(vocabulary.tags, dice.choice((0, 0, 1, 2)))),
        names=frozenset(dice.sample(vocabulary.names, dice.choice((0, 0, 1)))),
        lang=dice.choice(LANGS),
        author=dice.randrange(AUTHORS),
        is_reply=dice.random() < 0.3,
        domain=dice.choice(vocabulary.domains) if dice.random() < 0.3 else "",
    )


def text_of(facts: Facts) -> str:
    """As people would write it."""
    parts = [" ".join(facts.words)]
    parts += [f"#{tag}" for tag in sorted(facts.tags)]
    parts += [f"@{name}" for name in sorted(facts.names)]
    return " ".join(parts)


def fields_of(facts: Facts, number: int) -> dict[str, Any]:
    """The rest of the post, as the simulator of its network takes it."""
    return {"x": _x, "bluesky": _bluesky, "mastodon": _mastodon}[facts.network](facts, number)


def _x(facts: Facts, number: int) -> dict[str, Any]:
    name = author_of("x", facts.author)
    entities: dict[str, Any] = {"hashtags": [{"tag": tag} for tag in sorted(facts.tags)]}
    entities["mentions"] = [{"username": name} for name in sorted(facts.names)]
    if facts.domain:
        url = f"https://{facts.domain}/{number}"
        entities["urls"] = [{"url": "https://t.co/x", "expanded_url": url, "display_url": url}]
    found: dict[str, Any] = {"lang": facts.lang, "entities": entities}
    found |= {"author_id": str(1000 + facts.author), "username": name}
    if facts.is_reply:
        found["referenced_tweets"] = [{"type": "replied_to", "id": "1"}]
    return found


def _bluesky(facts: Facts, number: int) -> dict[str, Any]:
    record: dict[str, Any] = {"langs": [facts.lang]}
    if facts.domain:
        external = {"uri": f"https://{facts.domain}/{number}", "title": "", "description": ""}
        record["embed"] = {"$type": "app.bsky.embed.external", "external": external}
    if facts.is_reply:
        parent = {"uri": "at://did:plc:other/app.bsky.feed.post/3k", "cid": "bafy"}
        record["reply"] = {"root": parent, "parent": parent}
    return {"record": record, "did": author_of("bluesky", facts.author)}


def _mastodon(facts: Facts, number: int) -> dict[str, Any]:
    text = text_of(facts)
    url = f"https://{facts.domain}/{number}"
    link = f'<p><a href="{url}" rel="nofollow">{url}</a></p>' if facts.domain else ""
    name, _, server = author_of("mastodon", facts.author).partition("@")
    account = {"id": str(facts.author), "username": name, "acct": f"{name}@{server}"}
    account |= {"display_name": name, "url": f"https://{server}/@{name}", "bot": False}
    return {
        "content": f"<p>{text}</p>{link}",
        "language": facts.lang,
        "tags": [{"name": tag, "url": ""} for tag in sorted(facts.tags)],
        "in_reply_to_id": "1" if facts.is_reply else None,
        "account": account,
    }
