"""Fixtures of the API's tests: an app for one data type of their own, its database, and a caller who is logged in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from pymongo.collection import Collection
from werkzeug.test import TestResponse

from greenpower.api.http.context import get_context
from greenpower.app import create_app
from greenpower.bus.revocation import ACCESS_SECONDS
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.datatype import NO_TIERS, DataType, Field, Kind, Mqtt, json_parser
from greenpower.mongo.schema.layout import EVENTS, ensure_indexes
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from greenpower.stack.port import free_port

Document = dict[str, Any]
PATH = "/api/telemetry/probe-data/"
REFRESH, LOGOUT = "/api/users/token/refresh/", "/api/users/token/logout/"
KEY = "j" * 40
PROBE = DataType(
    name="probe",
    title="Probe",
    endpoint="probe-data",
    collection="probe_data",
    match=(Mqtt("PROBE"),),
    fields=(
        Field("volts", unit="V", title="voltage", low=0, high=500),
        Field("energy", unit="kWh", title="import energy", kind=Kind.COUNTER),
    ),
    parse=json_parser(device="id", time="time"),
    tiers=NO_TIERS,
)
SILENT = DataType(
    name="silent",
    title="Without an address",
    collection="silent_data",
    match=(Mqtt("SILENT"),),
    fields=(Field("volts", unit="V"),),
    parse=json_parser(device="id"),
    tiers=NO_TIERS,
)


def make_app(settings: Settings) -> Flask:
    """An app with the two data types, on databases that are ready."""
    init_sql(settings)
    return create_app(settings, Registry.of(PROBE, SILENT))


def close_app(app: Flask) -> None:
    with app.app_context():
        get_context().mongo.close()
        db.session.remove()
        db.engine.dispose()


def refused(response: TestResponse, code: int = 401) -> bool:
    body = response.get_json()
    assert response.status_code == body["code"] == code, response.text
    assert body["message"] and response.content_type == "application/json"
    if code == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"
    return True


class Api:
    """The API, as an administrator who is logged in sees it."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.client: FlaskClient = app.test_client()
        with app.app_context():
            self.database = get_context().mongo.database
        self._tokens: dict[str, str] = self.log_in().get_json()
        self._logged_in = time.monotonic()

    @property
    def tokens(self) -> dict[str, str]:
        """Tokens that are valid for a while: an API that many tests share outlives the first ones on a slow machine."""
        if time.monotonic() - self._logged_in > ACCESS_SECONDS / 3:
            self._tokens, self._logged_in = self.log_in().get_json(), time.monotonic()
        return self._tokens

    @property
    def readings(self) -> Collection[Document]:
        return self.database[PROBE.collection]

    @property
    def events(self) -> Collection[Document]:
        return self.database[EVENTS]

    def log_in(self, username: str = "admin", password: str = "correct horse") -> TestResponse:
        return self.client.post("/api/users/token/", json={"username": username, "password": password})

    def clear(self) -> None:
        """Take all readings and events away."""
        self.readings.delete_many({})
        self.events.delete_many({})

    def get(self, path: str, token: str | None = None, **parameters: Any) -> TestResponse:
        """GET with a token; parameters that are lists are repeated."""
        headers = {"Authorization": f"Bearer {token or self.tokens['access']}"}
        return self.client.get(path, query_string=parameters or None, headers=headers)

    def ids(self, path: str = PATH, **parameters: Any) -> list[str]:
        """The ids on a page."""
        response = self.get(path, **parameters)
        assert response.status_code == 200, response.text
        return [result["id"] for result in response.get_json()["results"]]

    def add(self, *readings: tuple[str, datetime, Document]) -> None:
        """Insert readings: device, time, payload."""
        self.readings.insert_many(
            [
                {
                    "device_id": device,
                    "topic": "PROBE",
                    "timestamp": stamp,
                    "received_at": stamp + timedelta(seconds=1),
                    "updated_at": stamp,
                    "payload": payload,
                    "complete": True,
                }
                for device, stamp, payload in readings
            ]
        )


@pytest.fixture(scope="session")
def shared_api(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Api]:
    """The API that most tests share; nothing listens where it looks for ingest and Redis."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path_factory.mktemp("api"),
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name="test_api",
        ingest_http_port=free_port(),
    )
    app = make_app(settings)
    with app.app_context():
        ensure_indexes(get_context().mongo.database, [PROBE], settings)
    yield Api(app, settings)
    close_app(app)


@pytest.fixture
def api(shared_api: Api) -> Api:
    """The shared API, empty."""
    shared_api.clear()
    return shared_api
