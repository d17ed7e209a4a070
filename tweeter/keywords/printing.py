"""An expression as text again, and the one text of all that differ in writing alone."""

from tweeter.keywords.fields import LOOKS_LIKE
from tweeter.keywords.nodes import And, Field, Mention, Node, Not, Or, Prefix, Tag, Word, opened
from tweeter.keywords.normalise import normalise
from tweeter.keywords.parse import END, parse


def print_expression(node: Node) -> str:
    """The expression in its shortest form; parse(print_expression(x)) == x."""
    if isinstance(node, Or):
        return " OR ".join(print_expression(child) for child in node.nodes)
    if isinstance(node, And):
        return " ".join(_grouped(child, Or) for child in node.nodes)
    if isinstance(node, Not):
        return f"NOT {_grouped(node.node, And | Or)}"
    if isinstance(node, Tag):
        return f"#{node.text}"
    if isinstance(node, Mention):
        return f"@{node.text}"
    if isinstance(node, Field):
        return f"{node.name}:{node.value}"
    if isinstance(node, Prefix):
        return f"{node.text}*"
    return node.text if _is_bare(node.text) else _quoted(node.text)


def canonical(expression: str) -> str:
    """Equal for expressions that differ in case, order, repetition and writing alone.

    It is an expression that means the same. Raises KeywordSyntaxError.
    """
    return print_expression(in_order(_as_compared(parse(expression))))


def _as_compared(node: Node) -> Node:
    """The same with its texts as they are looked for, which only a phrase may have spaces in."""
    if isinstance(node, Not):
        return Not(_as_compared(node.node))
    if isinstance(node, And | Or):
        return type(node)(tuple(map(_as_compared, node.nodes)))
    if isinstance(node, Field):
        return node
    text = normalise(node.text)
    return type(node)(text if isinstance(node, Word) or " " not in text else node.text.casefold())


def in_order(node: Node) -> Node:
    """The operands of AND and OR, each once, in the order of how they are printed.

    What repetition leaves behind is gone, too: a group of one, a group in one of its own kind, NOT
    of NOT.
    """
    if isinstance(node, Not):
        inner = in_order(node.node)
        return inner.node if isinstance(inner, Not) else Not(inner)
    if not isinstance(node, And | Or):
        return node
    flat = opened(type(node), map(in_order, node.nodes))
    printed = {print_expression(one).casefold(): one for one in flat}
    nodes = tuple(printed[text] for text in sorted(printed))
    return nodes[0] if len(nodes) == 1 else type(node)(nodes)


def _grouped(node: Node, kinds: object) -> str:
    text = print_expression(node)
    return f"({text})" if isinstance(node, kinds) else text  # type: ignore[arg-type]


def _is_bare(text: str) -> bool:
    """True if a word keeps its meaning without quotes."""
    return not (
        text[0] in "-#@\uff03\uff20"
        or text in ("AND", "OR", "NOT")
        or any(c.isspace() or c in END for c in text)
        or (len(text) > 1 and text.endswith("*"))
        or LOOKS_LIKE.match(text)
    )


def _quoted(text: str) -> str:
    if '"' not in text:
        return f'"{text}"'
    return f"\u201c{text}\u201d" if "\u201d" not in text else f"\u00ab{text}\u00bb"
