"""The accounts that an expression names by `from:`, and the stable ids that stand for them.

A name can pass to another account; a network's own id cannot. Where the id is known, it takes
the name's place in the tree before anything is matched, so it costs nothing for each post.
"""

from collections.abc import Mapping

from tweeter.keywords.nodes import And, Field, Node, Not, Or
from tweeter.keywords.parse import fields_of, parse
from tweeter.records import Keyword

NAME_CHARACTERS = 190  # as long as a key of the store; a longer name is matched as written


def accounts(expression: str) -> dict[str, int]:
    """Names after `from:`, case folded, with the place of their first character.

    Ids (`did:…`) are no names. Raises KeywordSyntaxError for characters that are no tokens.
    """
    found: dict[str, int] = {}
    for field, at in fields_of(expression):
        if field.name == "from" and network_of(field.value) and len(field.value) <= NAME_CHARACTERS:
            found.setdefault(field.value, expression.index(":", at) + 1)
    return found


def network_of(name: str) -> str:
    """The network that has names of this form; "" for an id."""
    if name.startswith("did:"):
        return ""
    if "@" in name:
        return "mastodon"
    return "bluesky" if "." in name else "x"


def tree(keyword: Keyword) -> Node:
    """A keyword's tree, its accounts by their ids. Raises KeywordSyntaxError."""
    node = parse(keyword.expression)
    ids = {name: author_id for name, author_id in keyword.accounts if author_id}
    return _by_ids(node, ids) if ids else node


def _by_ids(node: Node, ids: Mapping[str, str]) -> Node:
    if isinstance(node, Not):
        return Not(_by_ids(node.node, ids))
    if isinstance(node, And | Or):
        return type(node)(tuple(_by_ids(child, ids) for child in node.nodes))
    if not isinstance(node, Field) or node.name != "from" or node.value not in ids:
        return node
    by_id = Field("from", ids[node.value].casefold())
    # docs/adr/0004: an id of X was learned, not asked for, so the name counts beside it.
    return Or((node, by_id)) if network_of(node.value) == "x" else by_id
