"""Posts of which only the parts that keywords look at matter."""

from typing import Any

from tweeter.records import Post


def post(text: str, *also: str, **fields: Any) -> Post:
    values: dict[str, Any] = {
        "network": "x",
        "key": "1",
        "post_id": "1",
        "url": "",
        "text": text,
        "also": also,
        "created_at": 1,
        "occurred_at": 1,
        "received_at": 1,
        "sort_us": 1,
    }
    return Post(**(values | fields))
