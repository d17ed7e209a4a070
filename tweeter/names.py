"""Keywords saved with the accounts that they name: who these are is asked of the networks.

The store keeps ids and opens no sockets; sources ask and keep nothing: here they meet. A network
that cannot be asked is no error: the keyword is kept, matched by the name as written, and
`name_asking.work` tries again.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from tweeter.config import Config
from tweeter.errors import KeywordSyntaxError
from tweeter.harmless import typed
from tweeter.keywords import accounts
from tweeter.store import bulk, followed, keywords
from tweeter.store.followed import Answer, Answers
from tweeter.store.keywords import KeywordRow, Options
from tweeter.texts import say

SAVE_S = 2.0  # that a person waits for the networks

_HINTS = {
    "bluesky": say("Check the spelling, or write its id: from:did:plc:…."),
    "mastodon": say("Check the spelling."),
}


def add(
    engine: Engine,
    config: Config,
    expression: str,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> KeywordRow:
    """`keywords.add`, with its accounts looked up; raises the same, at a name that is none's."""
    answers = look_up(engine, config, expression, options.networks or ())
    return keywords.add(
        engine, expression, options, max_keywords=config.max_keywords, answers=answers
    )


def edit(
    engine: Engine,
    config: Config,
    keyword_id: int,
    expression: str | None,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> KeywordRow:
    """`keywords.edit`, likewise; names that the keyword has already keep their accounts."""
    row = keywords.get(engine, keyword_id)
    asked = row.expression if expression is None else expression
    networks = row.networks.split() if options.networks is None else options.networks
    answers = look_up(engine, config, asked, networks, keyword_id=keyword_id)
    return keywords.edit(engine, keyword_id, expression, options, answers)


def look_up(
    engine: Engine,
    config: Config,
    expression: str,
    networks: Sequence[str],
    *,
    keyword_id: int | None = None,
) -> Answers:
    """The accounts that an expression names; those that keyword_id has are not asked for.

    Takes at most SAVE_S. Raises KeywordSyntaxError where a network says that there is none.
    """
    expression = typed(expression)
    wanted = followed.names(expression, networks)
    if not wanted:
        return {}
    found: dict[str, Answer] = {}
    if keyword_id is not None:
        for account in followed.of_keyword(engine, keyword_id):
            if account.author_id and account.name in wanted:
                found[account.name] = Answer(author_id=account.author_id)
    asked = {name: network for name, network in wanted.items() if name not in found}
    found |= _ask(config, asked)
    for name, at in accounts(expression).items():
        if name in found and found[name].gone:
            raise KeywordSyntaxError(found[name].words, at, _HINTS[wanted[name]])
    return found


def look_up_many(config: Config, lines: Sequence[bulk.Line]) -> Answers:
    """The accounts of many lines, as `bulk.check` and `bulk.add` take them; at most SAVE_S."""
    return _ask(config, bulk.names(lines))


def _ask(config: Config, wanted: Mapping[str, str]) -> Answers:
    if not wanted:
        return {}
    from tweeter.name_asking import ask  # with the networks' clients; most keywords name nobody

    return ask(config, wanted, within_s=SAVE_S)
