"""Celery's settings for this work, and the names of its queues. docs/celery.md gives the reasons.

Everything that lies in the broker carries the installation's prefix, so that two installations
may share one broker and never take each other's work.
"""

import fcntl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kombu.connection import Connection as KombuConnection
from kombu.entity import Exchange, Queue
from kombu.transport import redis
from redis import exceptions

from tweeter import arrivals

INGEST = "ingest"  # look-backs, repairs, imports
MAINTENANCE = "maintenance"  # rematch, purge, retention, names, re-checks: also the default
EXPORTS = "exports"  # will take long; there are none yet
NAMES = (INGEST, MAINTENANCE, EXPORTS)

ROUTES = {
    "tweeter.past_part": INGEST,
    "tweeter.import_part": INGEST,
    "tweeter.job_part": MAINTENANCE,
    "tweeter.export_part": EXPORTS,
}

# For @app.task of a part of a job: acknowledged late, and so short that no broker sends it again
# while it runs. A part ends by itself after half the soft limit.
VISIBLE_AGAIN_S = 120
PART = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "soft_time_limit": 60,
    "time_limit": 90,
}

SETTINGS: dict[str, Any] = {
    "accept_content": ["json"],
    "worker_consumer": "tweeter.arrivals:Consumer",
    "task_serializer": "json",
    "result_backend": None,
    "task_ignore_result": True,
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    "task_create_missing_queues": True,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_soft_shutdown_timeout": 10.0,
    "worker_enable_soft_shutdown_on_idle": True,
    "worker_max_memory_per_child": 400_000,
    "worker_max_tasks_per_child": 200,
    "worker_proc_alive_timeout": 30.0,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "broker_connection_timeout": 5.0,
    "broker_heartbeat": 30,
    "timezone": "UTC",
    "enable_utc": True,
}

# What differs between brokers: of the connection, and what only Redis and Valkey know.
REDIS_TRANSPORT: dict[str, Any] = {
    "visibility_timeout": VISIBLE_AGAIN_S,
    "unacked_restore_interval": 2,
    "health_check_interval": 10,
    "socket_timeout": 10.0,
    "socket_connect_timeout": 5.0,
}
AMQP_TRANSPORT: dict[str, Any] = {"write_timeout": 10.0, "confirm_publish": True}

# A message that cannot be sent at once is not waited for: the row stays, the scheduler comes back.
PUBLISH = {"retry": True, "retry_policy": {"max_retries": 1, "interval_start": 0.1}}
RECONNECT_S = 5.0
FIRST_AGAIN_S, LAST_AGAIN_S = 60.0, 3600.0  # what lasts is said again so much later, doubled
REFUSED = (403, 530)  # of AMQP: a wrong user or password; a virtual host that is not there or ours
# Of Redis: a wrong user or password, one who may not do what we need; a database that is not there.
REFUSED_BY_REDIS = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.NoPermissionError,
)
NO_DATABASE = "DB index is out of range"


class Connection(KombuConnection):
    """kombu's, for a broker that goes and comes back while a worker runs."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        """As kombu's, but looks for the broker every RECONNECT_S; its own wait grows to 30 s.

        What is wrong is said once, and then rarely.
        """
        how = {"interval_max": RECONNECT_S} | kwargs
        if args and args[0] is not None:
            args = (rarely(args[0]), *args[1:])
        return super().ensure_connection(*args, **how)  # type: ignore[no-untyped-call]

    def get_transport_cls(self) -> Any:
        """As kombu's, but no message of Redis that is none ends a worker."""
        found = super().get_transport_cls()  # type: ignore[no-untyped-call]
        return arrivals.RedisTransport if found is redis.Transport else found

    def _do_close_transport(self) -> None:
        """As kombu's, but what is closed goes on to know its address.

        When a broker goes while a job is under way, Celery closes the connection twice; then the
        job ends, and its message is acknowledged. With kombu 5.7 the second of these found a Redis
        channel without an address: an AttributeError, of which the worker ended. So it is an error
        of the connection, or the broker that is back gets the acknowledgement.
        """
        self._transport = None


def rarely(tell: Callable[[Exception, float], object]) -> Callable[[Exception, float], None]:
    """Tell of an error that comes every few seconds when it is another one, and then rarely."""
    said, due_s, wait_s = "", 0.0, FIRST_AGAIN_S

    def told(error: Exception, interval: float) -> None:
        nonlocal said, due_s, wait_s
        now_s, words = time.monotonic(), str(error)
        if words == said and now_s < due_s:
            return
        wait_s = min(wait_s * 2, LAST_AGAIN_S) if words == said else FIRST_AGAIN_S
        said, due_s = words, now_s + wait_s
        tell(error, interval)

    return told


def refusal(connection: KombuConnection) -> str:
    """Why the broker will not have us however long we wait; "" if it does, or is away.

    Of RabbitMQ Celery would say it five times a second, and stop in the middle with a traceback.
    """
    transport = connection.transport
    try:
        transport.close_connection(transport.establish_connection())
    except (*transport.connection_errors, *transport.channel_errors) as error:
        return str(error) if _is_refused(error) else ""
    return ""


def _is_refused(error: Exception) -> bool:
    if isinstance(error, REFUSED_BY_REDIS) or NO_DATABASE in str(error):
        return True
    return getattr(error, "code", 0) in REFUSED


def settings(
    broker_url: str, prefix: str = "tweeter", *, slot_memory_mb: int = 0
) -> dict[str, Any]:
    """All settings for a broker; prefix is what the queues' names begin with.

    slot_memory_mb: a process that a slot left because of its memory is replaced (0: no cap).
    """
    found = dict(SETTINGS)
    if slot_memory_mb:
        least = min(found["worker_max_memory_per_child"], slot_memory_mb * 1024)
        found["worker_max_memory_per_child"] = least
    if broker_url.startswith("redis"):
        alive = not broker_url.startswith("redis+socket")
        options = REDIS_TRANSPORT | {"socket_keepalive": alive, "global_keyprefix": f"{prefix}:"}
        found |= {"broker_transport_options": options, "worker_disable_prefetch": True}
    else:
        found["broker_transport_options"] = dict(AMQP_TRANSPORT)
    found |= {
        "task_queues": [_queue(f"{prefix}.{name}") for name in NAMES],
        "task_default_queue": f"{prefix}.{MAINTENANCE}",
        "task_routes": {task: {"queue": f"{prefix}.{name}"} for task, name in ROUTES.items()},
        "control_exchange": f"{prefix}.control",
        "event_exchange": f"{prefix}.events",
    }
    return found


def prefix_of(installation: str) -> str:
    """What the names in the broker begin with."""
    return f"tweeter-{installation}"


def of_worker(prefix: str, nodename: str, pid: int) -> Queue:
    """A worker's own queue, over which it is asked to hold a slot.

    The process id is in the name: two workers of one node name must not take each other's.
    """
    return _queue(f"{prefix}.streams.{nodename}.{pid}", expires=600)


def _queue(name: str, **more: Any) -> Queue:
    # An exchange of its own: with an expiring queue its bindings go too, on each broker.
    exchange = Exchange(name, auto_delete=bool(more))  # type: ignore[no-untyped-call]
    return Queue(name, exchange, routing_key=name, **more)  # type: ignore[no-untyped-call]


class Lanes:
    """How many processes of a worker may do ingest at once: one is left for everything else.

    Each holds a lock on a byte of a file without a name, so that a process that is killed frees
    its lane. Make it before the pool is forked.
    """

    def __init__(self) -> None:
        self.count = 1
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it is held for good)

    @contextmanager
    def take(self) -> Iterator[bool]:
        """True if there was a free lane; it is freed at the end."""
        for number in range(self.count):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:
                continue
            try:
                yield True
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)
            return
        yield False
