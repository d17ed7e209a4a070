"""Messages as they come out of a queue: only ours reach Celery.

Whoever may write to the broker can put anything into a queue, by mistake too. Of much of it a
worker of Celery's ends, and RabbitMQ gives it to the next worker at once. What is not one of our
messages is refused, in one line of the log, before Celery reads it.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cache
from inspect import Parameter, signature
from typing import Annotated, Any, Literal

import msgspec
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.transport import redis

log = logging.getLogger("tweeter.arrivals")

BODY_BYTES = 10_000  # ours have a hundred
SAID = 100  # characters of a reason, or of a name that a stranger chose

_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Seconds = Annotated[int, msgspec.Meta(gt=0, le=3600)] | None
_Nothing = Annotated[dict[str, Any], msgspec.Meta(max_length=0)]


class _Headers(msgspec.Struct, frozen=True):
    """Of Celery's protocol 2, all that a worker reads, as far as we use it."""

    task: str
    id: str
    eta: None = None
    expires: None = None
    group: None = None
    group_index: None = None
    groups: None = None
    stamped_headers: None = None
    stamps: _Nothing | None = None
    shadow: None = None
    ignore_result: bool | None = None
    replaced_task_nesting: Literal[0] | None = 0
    timelimit: tuple[_Seconds, _Seconds] | None = None
    retries: Literal[0] | None = 0
    root_id: str | None = None
    parent_id: str | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None


class _Embedded(msgspec.Struct, frozen=True):
    """What would be sent after the task: nothing."""

    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None


class _Place(msgspec.Struct, frozen=True):
    exchange: str
    routing_key: str


class _Properties(msgspec.Struct, frozen=True):
    delivery_tag: str
    delivery_info: _Place
    body_encoding: Literal["base64"]


class _Envelope(msgspec.Struct, frozen=True, rename={"kind": "content-type"}):
    """A message as kombu puts it into a list of Redis."""

    body: bytes  # base64
    kind: str | None
    headers: dict[str, Any]
    properties: _Properties


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def fault(message: Any, tasks: Mapping[str, Any]) -> str:
    """Why a message of kombu's is none of ours; "" if it is. tasks: those that there are."""
    try:
        headers = msgspec.convert(message.headers, _Headers)
    except msgspec.ValidationError as error:
        return f"its headers are not Celery's: {error}"
    if not headers.task.startswith("tweeter.") or headers.task not in tasks:
        return f"there is no task {headers.task[:SAID]!r}"
    if message.content_type != "application/json":
        return f"its content is {str(message.content_type)[:SAID]!r}, not JSON"
    if str(message.content_encoding).lower() != "utf-8":
        return f"its encoding is {str(message.content_encoding)[:SAID]!r}, not UTF-8"
    body = message.body or b""
    if len(body) > BODY_BYTES:
        return f"it has {len(body):,} bytes, and at most {BODY_BYTES:,} are expected"
    try:
        _arguments(tasks[headers.task].run).decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return f"its arguments are not those of {headers.task}: {error}"
    return ""


@cache
def _arguments(work: Callable[..., Any]) -> msgspec.json.Decoder[Any]:
    """Of the body of a message for a task that does `work`: as that names its parameters' types.

    A number is one of a row.
    """
    kinds = [one.annotation for one in signature(work).parameters.values()]
    kinds = [_Id if one is int else Any if one is Parameter.empty else one for one in kinds]
    return msgspec.json.Decoder(tuple[tuple[tuple(kinds)], _Nothing, _Embedded])  # type: ignore[misc]


def refused(queue: str, reason: str) -> None:
    """Say that a message was not taken."""
    log.error("message_refused queue=%s reason=%s", queue[:SAID], reason[: 3 * SAID])


class Consumer(CeleryConsumer):
    """Celery's, which is shown our messages alone."""

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What is called for each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def look(message: Any) -> None:
            if reason := fault(message, self.app.tasks):
                self._refuse(message, reason)
            else:
                handle(message)

        return look

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A message that kombu cannot unpack."""
        self._refuse(message, f"it cannot be unpacked: {exc}")

    def _refuse(self, message: Any, reason: str) -> None:
        refused(str(message.delivery_info.get("routing_key")), reason)
        message.reject_log_error(log, self.connection_errors)


def popped(response: Any) -> Any:
    """What Redis answers to BRPOP, a list's name and its element; None if that is no message."""
    if not response:
        return None
    name, element = response
    try:
        _ENVELOPE.decode(element)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        refused(name.decode("utf-8", "replace"), f"it is no message of Celery's: {error}")
        return None
    return name, element


class Channel(redis.Channel):
    """kombu's, which hears of messages alone; of anything else in a list it ends the worker."""

    def _create_client(self, *args: Any, **kwargs: Any) -> Any:
        client = super()._create_client(*args, **kwargs)
        client.set_response_callback("BRPOP", popped)
        return client


class RedisTransport(redis.Transport):
    """kombu's, with our channels."""

    Channel = Channel
