"""The tick: what must be true whatever was lost, made true again every few seconds.

It makes the streams that the settings ask for, frees the leases of dead owners, hands out jobs
that wait, prunes, mends what an older process left out, and deletes what was kept for long enough.
Every worker ticks, as does `tweeter scheduler`; one of them leads and does what concerns all, the
others only what they alone can see: their own settings, and the dead of their own host.
"""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from tweeter.config import Config, asks_bluesky, keep_days
from tweeter.records import now_us
from tweeter.sources.wanted import wanted, with_look_up
from tweeter.store import (
    ahead,
    feed,
    imports,
    jobs,
    look_backs,
    name_jobs,
    overtaken,
    past,
    quarantine,
    rechecks,
    removals,
    retention,
    search_texts,
    streams,
)
from tweeter.store.engine import read_clock, repeated, writing
from tweeter.store.installation import installation_id, lead
from tweeter.store.leases import owner

TICK_S = 2.0
LOOK_S = 0.5
TOMBSTONES_KEPT_S = 30 * 24 * 3600
WORDS_MENDED_S = 3600  # posts that are looked at for missing words of search
FILL_S = 1.0  # of a tick: posts that were stored without the search's index get into it
UNNAMED = "Off: the settings of no running worker name this server."
RESEND_S = 10.0  # a job that was sent is not sent again for so long
_PRUNE_EVERY = 150  # ticks: about 5 minutes


class Scheduler:
    """Call `turn` every LOOK_S. send_job puts a part of a job into a queue."""

    def __init__(
        self, engine: Engine, config: Config, send_job: Callable[[str, int], None]
    ) -> None:
        self._engine = engine
        self._config = config
        self._send_job = send_job
        self._sent_at: dict[tuple[str, int], float] = {}
        self._ticks = 0
        self._settled = 0  # the moment of the last look for what overtook its removal, us
        self._too_old = True  # there may be posts that are kept too long
        self._old_words = True  # there may be words of search by older rules
        self._owner = owner()
        self._installation = ""
        self._leads = False
        self._ticked_at = -TICK_S

    def turn(self, now_s: float) -> None:
        """Tick if TICK_S are over, else look; now_s is a monotonic clock. Raises as `tick`."""
        if now_s - self._ticked_at < TICK_S:
            self.look(now_s)
            return
        self._ticked_at = now_s
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Do what is due; now_s is a monotonic clock. Raises SQLAlchemy's errors."""
        self._installation = self._installation or installation_id(self._engine)
        asked = wanted(self._config, self._installation)
        for name, network, options, off in asked:
            if streams.is_ensured(self._engine, name, options, off=off):
                continue
            if not (off and streams.is_followed(self._engine, network)):  # as others' settings say
                streams.ensure(self._engine, name, network, options, off=off)
        if self._config.mastodon_servers:
            streams.withdraw(self._engine, "mastodon")
        streams.switch_off(self._engine, "mastodon", [one.name for one in asked], UNNAMED)
        streams.free_dead(self._engine)
        ahead.shorten(self._engine)
        self._leads = lead(self._engine, "scheduler", self._owner)
        if not self._leads:
            self._settled = 0
            return
        self._settled = overtaken.settle(self._engine, self._settled)
        jobs.start_due_purges(self._engine)
        look_backs.ask_for_new_keywords(self._engine, self._config.look_back_hours)
        past.start_repairs(self._engine)
        rechecks.start_due(
            self._engine,
            x_days=self._config.x_recheck_days,
            networks=with_look_up(self._config),
        )
        self._hand_out(now_s)
        if self._ticks % _PRUNE_EVERY == 0:
            repeated(self._prune)()
            self._too_old = True
        if self._config.search_index:
            self._index()
        if self._too_old:
            _, whole = retention.run(self._engine, keep_days(self._config))
            self._too_old = not whole
        self._ticks += 1

    def look(self, now_s: float) -> None:
        """Hand out the files that were given just now: somebody waits for them to begin."""
        if self._leads:
            self._send([("import", new) for new in imports.not_begun(self._engine)], now_s)

    def _index(self) -> None:
        """Give words of search to posts that have none, or old ones, for FILL_S at most."""
        if self._ticks % _PRUNE_EVERY == 0:
            while search_texts.mend(self._engine, now_us() - WORDS_MENDED_S * 1_000_000):
                pass
        until_s = time.monotonic() + FILL_S
        while search_texts.fill(self._engine) and time.monotonic() < until_s:
            pass
        while self._old_words and time.monotonic() < until_s:
            self._old_words = bool(search_texts.renew(self._engine))

    def _hand_out(self, now_s: float) -> None:
        waiting = [("job", job_id) for job_id in jobs.waiting(self._engine)]
        waiting += [("past", job_id) for job_id in past.waiting(self._engine)]
        asks = asks_bluesky(self._config)
        waiting += [("names", n) for n in name_jobs.waiting(self._engine, asks_handles=asks)]
        waiting += [("import", stream_id) for stream_id in imports.idle(self._engine)]
        self._sent_at = {job: at for job, at in self._sent_at.items() if job in waiting}
        self._send(waiting, now_s)

    def _send(self, waiting: Sequence[tuple[str, int]], now_s: float) -> None:
        for job in waiting:
            if now_s - self._sent_at.get(job, -RESEND_S) >= RESEND_S:
                self._send_job(*job)
                self._sent_at[job] = now_s

    def _prune(self) -> None:
        with writing(self._engine) as connection:
            now = read_clock(connection)
            feed.prune(connection, now - self._config.feed_keep_hours * 3_600_000_000)
            removals.prune(connection, now - TOMBSTONES_KEPT_S * 1_000_000)
            quarantine.trim(
                connection,
                rows=self._config.quarantine_rows,
                size_bytes=self._config.quarantine_mb * 1024 * 1024,
            )
