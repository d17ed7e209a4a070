"""What a worker's main process does beside Celery: beat, keep its slots filled, reconcile.

It runs in threads, so it goes on while the broker is away; one of them reconciles, so that a long
tick keeps no beat waiting. With the steps by hand there is no supervising parent: then it
also keeps the embedded broker.
"""

import logging
import os
import sys
import threading
import time
from typing import Any

from celery import bootsteps, signals
from celery.worker import state
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import memory, queues, tasks
from tweeter.broker import READY_S, BrokerKeeper, await_ours
from tweeter.config import Tamed
from tweeter.errors import MUST_END, MustEnd, StoreError
from tweeter.scheduler import LOOK_S, Scheduler
from tweeter.store import changes, revisions, trouble, workers
from tweeter.store.engine import make_engine
from tweeter.store.leases import is_dead, owner

log = logging.getLogger("tweeter.keeper")

KEEP_S = 0.5  # between looks at the slots
BEAT_S = 3.0
SLOT_WAIT_S = 10.0  # for a slot that was asked for to begin
SEEN_S = 2.0  # for so long the slots that were seen are there, unless their processes are gone

_broker: BrokerKeeper | None = None
_queue: Any = None  # of this worker alone


@signals.celeryd_init.connect
def join(instance: Any, **_: Any) -> None:
    """Before Celery looks at its queues: check the database, and use the installation's own."""
    global _queue
    try:
        engine = make_engine(tasks.config.database_url)
        revisions.check(engine)
        _queue = queues.of_worker(tasks.join(engine), instance.hostname, os.getpid())
        engine.dispose()
    except (StoreError, SQLAlchemyError) as error:
        words = trouble.words_of_end(error)
        raise SystemExit(f"tweeter's worker cannot start. {words}") from error


@signals.after_setup_logger.connect
@signals.after_setup_task_logger.connect
def tame(logger: logging.Logger, **_: Any) -> None:
    """What Celery made of its settings prints strangers' words as harmless ones."""
    for handler in logger.handlers:
        handler.setFormatter(Tamed(handler.formatter or logging.Formatter()))


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
    """Before the pool starts: refuse other pools, start the broker, see that it has us."""
    global _broker
    if "prefork" not in str(instance.pool_cls):
        raise SystemExit("tweeter's worker needs Celery's prefork pool: leave --pool out.")
    if not tasks.config.broker_url and not os.environ.get("TWEETER_SUPERVISED"):
        _broker = BrokerKeeper(tasks.config)
        _broker.start()
        _broker.wait_ready(READY_S)
    await_ours(tasks.config)
    if reason := queues.refusal(tasks.app.connection_for_write()):
        sys.stderr.write(
            f"tweeter's worker cannot start. The broker refuses TWEETER_BROKER_URL:"
            f" {reason.rstrip('.')}. Look at its user, password and virtual host (Redis: the"
            " number of its database), then start again.\n"
        )
        raise SystemExit(MUST_END)
    memory.keep()  # so that no child looks through it, and thereby copies it


@signals.worker_shutting_down.connect
def drain(**_: Any) -> None:
    """The slots end as soon as the worker is asked to stop."""
    tasks.drain()


class Keeper(bootsteps.StartStopStep):
    """Celery's hook: the threads live as long as the worker."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **_: Any) -> None:
        self._hostname: str = parent.hostname
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._held: list[str] = []  # owners of our slots, as last seen
        self._seen_at = -SEEN_S

    def start(self, parent: Any) -> None:
        """Start the threads."""
        self._threads = [
            threading.Thread(target=self._run, name="keeper", daemon=True),
            threading.Thread(target=self._reconcile, name="scheduler", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, parent: Any) -> None:
        """Drain the slots and end the threads; the pool is waited for afterwards."""
        tasks.drain()
        self._stop.set()
        until_s = time.monotonic() + 5
        for thread in self._threads:
            thread.join(timeout=max(until_s - time.monotonic(), 0))

    def terminate(self, parent: Any) -> None:
        """As stop."""
        self.stop(parent)

    def _run(self) -> None:
        engine, worker_id = make_engine(tasks.config.database_url, will_fork=True), owner()
        beaten_at = asked_at = -60.0
        while not self._stop.wait(KEEP_S):
            now_s = time.monotonic()
            try:
                if now_s - beaten_at >= BEAT_S:
                    _look(engine)
                    workers.beat(engine, worker_id, self._hostname)
                    beaten_at = now_s
                if now_s - asked_at >= SLOT_WAIT_S or asked_at < 0:
                    for _ in range(self._missing_slots(engine, worker_id, now_s)):
                        if tasks.send_slot(_queue.name, worker_id):
                            asked_at = now_s
            except MustEnd as error:
                log.critical("worker_must_end reason=%s", error)
                state.should_stop = MUST_END  # a warm shutdown, with this exit code
                tasks.drain()
                break
            except Exception as error:  # noqa: BLE001 (nobody would start this thread again)
                _log_failed("keeper_failed", error)
                beaten_at = now_s  # a database that is away: not ten tries a second
                self._stop.wait(2)
        try:
            workers.leave(engine, worker_id)
        except (SQLAlchemyError, StoreError) as error:
            log.warning("worker_left_silently error=%s", type(error).__name__)
        engine.dispose()

    def _missing_slots(self, engine: Engine, worker_id: str, now_s: float) -> int:
        """How many of our slots no living process holds."""
        if now_s - self._seen_at >= SEEN_S or any(map(is_dead, self._held)):
            self._held = workers.slot_owners(engine, worker_id)
            self._seen_at = now_s
        return tasks.config.slots - sum(not is_dead(owner) for owner in self._held)

    def _reconcile(self) -> None:
        engine = make_engine(tasks.config.database_url, will_fork=True)
        scheduler = Scheduler(engine, tasks.config, tasks.send_job)
        while not self._stop.wait(LOOK_S):
            try:
                scheduler.turn(time.monotonic())
            except MustEnd:  # the keeper sees it too, and ends the worker
                break
            except Exception as error:  # noqa: BLE001 (nobody would start this thread again)
                _log_failed("tick_failed", error)
        engine.dispose()


def _log_failed(what: str, error: Exception) -> None:
    """A database that is away is told in words, now and then; else it is told where."""
    if not isinstance(error, SQLAlchemyError | StoreError):
        log.error("%s error=%s", what, type(error).__name__, exc_info=error)
    elif words := trouble.news(what, error):
        log.error("%s words=%s", what, words)


def _look(engine: Engine) -> None:
    """See whether the database is still the one we know; raises MustEnd."""
    if changes.free_if_abandoned(engine):
        log.warning("hold_ended reason=the move of the database was killed")
    revisions.refuse_change(engine)


tasks.app.steps["worker"].add(Keeper)
app = tasks.app
