"""The pages' application on a database of its own, without a server in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tweeter import config
from tweeter.web import create_app


@pytest.fixture
def app(engine: Engine, tmp_path: Path) -> Flask:
    environ = {"TWEETER_DATA_DIR": str(tmp_path / "data"), "TWEETER_BLUESKY_URL": ""}
    found = config.load(environ)
    config.make_data_dir(found)
    return create_app(found, engine)


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as made:
        yield made
