"""The invented keywords are what tests that use them believe."""

from collections import Counter

from tests.keywords.invented import keywords, texts
from tests.keywords.posts import post
from tweeter.keywords import Matcher, parse
from tweeter.keywords.nodes import And, Node, Not, Or
from tweeter.records import Keyword


def test_the_same_seed_gives_the_same_keywords_each_once_and_another_others() -> None:
    found = keywords(1, 1_000)
    assert found == keywords(1, 1_000)
    assert len(set(found)) == 1_000
    assert len(set(found) & set(keywords(2, 1_000))) < 200
    assert texts(1, 50) == texts(1, 50) != texts(2, 50)


def test_ten_thousand_keywords_use_the_whole_language() -> None:
    used: Counter[str] = Counter()

    def visit(node: Node) -> None:
        name = getattr(node, "name", type(node).__name__)
        used[name] += 1
        for child in node.nodes if isinstance(node, And | Or) else ():
            visit(child)
        if isinstance(node, Not):
            visit(node.node)

    for expression in keywords(7, 10_000):
        visit(parse(expression))
    wanted = ("Word", "Tag", "Mention", "Prefix", "Not", "And", "Or")
    for name in (*wanted, "from", "lang", "is", "has", "url"):
        assert used[name] > 20, name


def test_the_texts_hit_some_of_a_thousand_keywords() -> None:
    matcher = Matcher(Keyword(id=n, expression=text) for n, text in enumerate(keywords(1, 1_000)))
    hits = [len(matcher.match(post(text))) for text in texts(1, 500)]
    assert 100 < sum(1 for count in hits if count) < 500
