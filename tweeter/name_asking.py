"""Accounts' names, asked for of their networks: when a keyword is saved, and from time to time.

A network that cannot be asked is no error: `work` tries again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from tweeter.config import Config, asks_bluesky
from tweeter.errors import SourceError
from tweeter.moments import DAY_US
from tweeter.records import now_us
from tweeter.sources.backoff import exponential
from tweeter.sources.bluesky_api import PROFILES, BlueskyApi, open_bluesky_api
from tweeter.sources.mastodon_rest import open_rest
from tweeter.store import binding, identities, name_jobs
from tweeter.store.binding import Due
from tweeter.store.followed import Answer, Answers
from tweeter.store.identities import Known
from tweeter.store.name_jobs import TOP, NameJob, Progress
from tweeter.texts import say

AT_ONCE = 8  # requests under way
MOST = 100  # names asked for at once; others are asked for later
REQUESTS = 10  # for profiles, in a part: 250 accounts
PAUSE_S = 0.1  # between them
PART_S = 20.0
EVERY_S = 15.0  # between parts, if all is known
SOON_S = 5.0  # between parts, if not: 600 requests in 5 minutes; the API allows 3,000
SWEEP_EVERY_US = DAY_US
GONE_WAIT_S = 86_400.0

_wait_s = exponential(30, 3600, jitter=0.1)

_UNTIL = {
    "bluesky": "Bluesky's posts carry no names: none is found before the account is known.",
    "mastodon": "Until then it is matched by the name as written.",
}


def ask(config: Config, wanted: Mapping[str, str], *, within_s: float) -> Answers:
    """What the networks say of these names (name -> network) within a time. Raises nothing."""
    some = {name: net for name, net in wanted.items() if net != "x"}
    some = dict(list(some.items())[:MOST])
    return asyncio.run(_ask(config, some, within_s)) if some else {}


async def _ask(config: Config, wanted: Mapping[str, str], within_s: float) -> Answers:
    room = asyncio.Semaphore(AT_ONCE)
    async with open_bluesky_api(config.bluesky_api or "http://localhost") as api:
        asking = {
            name: asyncio.create_task(_one(config, api, room, name, network))
            for name, network in wanted.items()
        }
        await asyncio.wait(asking.values(), timeout=within_s)
        for task in asking.values():
            task.cancel()
        await asyncio.gather(*asking.values(), return_exceptions=True)
    late = "{} did not answer in time. It is asked again. {}"
    return {
        name: task.result()
        if not task.cancelled()
        else Answer(words=late.format(wanted[name].capitalize(), _UNTIL[wanted[name]]))
        for name, task in asking.items()
    }


async def _one(
    config: Config, api: BlueskyApi, room: asyncio.Semaphore, name: str, network: str
) -> Answer:
    async with room:
        try:
            if network == "bluesky":
                return await _bluesky(config, api, name)
            return await _mastodon(config, name)
        except SourceError as error:
            words = f"{error.state} It is asked again. {_UNTIL[network]}"
            return Answer(words=words, retry_at=error.retry_at or 0)


async def _bluesky(config: Config, api: BlueskyApi, name: str) -> Answer:
    if not asks_bluesky(config):
        words = "The settings say not to ask Bluesky; its stream may tell."
        return Answer(words=f"{words} {_UNTIL['bluesky']}")
    did = await api.account_of(name)
    if did:
        return Answer(author_id=did)
    return Answer(gone=True, words=say("Bluesky knows no account “%(name)s”.", name=name))


async def _mastodon(config: Config, name: str) -> Answer:
    """Ask the first server; it is sure only of its own accounts."""
    if not config.mastodon_servers:
        words = "No Mastodon server is set that could be asked."
        return Answer(words=f"{words} {_UNTIL['mastodon']}")
    server = config.mastodon_servers[0]
    url: str | None = None
    for token in dict.fromkeys(("", server.token)):
        async with open_rest(server.url, token) as rest:
            url = await rest.account_url(name)
        if url is not None:
            break
    host = server.host
    if url:
        return Answer(author_id=url)
    if url == "" and name.rpartition("@")[2] == host:
        return Answer(
            gone=True, words=say("%(host)s has no account “%(name)s”.", host=host, name=name)
        )
    why = "does not know it yet" if url == "" else "does not tell it"
    return Answer(words=f"{host} {why}. It is asked again. {_UNTIL['mastodon']}")


# From time to time.


def work(engine: Engine, config: Config, job: NameJob) -> None:
    """A part: names that wait for their accounts, then accounts whose names are unknown.

    Does nothing at Bluesky if it must not be asked. Takes about PART_S, at most.
    """
    _settle(engine, config, binding.due(engine, limit=MOST))
    progress, words, wait_s = job.progress, "", EVERY_S
    retry_at = 0
    if asks_bluesky(config):
        try:
            is_more = asyncio.run(_profiles(engine, config, progress))
            progress.failures = 0
            wait_s = SOON_S if is_more else EVERY_S
        except SourceError as error:
            progress.failures += 1
            wait_s, words = _wait_s(progress.failures), error.state
            retry_at = error.retry_at or 0
    name_jobs.leave(engine, job, progress, words, max(retry_at, now_us() + int(wait_s * 1e6)))


def _settle(engine: Engine, config: Config, waiting: Sequence[Due]) -> None:
    answers = ask(config, {due.name: due.network for due in waiting}, within_s=PART_S / 2)
    for due in waiting:
        answer = answers[due.name]
        author_id = answer.author_id
        if not author_id and due.network == "bluesky" and not asks_bluesky(config):
            author_id = identities.account_of(engine, due.name)
        if author_id:
            binding.bind(engine, due.network, due.name, author_id)
            continue
        wait_s = GONE_WAIT_S if answer.gone else _wait_s(due.tries + 1)
        wait_s = max(wait_s, (answer.retry_at - now_us()) / 1e6)
        binding.put_off(engine, due.network, due.name, answer.words, wait_s)


async def _profiles(engine: Engine, config: Config, progress: Progress) -> bool:
    """Ask for names and keep them, those of the newest posts first; True if more are due.

    Moves `progress` as far as all is kept. Raises SourceError.
    """
    until = time.monotonic() + PART_S / 2
    async with open_bluesky_api(config.bluesky_api, timeout_s=PART_S / 4) as api:
        room = REQUESTS * PROFILES
        lately = identities.unknown_lately(engine, progress.seq, limit=room)
        if not await _keep(engine, api, lately.author_ids, until):
            return True
        progress.seq = lately.position
        room -= len(lately.author_ids)
        is_more = lately.is_more
        if not progress.sweep and now_us() - progress.swept_at > SWEEP_EVERY_US:
            progress.sweep = TOP
        while progress.sweep and room > 0 and time.monotonic() < until:
            older = identities.unknown_before(engine, progress.sweep, limit=room)
            if not await _keep(engine, api, older.author_ids, until):
                return True
            progress.sweep = older.position
            progress.swept_at = now_us()
            room -= len(older.author_ids)
        if room > 0 and time.monotonic() < until:
            await _keep(engine, api, identities.stale(engine, limit=room), until)
    return is_more or bool(progress.sweep)


async def _keep(engine: Engine, api: BlueskyApi, author_ids: Sequence[str], until: float) -> bool:
    """Ask for accounts and keep their names; False if the time was up before all were asked."""
    for start in range(0, len(author_ids), PROFILES):
        if time.monotonic() > until:
            return False
        some = author_ids[start : start + PROFILES]
        found = await api.profiles(some)
        names = {did: Known(profile.handle, profile.name) for did, profile in found.items()}
        await asyncio.to_thread(identities.remember, engine, some, names)
        await asyncio.sleep(PAUSE_S)
    return True
