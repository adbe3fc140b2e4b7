"""Ready and health: what they say while parts are there, gone or hanging."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from pydantic import SecretStr
from redis import Redis
from rq import Worker
from rq_scheduler import Scheduler

from greenpower.api.http.context import get_context
from greenpower.api.system import health_check as check
from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.datatype import STANDARD_TIERS, DataType, Field, Mqtt, json_parser
from greenpower.mongo import query
from greenpower.mongo.schema.layout import WATERMARKS
from greenpower.sql.setup import newest_revision
from greenpower.stack import Mongod, Valkey
from greenpower.stack.port import free_port
from tests.api.conftest import KEY, PATH, PROBE, Api, close_app
from tests.api.world import ingest
from tests.process import freeze
from tests.wait import wait_until

READY, HEALTH = "/api/ready/", "/api/health/"
READY_PARTS = ["mongo", "sql"]
HEALTH_PARTS = [*READY_PARTS, "ingest", "rollups", "disk", "redis", "worker", "scheduler"]


TIERED = DataType(
    name="tiered",
    title="With tiers",
    collection="tiered_data",
    match=(Mqtt("TIERED"),),
    fields=(Field("volts", unit="V"),),
    parse=json_parser(device="id"),
    tiers=STANDARD_TIERS,
)


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
def serving(settings: Settings, *datatypes: DataType) -> Iterator[Flask]:
    init_sql(settings)
    app = create_app(settings, Registry.of(PROBE, *datatypes))
    try:
        yield app
    finally:
        close_app(app)


@contextmanager
def working(redis_url: str) -> Iterator[None]:
    """A worker and a scheduler, as far as Redis shows them."""
    with Redis.from_url(redis_url) as connection:
        worker = Worker(["greenpower"], connection=connection, name=uuid4().hex)
        scheduler = Scheduler("greenpower", connection=connection, name=uuid4().hex)
        worker.register_birth()  # type: ignore[no-untyped-call]
        scheduler.register_birth()
        try:
            yield
        finally:
            worker.register_death()  # type: ignore[no-untyped-call]
            scheduler.register_death()


def test_all_well(tmp_path: Path, mongod: Mongod, redis_url: str) -> None:
    port = free_port()
    settings = settings_for(tmp_path, mongod, redis_url=SecretStr(redis_url), ingest_http_port=port)
    with serving(settings) as app, working(redis_url):
        client = app.test_client()
        with ingest(port, 200):
            for path, parts in ((READY, READY_PARTS), (HEALTH, HEALTH_PARTS)):
                response = client.get(path)
                body = response.get_json()
                assert response.status_code == 200 and response.headers["Cache-Control"] == "no-store"
                assert body["status"] == "ok" and list(body["parts"]) == parts
                assert all(part["status"] == "ok" and part["detail"] == "" for part in body["parts"].values())
        with ingest(port, 503):
            response = client.get(HEALTH)
            assert response.status_code == 503
            assert response.get_json()["errors"].keys() == {"ingest"}
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


def test_what_is_missing_but_not_vital_is_told(tmp_path: Path, mongod: Mongod, redis_url: str) -> None:
    port = free_port()
    settings = settings_for(tmp_path, mongod, redis_url=SecretStr(redis_url), ingest_http_port=port)
    with serving(settings, TIERED) as app, ingest(port, 200):
        with app.app_context():
            database = get_context().mongo.database
        tier: dict[str, Any] = {
            "type": "tiered",
            "prefix": "today_",
            "watermark": datetime.now(UTC) - timedelta(hours=5),
        }
        tier["ranges"] = {f"{number:x}": {"watermark": datetime.now(UTC)} for number in range(16) if number != 10}
        database[WATERMARKS].insert_one({"_id": "tiered/today_", **tier})
        try:
            body = app.test_client().get(HEALTH).get_json()
        finally:
            database[WATERMARKS].delete_many({})
        assert body["status"] == "degraded"
        down = {name: part["detail"] for name, part in body["parts"].items() if part["status"] == "down"}
        assert set(down) == {"worker", "scheduler", "rollups"}
        assert "greenpower worker" in down["worker"] and "greenpower scheduler" in down["scheduler"]
        assert "today_tiered_data (device ranges a)" in down["rollups"]


def test_the_sources_are_asked_one_by_one(tmp_path: Path, mongod: Mongod, broker: tuple[str, int]) -> None:
    port = free_port()
    where = {"mqtt_broker": broker[0], "mqtt_port": broker[1]}
    with serving(settings_for(tmp_path, mongod, ingest_http_port=port, **where)) as app:
        client = app.test_client()
        with ingest(port, 503, mqtt={"ok": False, "problem": "refused"}, tcp={"ok": True}):
            assert client.get(f"{HEALTH}tcp/").status_code == 200
            response = client.get(f"{HEALTH}mqtt/")
            assert response.status_code == 503 and response.get_json()["errors"].keys() == {"ingest-mqtt"}
            assert client.get(HEALTH).get_json()["errors"].keys() == {"ingest"}
        with ingest(port, 200, mqtt={"ok": True}):
            body = client.get(f"{HEALTH}mqtt/").get_json()
            assert body["status"] == "ok" and list(body["parts"]) == ["broker", "ingest-mqtt"]
            assert client.get(f"{HEALTH}tcp/").get_json()["errors"].keys() == {"ingest-tcp"}
        assert client.get(f"{HEALTH}tcp/").status_code == 503


def test_a_mongo_that_hangs_then_dies_then_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "HEALTH_CHECK_SECONDS", 0.5)
    usual = query.QUERY_SECONDS
    for name, module in list(sys.modules.items()):
        if name.startswith("greenpower.") and getattr(module, "QUERY_SECONDS", None) == usual:
            monkeypatch.setattr(module, "QUERY_SECONDS", 0.5)
    with Mongod(tmp_path / "mongod") as mongod, serving(settings_for(tmp_path, mongod)) as app:
        api = Api(app, settings_for(tmp_path, mongod))
        wait_until(lambda: api.get(PATH).status_code == 200 and api.client.get(READY).status_code == 200)

        # Hanging, it costs seconds and one thread, however many ask.
        freeze(mongod.pid)
        for _ in range(4):
            assert api.client.get(READY).status_code == 503
        response = api.get(PATH)
        assert response.status_code == 503 and response.headers["Retry-After"]
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
        with app.app_context():
            newest = newest_revision()
        response = app.test_client().get(READY)
        assert response.status_code == 503
        told = response.get_json()["errors"]["sql"]
        assert str(newest) in told and "`greenpower init`" in told


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
        assert refused.status_code == 503 and json.loads(refused.text)["code"] == 503
    finally:
        close_app(app)


def test_no_token_is_needed(api: Api) -> None:
    assert api.client.get(READY).status_code == 200


def test_every_ingest_process_is_asked(tmp_path: Path, mongod: Mongod, redis_url: str) -> None:
    first, second = free_port(), free_port()
    settings = settings_for(
        tmp_path,
        mongod,
        redis_url=SecretStr(redis_url),
        ingest_addresses=f"127.0.0.1:{first},127.0.0.1:{second}",
    )
    with serving(settings) as app, ingest(first, 200, mqtt={"ok": True}):
        client = app.test_client()
        with ingest(second, 200, tcp={"ok": True}):
            for name in ("mqtt", "tcp"):
                assert client.get(f"{HEALTH}{name}/").status_code == 200, name
            assert client.get(HEALTH).get_json()["parts"]["ingest"]["status"] == "ok"
        with ingest(second, 503, tcp={"ok": False}):
            errors = client.get(HEALTH).get_json()["errors"]
            assert f"127.0.0.1:{second}" in errors["ingest"] and "tcp" in errors["ingest"]
            errors = client.get(f"{HEALTH}tcp/").get_json()["errors"]
            assert errors.keys() == {"ingest-tcp"} and f"127.0.0.1:{second}" in errors["ingest-tcp"]
