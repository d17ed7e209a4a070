"""Celery: the app, its settings and its tasks; each task is a few lines around rooms above.

A slot task is acknowledged before it runs and has no time limit: a broker must never send it
again while it runs, or a second process would connect with the same credential. What brings
it back after a crash is the worker's keeper, which looks at rows, not at messages.
Parts of jobs are acknowledged late: they are short, claim a row with an epoch, and do no harm
when they come twice. Settings and queues are in `queues.py`. Nothing here imports Flask.
"""

import asyncio
import logging
import mmap
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from celery import Celery, signals
from kombu.exceptions import OperationalError
from sqlalchemy import Engine

from tweeter import config as configuration
from tweeter import imports, look_back, name_asking, queues, recheck, x_search
from tweeter.errors import ConfigError, Held, MustEnd
from tweeter.keywords import Matcher
from tweeter.memory import Cap
from tweeter.slot import Slot
from tweeter.sources.opening import can_follow
from tweeter.store import jobs, keywords, name_jobs, past, workers
from tweeter.store.engine import make_engine
from tweeter.store.installation import installation_id
from tweeter.store.leases import owner

log = logging.getLogger("tweeter.tasks")

ANSWER_S = 0.5  # for a pool process to answer before it ends
# Python lets a thread wait so long for another that computes. In a slot one reads the lines and one
# decodes: with Python's 5 ms the reader gets a buffer in each 5 ms, and the decoder runs dry.
THREADS_TURN_S = 0.0005
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
app.conf.update(queues.settings(app.conf.broker_url, slot_memory_mb=config.slot_memory_mb))
app.amqp.Connection = queues.Connection

_draining = mmap.mmap(-1, 1)  # shared with the pool's processes: 1 = end your slot
_engine: Engine | None = None  # of a pool process
_ending = False  # this process was sent SIGTERM
lanes = queues.Lanes()


def join(engine: Engine) -> str:
    """Use the installation's own queues; returns what their names begin with."""
    prefix = queues.prefix_of(installation_id(engine))
    memory = config.slot_memory_mb
    app.conf.update(queues.settings(app.conf.broker_url, prefix, slot_memory_mb=memory))
    return prefix


def drain() -> None:
    """Tell every slot of this worker to end; they need a few seconds."""
    _draining[0] = 1


def _is_draining() -> bool:
    return bool(_draining[0]) or _ending


@contextmanager
def _in_order() -> Iterator[None]:
    """While a task runs, SIGTERM to its process ends it in order; a second one, at once.

    A service manager sends it to every process of the service, not to the main one alone. After
    the task, and a moment for its answer, the process ends as SIGTERM asked.
    """

    def end(*_: object) -> None:
        global _ending
        _ending = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if _ending:
            last = threading.Timer(ANSWER_S, os.kill, (os.getpid(), signal.SIGTERM))
            last.daemon = True
            last.start()


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

    cap = Cap(config.slot_memory_mb)

    def should_stop() -> bool:
        return _is_draining() or os.getppid() != parent or cap.is_over()

    sys.setswitchinterval(THREADS_TURN_S)
    log.info("slot_begins number=%d", number)
    with _in_order():
        try:
            asyncio.run(Slot(engine, config, owner=me, should_stop=should_stop).run())
        finally:
            with suppress(Held, MustEnd):  # the row goes with the worker's
                workers.leave_slot(engine, worker_id, number, me)
            log.info("slot_ends number=%d", number)


@app.task(name="tweeter.job_part", **queues.PART)
@_in_order()
def job_part(job_id: int) -> None:
    """Work on a job for a while; sends itself again until the job has ended."""
    engine = _own_engine()
    job = jobs.claim(engine, job_id, owner())
    if job is None:
        return
    if job.subject == jobs.ALL:
        matcher = Matcher(keywords.active(engine)[1])
    else:
        matcher = Matcher([keywords.one(engine, job.subject)])
    if not jobs.work(engine, job, matcher.match, should_stop=_is_draining):
        send_job("job", job_id)


@app.task(name="tweeter.past_part", **queues.PART)
@_in_order()
def past_part(job_id: int) -> None:
    """Work on a look-back, a repair or a re-check for a while; sends itself again if it is due."""
    engine = _own_engine()
    with lanes.take() as is_free:
        able = partial(can_follow, config)
        job = past.claim(engine, job_id, owner(), can_follow=able) if is_free else None
        if job is None:
            return
        if job.kind == "recheck":
            recheck.work(engine, config, job)
        elif job.network == "x":
            if not x_search.work(engine, config, job):
                send_job("past", job_id)
        elif not look_back.work(engine, config, job, should_stop=_is_draining):
            send_job("past", job_id)


@app.task(name="tweeter.import_part")
@_in_order()
def import_part(stream_id: int) -> None:
    """Read parts of a file, then of others, for a while; sends itself again while there are more.

    Acknowledged at once: what is left of a packed file may take longer than a message may.
    """
    left: list[int] = []

    def more(stream_id: int, is_left: bool) -> None:
        left.append(stream_id) if is_left else send_job("import", stream_id)

    with lanes.take() as is_free:
        if is_free:
            imports.work(
                _own_engine(), config, stream_id, should_stop=_is_draining, more=more, only=False
            )
    for one in left:  # now, for until here the lane was taken
        send_job("import", one)


@app.task(name="tweeter.names_part", **queues.PART)
@_in_order()
def names_part(job_id: int) -> None:
    """Ask for names of accounts for a while; the scheduler sends it again when it is due."""
    engine = _own_engine()
    job = name_jobs.claim(engine, job_id, owner())
    if job is not None:
        name_asking.work(engine, config, job)


def send_job(kind: str, job_id: int) -> None:
    """Put a part of a job into its queue: "job", "past", "names", or "import" with the stream's id.

    A broker that is away costs only time.
    """
    task = {"job": job_part, "past": past_part, "names": names_part, "import": import_part}[kind]
    with suppress(OperationalError):
        task.apply_async(args=[job_id], **queues.PUBLISH)


def send_slot(queue: str, worker_id: str) -> bool:
    """Ask a worker, over its own queue, to hold a slot; False if the broker is away."""
    try:
        stream_slot.apply_async(args=[worker_id], queue=queue, **queues.PUBLISH)
    except OperationalError:
        return False
    return True
