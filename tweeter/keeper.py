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
from celery.worker import state
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import queues, tasks
from tweeter.broker import READY_S, BrokerKeeper, await_ours
from tweeter.errors import MUST_END, MustEnd, StoreError
from tweeter.scheduler import LOOK_S, TICK_S, Scheduler
from tweeter.store import migrate, move, workers
from tweeter.store.engine import make_engine
from tweeter.store.leases import owner

log = logging.getLogger("tweeter.keeper")

BEAT_S = 3.0
SLOT_WAIT_S = 10.0  # for a slot that was asked for to begin

_broker: BrokerKeeper | None = None
_queue: Any = None  # of this worker alone


@signals.celeryd_init.connect
def join(instance: Any, **_: Any) -> None:
    """Before Celery looks at its queues: check the database, and use the installation's own."""
    global _queue
    engine = make_engine(tasks.config.database_url)
    try:
        migrate.check(engine)
        _queue = queues.of_worker(tasks.join(engine), instance.hostname, os.getpid())
    except (StoreError, SQLAlchemyError) as error:
        raise SystemExit(f"tweeter's worker cannot start. {error}") from error
    finally:
        engine.dispose()


@signals.worker_init.connect
def add_own_queue(sender: Any, **_: Any) -> None:
    """Whatever queues the worker was told to serve, its own is among them."""
    sender.app.amqp.queues.select_add(_queue)


@signals.worker_init.connect
def make_room(sender: Any, **_: Any) -> None:
    """Slots never end: beside them are processes for jobs, also on a machine with one core."""
    room = tasks.config.slots + tasks.SPARE_PROCESSES
    least = max(tasks.config.worker_concurrency, room)
    asked = sender.concurrency if isinstance(sender.concurrency, int) else 0
    sender.concurrency = max(asked, least)
    tasks.lanes.count = max(1, sender.concurrency - tasks.config.slots - 1)


@signals.celeryd_after_setup.connect
def prepare(instance: Any, **_: Any) -> None:
    """Before the pool starts: refuse other pools, and start the broker."""
    global _broker
    if "prefork" not in str(instance.pool_cls):
        raise SystemExit("tweeter's worker needs Celery's prefork pool: leave --pool out.")
    if not tasks.config.broker_url and not os.environ.get("TWEETER_SUPERVISED"):
        _broker = BrokerKeeper(tasks.config)
        _broker.start()
        _broker.wait_ready(READY_S)
    await_ours(tasks.config)


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
        engine, worker_id = make_engine(tasks.config.database_url, will_fork=True), owner()
        scheduler = Scheduler(engine, tasks.config, tasks.send_job)
        beaten_at = ticked_at = asked_at = -60.0
        while not self._stop.wait(LOOK_S):
            now_s = time.monotonic()
            try:
                if now_s - beaten_at >= BEAT_S:
                    _look(engine)
                    workers.beat(engine, worker_id, self._hostname)
                    beaten_at = now_s
                if now_s - ticked_at >= TICK_S:
                    scheduler.tick(now_s)
                    ticked_at = now_s
                else:
                    scheduler.look(now_s)
                if now_s - asked_at >= SLOT_WAIT_S or asked_at < 0:
                    missing = workers.missing_slots(engine, worker_id, tasks.config.slots)
                    for _ in range(missing):
                        if tasks.send_slot(_queue.name, worker_id):
                            asked_at = now_s
            except MustEnd as error:
                log.critical("worker_must_end reason=%s", error)
                state.should_stop = MUST_END  # a warm shutdown, with this exit code
                tasks.drain()
                break
            except (SQLAlchemyError, StoreError) as error:
                log.error("keeper_failed error=%s", type(error).__name__)
                beaten_at = now_s  # a database that is away: not ten tries a second
                self._stop.wait(2)
        try:
            workers.leave(engine, worker_id)
        except (SQLAlchemyError, StoreError) as error:
            log.warning("worker_left_silently error=%s", type(error).__name__)
        engine.dispose()


def _look(engine: Engine) -> None:
    """See whether the database is still the one we know; raises MustEnd."""
    if move.free_if_abandoned(engine):
        log.warning("hold_ended reason=the move of the database was killed")
    migrate.refuse_change(engine)


tasks.app.steps["worker"].add(Keeper)
app = tasks.app
