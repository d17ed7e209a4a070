"""Where a form of the frame leads back to."""

import pytest

from tweeter.views.look import back_to


@pytest.mark.parametrize("address", ["/", "/search?q=a+b&lang=-en", "/keywords/3?from=2026-11-01"])
def test_back_is_where_a_reader_was(address: str) -> None:
    assert back_to(address) == address


@pytest.mark.parametrize(
    "address",
    [
        *("", "a.example", "//a.example", "https://a.example", "javascript:1"),
        *("/\\a.example", "/\t\\a.example", "/\t/a.example", "/\v/a.example", "/\r\nA: b"),
    ],
)
def test_back_is_never_another_site(address: str) -> None:
    assert back_to(address) == "/"
