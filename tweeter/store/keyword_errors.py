"""Why a keyword is not what somebody wants it to be."""

from tweeter.errors import TweeterError
from tweeter.texts import say


class KeywordNotFound(TweeterError):
    """No keyword has this id."""

    def __init__(self, keyword_id: int) -> None:
        super().__init__(say("There is no keyword %(number)s.", number=keyword_id))


class KeywordExists(TweeterError):
    """Another keyword says the same; `keyword_id` is its id."""

    def __init__(self, keyword_id: int, expression: str, state: str) -> None:
        self.keyword_id = keyword_id
        super().__init__(
            say(
                "Keyword %(number)s (%(expression)s, %(state)s) already says the same.",
                number=keyword_id,
                expression=expression,
                state=say(state),
            )
        )


class KeywordRemoved(TweeterError):
    """Only restoring brings a removed keyword back."""

    def __init__(self, keyword_id: int, expression: str) -> None:
        super().__init__(
            say(
                "Keyword %(number)s (%(expression)s) is removed. Restore it first.",
                number=keyword_id,
                expression=expression,
            )
        )


class TooManyKeywords(TweeterError):
    """The installation's limit is reached."""
