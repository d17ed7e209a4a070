"""Which keywords get in when there are not rules enough."""

from hypothesis import given
from hypothesis import strategies as st

from tweeter.keywords.x_fit import fitting
from tweeter.keywords.x_pack import TooManyRules, pack

wanted = st.lists(
    st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=3), max_size=30
).map(lambda found: dict(enumerate(found)))


@given(wanted, st.integers(0, 4))
def test_all_that_get_in_fit_and_none_that_is_left_out_would(
    found: dict[int, list[str]], max_rules: int
) -> None:
    inside, outside = fitting(found, limit=40, max_rules=max_rules)
    assert sorted([*inside, *outside]) == list(found)
    assert inside == sorted(inside)
    assert fits([piece for n in inside for piece in found[n]], max_rules)
    for number in outside:
        older = [piece for n in inside if n < number for piece in found[n]]
        assert not fits([*older, *found[number]], max_rules)


def fits(pieces: list[str], max_rules: int) -> bool:
    if not pieces or not max_rules:
        return not pieces
    try:
        pack(pieces, limit=40, max_rules=max_rules)
    except TooManyRules:
        return False
    return True
