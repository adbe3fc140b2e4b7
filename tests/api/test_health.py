"""Ready and health: what they say while parts are there, gone or hanging."""

from __future__ import annotations

import http.server
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr

from greenpower.api import check
from greenpower.app import create_app
from greenpower.config import Settings
from greenpower.embedded import Mongod, Valkey
from greenpower.embedded.port import free_port
from greenpower.store import query
from tests.api.conftest import KEY, PATH, Api, close_app, make_app
from tests.wait import wait_until

READY, HEALTH = "/api/ready/", "/api/health/"


def settings_for(folder: Path, mongod: Mongod, **more: Any) -> Settings:
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=folder,
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name="test_health",
        **more,
    )


@contextmanager
def serving(settings: Settings) -> Iterator[Flask]:
    app = make_app(settings)
    try:
        yield app
    finally:
        close_app(app)


@contextmanager
def ingest(port: int, status: int) -> Iterator[None]:
    """Something that answers where ingest's health is looked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_all_well(tmp_path: Path, mongod: Mongod, redis_url: str) -> None:
    port = free_port()
    with serving(settings_for(tmp_path, mongod, redis_url=SecretStr(redis_url), ingest_http_port=port)) as app:
        client = app.test_client()
        with ingest(port, 200):
            for path, parts in ((READY, ["mongo", "sql"]), (HEALTH, ["mongo", "sql", "ingest", "redis"])):
                response = client.get(path)
                body = response.get_json()
                assert response.status_code == 200 and response.headers["Cache-Control"] == "no-store"
                assert body["status"] == "ok" and list(body["parts"]) == parts
                assert all(part["status"] == "ok" and part["detail"] == "" for part in body["parts"].values())
        with ingest(port, 503):
            response = client.get(HEALTH)
            assert response.status_code == 503
            assert response.get_json()["errors"] == {"ingest": "says it is unwell (503)"}
        response = client.get(HEALTH)
        assert response.status_code == 503 and "ConnectionRefusedError" in response.get_json()["errors"]["ingest"]
        assert client.get(READY).status_code == 200


def test_without_redis_readings_still_come_and_go(tmp_path: Path, mongod: Mongod) -> None:
    port = free_port()
    with (
        Valkey(tmp_path / "valkey") as valkey,
        serving(settings_for(tmp_path, mongod, redis_url=SecretStr(valkey.url), ingest_http_port=port)) as app,
        ingest(port, 200),
    ):
        valkey.kill()
        response = app.test_client().get(HEALTH)
        body = response.get_json()
        assert response.status_code == 200 and body["status"] == "degraded"
        assert body["parts"]["redis"]["status"] == "down"


def test_a_mongo_that_hangs_then_dies_then_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SECONDS", 0.5)
    monkeypatch.setattr(query, "SECONDS", 0.5)
    with Mongod(tmp_path / "mongod") as mongod, serving(settings_for(tmp_path, mongod)) as app:
        api = Api(app, settings_for(tmp_path, mongod))
        assert api.get(PATH).status_code == 200 and api.client.get(READY).status_code == 200

        # Hanging, it costs seconds and one thread, however many ask.
        os.kill(mongod.pid, signal.SIGSTOP)
        began = time.monotonic()
        for _ in range(4):
            assert api.client.get(READY).status_code == 503
        response = api.get(PATH)
        assert response.status_code == 503 and response.headers["Retry-After"]
        assert time.monotonic() - began < 6
        assert sum(thread.name == "check-mongo" for thread in threading.enumerate()) <= 1

        mongod.kill()
        for path in (READY, HEALTH):
            response = api.client.get(path)
            body = response.get_json()
            assert response.status_code == body["code"] == 503
            assert "mongo" in body["message"] and body["parts"]["mongo"]["status"] == "down"
            assert str(mongod.port) not in response.text and "127.0.0.1" not in response.text
        assert api.get(PATH).status_code == 503

        mongod.start()
        wait_until(lambda: api.client.get(READY).status_code == 200, 20)
        assert api.get(PATH).status_code == 200


def test_a_database_that_was_never_set_up_is_not_ready(tmp_path: Path, mongod: Mongod) -> None:
    with serving(settings_for(tmp_path, mongod)) as app:
        for file in tmp_path.glob("greenpower.sqlite3*"):
            file.unlink()
        response = app.test_client().get(READY)
        assert response.status_code == 503
        assert response.get_json()["errors"]["sql"] == "is at revision None, the code at 0001: run `greenpower init`"


@pytest.mark.parametrize("sql_url", ["postgresql"], indirect=True)
def test_a_sql_database_that_is_gone(tmp_path: Path, mongod: Mongod, sql_url: str) -> None:
    settings = settings_for(tmp_path, mongod, database_url=SecretStr(sql_url))
    with serving(settings) as app:
        api = Api(app, settings)
        assert api.client.get(READY).status_code == 200
    gone = settings.model_copy(update={"database_url": SecretStr("postgresql://u:hunter2@127.0.0.1:9/x")})
    app = create_app(gone)
    try:
        response = app.test_client().get(READY)
        assert response.status_code == 503 and list(response.get_json()["errors"]) == ["sql"]
        assert "hunter2" not in response.text
        refused = app.test_client().get(
            PATH.replace("probe", "rt"), headers={"Authorization": f"Bearer {api.tokens['access']}"}
        )
        assert (
            refused.status_code == 503 and json.loads(refused.text)["message"] == "The user database does not answer."
        )
    finally:
        close_app(app)


def test_no_token_is_needed(api: Api) -> None:
    assert api.client.get(READY).status_code == 200
