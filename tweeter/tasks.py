"""Celery: the app, its settings and its tasks; each task is a few lines around rooms above.

A slot task is acknowledged before it runs and has no time limit: a broker must never send it
again while it runs, or a second process would connect with the same credential. What brings
it back after a crash is the worker's keeper below, which looks at rows, not at messages.
Parts of jobs are acknowledged late: they are short, claim a row with an epoch, and do no harm
when they come twice. Nothing here imports Flask.
"""

import asyncio
import logging
import mmap
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from celery import Celery, signals
from celery.utils.nodenames import worker_direct
from kombu.exceptions import OperationalError
from sqlalchemy import Engine

from tweeter import config as configuration
from tweeter.errors import ConfigError, KeywordSyntaxError
from tweeter.keywords import Matcher
from tweeter.records import Keyword
from tweeter.slot import Slot
from tweeter.store import jobs, keywords, workers
from tweeter.store.engine import make_engine
from tweeter.store.leases import owner

log = logging.getLogger("tweeter.tasks")

SPARE_PROCESSES = 2  # beside the slots, so that jobs never wait for a stream to end


def _load() -> configuration.Config:
    try:
        config = configuration.load()
        configuration.make_data_dir(config)
    except ConfigError as error:
        # Celery would print a traceback around it; the sentences are all a person needs.
        sys.stderr.write(f"tweeter cannot start:\n{error}\n")
        sys.exit(2)
    return config


config = _load()
app = Celery("tweeter", broker=configuration.broker_url(config), set_as_current=False)
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_default_queue="tweeter",
    task_create_missing_queues=True,
    worker_direct=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_proc_alive_timeout=30,
    worker_hijack_root_logger=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,
    broker_heartbeat=30,
    timezone="UTC",
    enable_utc=True,
)
if app.conf.broker_url.startswith(("redis", "rediss")):
    app.conf.broker_transport_options = {
        "visibility_timeout": 120,
        "unacked_restore_interval": 2,
        "health_check_interval": 10,
        "socket_keepalive": not app.conf.broker_url.startswith("redis+socket"),
    }

_draining = mmap.mmap(-1, 1)  # shared with the pool's processes: 1 = end your slot
_engine: Engine | None = None  # of a pool process


def drain() -> None:
    """Tell every slot of this worker to end; they need a few seconds."""
    _draining[0] = 1


@signals.worker_process_init.connect
def _begin_process(**_: Any) -> None:
    global _engine
    _engine = make_engine(config.database_url)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no orphans


def _own_engine() -> Engine:
    global _engine
    if _engine is None:
        _engine = make_engine(config.database_url)
    return _engine


@app.task(name="tweeter.stream_slot")
def stream_slot(worker_id: str) -> None:
    """Follow streams until the worker drains; a copy that finds the slot taken ends at once."""
    engine, me, parent = _own_engine(), owner(), os.getppid()
    if owner(parent) != worker_id:  # an old message, or two workers share a name: ask again
        log.info("slot_of_another_worker worker=%s", worker_id)
        return
    number = workers.take_slot(engine, worker_id, config.slots, me)
    if number is None:
        log.info("slot_taken worker=%s", worker_id)
        return

    def should_stop() -> bool:
        return bool(_draining[0]) or os.getppid() != parent

    log.info("slot_begins number=%d", number)
    try:
        asyncio.run(Slot(engine, config, owner=me, should_stop=should_stop).run())
    finally:
        workers.leave_slot(engine, worker_id, number, me)
        log.info("slot_ends number=%d", number)


@app.task(name="tweeter.job_part", acks_late=True, reject_on_worker_lost=True)
def job_part(job_id: int) -> None:
    """Work on a job for a while; sends itself again until the job has ended."""
    engine = _own_engine()
    job = jobs.claim(engine, job_id, owner())
    if job is None:
        return
    row = keywords.get(engine, job.subject)
    try:
        matcher = Matcher([Keyword(id=row.id, expression=row.expression, version=row.version)])
    except KeywordSyntaxError:
        matcher = Matcher([])
    if not jobs.work(engine, job, lambda text, also: bool(matcher.match_text(text, also))):
        send_job(job_id)


def send_job(job_id: int) -> None:
    """Put a part of a job into the queue; a broker that is away costs only time."""
    with suppress(OperationalError):
        job_part.apply_async(args=[job_id], retry=False)


def send_slot(hostname: str, worker_id: str) -> bool:
    """Ask a worker, over its own queue, to hold a slot; False if the broker is away."""
    try:
        stream_slot.apply_async(args=[worker_id], queue=worker_direct(hostname), retry=False)
    except OperationalError:
        return False
    return True
