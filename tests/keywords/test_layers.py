"""A matcher that was changed step by step finds what one made at once does."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keywords.posts import post
from tests.keywords.test_language import expressions, posts
from tweeter.keywords import Matcher, matcher
from tweeter.records import Keyword, Post

names = st.sampled_from([(), (("ann", "did:x:1"),), (("ann", "1"),)])
networks = st.sampled_from([(), ("x",), ("bluesky",)])
keywords = st.builds(
    Keyword,
    id=st.just(0),
    expression=expressions,
    version=st.integers(1, 3),
    accounts=names,
    networks=networks,
)
# What happens to a number: it is given a keyword (again), or loses it.
steps = st.lists(st.tuples(st.integers(1, 8), st.none() | keywords), min_size=1, max_size=6)


def numbered(number: int, one: Keyword) -> Keyword:
    return msgspec.structs.replace(one, id=number)


def same(changed: Matcher, anew: Matcher, seen: Post) -> None:
    found = anew.match(seen)
    assert changed.match(seen) == found
    assert changed.ids(seen) == anew.ids(seen) == {match.keyword_id for match in found}
    in_texts = changed.seen((seen.text, *seen.also))
    assert changed.match(seen, in_texts) == found
    if found:
        authors = (seen.author_id, seen.author_handle)
        assert changed.may_match(in_texts, authors, [link.url for link in seen.links])


@given(
    st.lists(keywords, max_size=8),
    st.lists(steps, min_size=1, max_size=4),
    st.lists(posts, min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_any_row_of_changes_is_as_made_at_once(
    first: list[Keyword],
    changes: list[list[tuple[int, Keyword | None]]],
    seen: list[Post],
    share: int,
) -> None:
    now = {n: numbered(n, one) for n, one in enumerate(first, 1)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(matcher, "LEAST", 0)
        patched.setattr(matcher, "SHARE", share)  # 0: never at once again
        changed = Matcher(now.values())
        for some in changes:
            for number, one in some:
                now.pop(number, None)
                if one is not None:
                    now[number] = numbered(number, one)
            changed = Matcher(now.values(), before=changed)
            anew = Matcher(now.values())
            assert changed.broken == anew.broken
            for one_post in seen:
                same(changed, anew, one_post)


def test_a_change_of_few_compiles_only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "LEAST", 40)
    many = {n: Keyword(id=n, expression=f"word{n}") for n in range(100)}
    first = Matcher(many.values())
    many[7] = Keyword(id=7, expression="storm", version=2)
    del many[8]
    many[100] = Keyword(id=100, expression="storm OR word9")
    then = Matcher(many.values(), before=first)
    assert then._layers[0] is first._layers[0]
    assert list(then._layers[1].keywords) == [7, 100]
    assert then.ids(post("a storm, word7 word8 word9")) == {7, 9, 100}
    assert [match.keyword_version for match in then.match(post("storm"))] == [2, 1]
    for n in range(10, 20):
        del many[n]
    at_once = Matcher(many.values(), before=then)
    assert len(at_once._layers) == 1
    assert at_once.ids(post("word10 word20 storm")) == {7, 20, 100}
