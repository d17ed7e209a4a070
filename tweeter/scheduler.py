"""The tick: what must be true whatever was lost, made true again every few seconds.

It makes the streams that the settings ask for, frees the leases of dead owners, hands out
jobs that wait, and prunes. Running it twice, or in several processes at once, is harmless.
"""

from collections.abc import Callable

from sqlalchemy import Engine, select

from tweeter.config import Config
from tweeter.sources import wanted
from tweeter.store import feed, jobs, quarantine, removals, streams
from tweeter.store.engine import db_now, writing

TICK_S = 2.0
TOMBSTONES_KEPT_S = 30 * 24 * 3600
RESEND_S = 10.0  # a job that was sent is not sent again for so long
_PRUNE_EVERY = 150  # ticks: about 5 minutes


class Scheduler:
    """Call `tick` every TICK_S. send_job puts a part of a job into the work queue."""

    def __init__(self, engine: Engine, config: Config, send_job: Callable[[int], None]) -> None:
        self._engine = engine
        self._config = config
        self._send_job = send_job
        self._sent_at: dict[int, float] = {}
        self._ticks = 0

    def tick(self, now_s: float) -> None:
        """Do what is due; now_s is a monotonic clock. Raises SQLAlchemy's errors."""
        for name, network, options, off in wanted(self._config):
            streams.ensure(self._engine, name, network, options, off=off)
        streams.free_dead(self._engine)
        jobs.start_due_purges(self._engine)
        self._hand_out(now_s)
        if self._ticks % _PRUNE_EVERY == 0:
            self._prune()
        self._ticks += 1

    def _hand_out(self, now_s: float) -> None:
        waiting = jobs.waiting(self._engine)
        self._sent_at = {n: at for n, at in self._sent_at.items() if n in waiting}
        for job_id in waiting:
            if now_s - self._sent_at.get(job_id, -RESEND_S) >= RESEND_S:
                self._send_job(job_id)
                self._sent_at[job_id] = now_s

    def _prune(self) -> None:
        with writing(self._engine) as connection:
            now = int(connection.execute(select(db_now(connection))).scalar_one())
            feed.prune(connection, now - self._config.feed_keep_hours * 3_600_000_000)
            removals.prune(connection, now - TOMBSTONES_KEPT_S * 1_000_000)
            quarantine.trim(
                connection,
                rows=self._config.quarantine_rows,
                size_bytes=self._config.quarantine_mb * 1024 * 1024,
            )
