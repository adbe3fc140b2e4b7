"""Keys for pushing, over the API and the console, and frames pushed through the API to a running ingest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from greenpower.app import create_app
from greenpower.catalog.registry import get_registry
from greenpower.cli import push_keys as push_keys_command
from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.mongo.devices.push_keys import split_push_key
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.sql import RoleName
from greenpower.stack.port import free_port
from tests.api.conftest import KEY, close_app
from tests.api.world import SqlApi
from tests.ingest.conftest import frame
from tests.process import Command
from tests.wait import wait_until

KEYS = "/api/push-keys/"


@pytest.fixture
def api(settings: Settings) -> Iterator[SqlApi]:
    using = settings.model_copy(update={"push_port": free_port(), "jwt_signing_key": SecretStr(KEY)})
    init_sql(using)
    app = create_app(using)
    found = SqlApi(app, using)
    ensure_indexes(found.database, get_registry(), using)
    yield found
    close_app(app)


def test_keys_are_made_listed_and_revoked(api: SqlApi) -> None:
    made = api.good("POST", KEYS, {"name": "meter 7", "claims": ["rt"], "devices": ["M7"], "days": 30}, code=201)
    parts = split_push_key(made.pop("key"))
    assert parts is not None and str(parts[0]) == made["id"]
    assert made["made_by"] == "admin" and made["expires_at"] and made["revoked_at"] is made["last_used_at"] is None
    (stored,) = api.database.push_keys.find()
    assert parts[1] not in str(stored)
    other = api.good("POST", KEYS, {"name": "all"}, code=201)
    assert (other["claims"], other["devices"], other["expires_at"]) == ([], [], None)
    listed = api.good("GET", KEYS)
    assert [key["id"] for key in listed["results"]] == [other["id"], made["id"]] and "key" not in str(listed).split("'")
    first = api.good("GET", f"{KEYS}?page_size=1")
    assert [key["id"] for key in api.get(first["next"]).get_json()["results"]] == [made["id"]]
    one = f"{KEYS}{made['id']}/"
    assert api.good("GET", one) == made
    api.good("DELETE", one, code=204)
    api.good("DELETE", one, code=204)
    gone = api.good("GET", one)
    assert gone["revoked_by"] == "admin" and gone["revoked_at"]
    assert (
        api.ask("GET", f"{KEYS}{'0' * 24}/").status_code == api.ask("DELETE", f"{KEYS}{'x' * 24}/").status_code == 404
    )


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "a\nb"}, {"name": "a", "claims": ["none"]}, {"name": "a", "devices": ["$x"]},
     {"name": "a", "days": 0}, {"name": "a", "devices": ["D"] * 201}],
)  # fmt: skip
def test_no_keys(api: SqlApi, body: dict[str, object]) -> None:
    assert api.ask("POST", KEYS, body).status_code == 422


def test_who_may(api: SqlApi) -> None:
    for role in (RoleName.VIEWER, RoleName.OPERATOR):
        token = api.user(f"u-{role.value}", role)["access"]
        assert api.ask("POST", KEYS, {"name": "x"}, token=token).status_code == 403
        assert api.get(KEYS, token=token).status_code == 403


def test_by_the_console(api: SqlApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_keys_command, "load_settings", lambda: api.settings)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(push_keys_command.push_keys, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    parts = split_push_key(run("create", "ttn", "--claim", "rt", "--device", "D1", "--days", "3").strip())
    assert parts is not None
    key_id = str(parts[0])
    line = run("list").splitlines()[1]
    assert key_id in line and "D1" in line and parts[1] not in line
    run("revoke", key_id)
    (stored,) = api.database.push_keys.find()
    assert stored["revoked_by"].startswith("cli:")
    entries = api.get("/api/audit/", object_type="push_key").get_json()["results"]
    assert [(entry["action"], entry["actor_kind"]) for entry in entries] == [
        ("revoke", "console"),
        ("create", "console"),
    ]
    assert parts[1] not in str(entries)
    for wrong in (
        ("revoke", "x"),
        ("revoke", "0" * 24),
        ("create", "a", "--claim", "no"),
        ("create", "a", "--device", "$"),
    ):
        result = CliRunner().invoke(push_keys_command.push_keys, wrong)
        assert isinstance(result.exception, ConfigError), result.output


def test_frames_are_pushed_through_the_api(api: SqlApi, tmp_path: Path) -> None:
    key = api.good("POST", KEYS, {"name": "x"}, code=201)["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    # While ingest is away, the sender is told to come again.
    away = api.client.post("/api/ingest/rt/", json=frame(), headers=bearer)
    assert away.status_code == 503 and away.headers["Retry-After"] and away.get_json()["code"] == 503
    with Command(api.settings, "ingest", "--http", folder=tmp_path) as ingest:
        ingest.wait_healthy().wait_listening(api.settings.push_port)
        good = api.client.post("/api/ingest/rt/", json=frame("D1"), headers=bearer)
        assert good.status_code == 200 and good.get_json()["stored"] == 1
        assert api.client.post("/api/v1/ingest/rt/", json=frame("D2"), headers={"X-API-Key": key}).status_code == 200
        lines = b'{"id": "D3", "ua": 1.5}\n{'
        answer = api.client.post(
            "/api/ingest/rt/", data=lines, headers={**bearer, "Content-Type": "application/x-ndjson"}
        )
        assert (answer.status_code, answer.get_json()["rejections"][0]["line"]) == (200, 2)
        assert api.client.get(f"/api/ingest/rt/?key={key}&id=D4&ua=2.5").get_json()["stored"] == 1
        assert api.client.post("/api/ingest/rt/", json=frame()).status_code == 401
        assert api.client.post("/api/ingest/none/", json=frame(), headers=bearer).status_code == 404
        assert api.client.post("/api/ingest/rt/", data=b"x" * 100_000, headers=bearer).status_code == 413
        assert set(api.database.grid_rt_data.distinct("device_id")) == {"D1", "D2", "D3", "D4"}
        api.good("DELETE", f"{KEYS}{api.good('GET', KEYS)['results'][0]['id']}/", code=204)
        wait_until(lambda: api.client.post("/api/ingest/rt/", json=frame(), headers=bearer).status_code == 401)


def test_no_port_for_pushes(api: SqlApi) -> None:
    app = create_app(api.settings.model_copy(update={"push_port": 0}))
    assert app.test_client().post("/api/ingest/rt/", json={}).status_code == 503
    close_app(app)
