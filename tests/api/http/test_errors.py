"""Errors: one shape, one content type, whatever went wrong."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from pymongo.errors import ExecutionTimeout, NetworkTimeout, OperationFailure, ServerSelectionTimeoutError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import TooManyRequests
from werkzeug.test import TestResponse

from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from tests.api.conftest import KEY, PATH, PROBE, Api

PLACES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "an unknown address": ("GET", "/nothing/here/", {}, 404),
    "an unknown address of the API": ("GET", "/api/nothing/", {}, 404),
    "an unknown type": ("GET", "/api/telemetry/weather-data/", {}, 404),
    "an unknown file of the docs": ("GET", "/api/docs/nothing.js", {}, 404),
    "a way out of the docs": ("GET", "/api/docs/../../../etc/passwd", {}, 404),
    "a way out of the docs, escaped": ("GET", "/api/docs/%2e%2e/%2e%2e/setup.cfg", {}, 404),
    "an address with control characters": ("GET", "/api/%00%0a%ff/", {}, 404),
    "no token": ("GET", PATH, {}, 401),
    "no token, for events": ("GET", "/api/telemetry/events/", {}, 401),
    "a token of another kind": ("GET", PATH, {"headers": {"Authorization": "Basic eDp5"}}, 401),
    "a method that is not there": ("POST", PATH, {"json": {}}, 405),
    "another method that is not there": ("GET", "/api/users/token/", {}, 405),
    "a method that nobody knows": ("BREW", PATH, {}, 405),
    "a body that is no JSON": ("POST", "/api/users/token/", {"data": b"{", "content_type": "application/json"}, 400),
    "a body of another type": ("POST", "/api/users/token/", {"data": b"x", "content_type": "text/plain"}, 415),
    "a body that is too large": ("POST", "/api/users/token/", {"json": {"username": "x" * 100_000}}, 413),
    "a body with a value missing": ("POST", "/api/users/token/", {"json": {"username": "x"}}, 422),
}


def check(response: TestResponse, code: int) -> None:
    assert response.status_code == code, response.text
    assert response.content_type == "application/json"
    body = response.get_json()
    assert list(body) == ["code", "status", "message", "errors"]
    assert body["code"] == code and body["status"] and isinstance(body["errors"], dict)
    assert body["message"].endswith(".") and "\n" not in body["message"]


@pytest.mark.parametrize("place", PLACES)
def test_every_error_has_the_one_shape(api: Api, place: str) -> None:
    method, path, options, code = PLACES[place]
    check(api.client.open(path, method=method, **options), code)


def test_a_refused_method_says_which_are_allowed(api: Api) -> None:
    assert set(api.client.post(PATH).headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert "POST" in api.client.get("/api/users/token/").headers["Allow"]


RAISED: dict[str, tuple[Exception, int]] = {
    "mongo-away": (ServerSelectionTimeoutError("mongo.internal:27017: refused"), 503),
    "mongo-slow": (ExecutionTimeout("took too long", 50), 503),
    "mongo-hangs": (NetworkTimeout("mongo.internal:27017: timed out"), 503),
    "mongo-refuses": (OperationFailure("not authorised on secret_db", 13), 500),
    "sql-away": (OperationalError("SELECT secret", {}, Exception("connection to db.internal failed")), 503),
    "bug": (RuntimeError("secret detail"), 500),
    "throttled": (TooManyRequests(retry_after=7), 429),
}


@pytest.fixture
def failing(tmp_path: Any) -> FlaskClient:
    """An app with a view for each exception that one may raise, and no server behind it."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path,
        jwt_signing_key=SecretStr(KEY),
        mongo_db_uri=SecretStr("mongodb://127.0.0.1:9/"),
    )
    app = create_app(settings, Registry.of(PROBE))

    def fail(name: str) -> str:
        raise RAISED[name][0]

    app.add_url_rule("/fail/<name>/", view_func=fail)
    return app.test_client()


@pytest.mark.parametrize("name", RAISED)
def test_what_breaks_inside_is_told_in_the_one_shape_without_its_secrets(
    failing: FlaskClient, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    error, code = RAISED[name]
    with caplog.at_level(logging.WARNING):
        response = failing.get(f"/fail/{name}/")
    check(response, code)
    for secret in ("secret", "internal", "Traceback"):
        assert secret not in response.text
    if not isinstance(error, TooManyRequests):
        assert any(
            str(error).split(":")[0] in f"{record.getMessage()} {record.exc_text}" for record in caplog.records
        ) or (type(error).__name__ in caplog.text)
    else:
        assert response.headers["Retry-After"] == "7"
