"""/health for people and /healthz for programs: the same, asked of the database and the disk.

/healthz answers 503 only while nothing can be stored (disk full, database away): that is when
a monitor must wake somebody. It is no reason to start tweeter again, which would mend nothing.
A worker or a network that is away is 200 with the status "attention".
"""

from typing import Any

import msgspec
from flask import Response, render_template

from tweeter.store.health import FAILING, Health, health
from tweeter.texts import plain
from tweeter.views.pages import Answer, config, engine, pages


def _look() -> tuple[Health, int]:
    found = health(engine(), config().data_dir)
    return found, 503 if found.status == FAILING else 200


@pages.get("/health")
def health_page() -> Answer:
    """How everything is; the verdict first."""
    found, status = _look()
    return render_template("health.html", health=found), status


@pages.get("/healthz")
def health_json() -> Response:
    """The same for programs."""
    found, status = _look()
    value: dict[str, Any] = msgspec.to_builtins(found, enc_hook=plain)
    seen = value.pop("overview")
    value |= {"workers": seen["workers"], "worker_list": value["workers"]}
    value |= {"warning": seen["warning"], "streams": seen["streams"]}
    return Response(msgspec.json.encode(value), status=status, mimetype="application/json")
