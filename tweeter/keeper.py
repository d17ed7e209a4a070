"""What a worker's main process does beside Celery: beat, keep its slots filled, reconcile.

It runs as a thread, so it goes on while the broker is away. With the five original steps
there is no supervising parent: then it also keeps the embedded broker.
"""

import logging
import os
import threading
import time
from typing import Any

from celery import bootsteps, signals
from sqlalchemy.exc import SQLAlchemyError

from tweeter import tasks
from tweeter.broker import BrokerKeeper
from tweeter.errors import StoreError
from tweeter.scheduler import TICK_S, Scheduler
from tweeter.store import migrate, workers
from tweeter.store.engine import make_engine
from tweeter.store.leases import owner

log = logging.getLogger("tweeter.keeper")

BEAT_S = 3.0
SLOT_WAIT_S = 10.0  # for a slot that was asked for to begin

_broker: BrokerKeeper | None = None


@signals.celeryd_after_setup.connect
def prepare(instance: Any, **_: Any) -> None:
    """Before the pool starts: check the database, start the broker, and make room for slots."""
    global _broker
    if "prefork" not in str(instance.pool_cls):
        raise SystemExit("tweeter's worker needs Celery's prefork pool: leave --pool out.")
    engine = make_engine(tasks.config.database_url)
    try:
        migrate.check(engine)
    except (StoreError, SQLAlchemyError) as error:
        raise SystemExit(f"tweeter's worker cannot start. {error}") from error
    finally:
        engine.dispose()
    least = tasks.config.worker_concurrency or tasks.config.slots + tasks.SPARE_PROCESSES
    least = max(least, tasks.config.slots + tasks.SPARE_PROCESSES)
    instance.concurrency = max(instance.concurrency or 0, least)
    if not tasks.config.broker_url and not os.environ.get("TWEETER_SUPERVISED"):
        _broker = BrokerKeeper(tasks.config)
        _broker.start()
        _broker.wait_ready(10)


@signals.worker_shutting_down.connect
def drain(**_: Any) -> None:
    """The slots end as soon as the worker is asked to stop."""
    tasks.drain()


class Keeper(bootsteps.StartStopStep):
    """Celery's hook: the thread lives as long as the worker."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **_: Any) -> None:
        self._hostname: str = parent.hostname
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, parent: Any) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Drain the slots and end the thread; the pool is waited for afterwards."""
        tasks.drain()
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def terminate(self, parent: Any) -> None:
        """As stop."""
        self.stop(parent)

    def _run(self) -> None:
        engine, worker_id = make_engine(tasks.config.database_url), owner()
        scheduler = Scheduler(engine, tasks.config, tasks.send_job)
        beaten_at = ticked_at = asked_at = -60.0
        while not self._stop.wait(0.5):
            now_s = time.monotonic()
            try:
                if now_s - beaten_at >= BEAT_S:
                    workers.beat(engine, worker_id, self._hostname)
                    beaten_at = now_s
                if now_s - ticked_at >= TICK_S:
                    scheduler.tick(now_s)
                    ticked_at = now_s
                if now_s - asked_at >= SLOT_WAIT_S or asked_at < 0:
                    missing = workers.missing_slots(engine, worker_id, tasks.config.slots)
                    for _ in range(missing):
                        if tasks.send_slot(self._hostname, worker_id):
                            asked_at = now_s
            except (SQLAlchemyError, StoreError) as error:
                log.error("keeper_failed error=%s", type(error).__name__)
                beaten_at = now_s  # a database that is away: not ten tries a second
                self._stop.wait(2)
        try:
            workers.leave(engine, worker_id)
        except SQLAlchemyError as error:
            log.warning("worker_left_silently error=%s", type(error).__name__)
        engine.dispose()


tasks.app.steps["worker"].add(Keeper)
app = tasks.app
