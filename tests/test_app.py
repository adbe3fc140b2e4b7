"""The app: wired from settings, without a connection, as often as one likes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from greenpower.app import create_app
from greenpower.catalog.facts import resource_path
from greenpower.catalog.registry import Registry, load_registry
from greenpower.config import ConfigError, Settings
from tests.api.conftest import PROBE, SILENT


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose servers are not there."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path / "never-made",
        jwt_signing_key=SecretStr("j" * 40),
        mongo_db_uri=SecretStr("mongodb://127.0.0.1:9/"),
    )


def test_it_is_made_without_a_server_or_a_file(settings: Settings) -> None:
    app = create_app(settings)
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    assert {path for datatype in load_registry(None) if (path := resource_path(datatype))} <= rules
    assert {"/api/health/", "/api/ready/", "/api/docs/", "/api/schema/", "/api/telemetry/events/"} <= rules
    assert not settings.greenpower_home.exists()


def test_several_apps_live_side_by_side(settings: Settings) -> None:
    one, other = create_app(settings, Registry.of(PROBE)), create_app(settings, Registry.of(SILENT))
    assert "/api/telemetry/probe-data/" in one.test_client().get("/api/schema/").get_json()["paths"]
    assert "/api/telemetry/probe-data/" not in other.test_client().get("/api/schema/").get_json()["paths"]


def test_an_api_without_a_type_is_one(settings: Settings) -> None:
    paths = create_app(settings, Registry.of()).test_client().get("/api/schema/").get_json()["paths"]
    found = {path for path in paths if "telemetry" in path}
    assert found == {"/api/telemetry/events/", "/api/telemetry/import/", "/api/telemetry/import/{upload_id}/"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mongo_db_uri", "", "MONGO_DB_URI"),
        ("mongo_db_uri", "http://x", "MONGO_DB_URI"),
        ("jwt_signing_key", "", "JWT_SIGNING_KEY"),
        ("database_url", "nonsense", "DATABASE_URL"),
        ("database_url", "mysql+pymysql://u@h/d", "DATABASE_URL.*pymysql"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(settings: Settings, name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        create_app(settings.model_copy(update={name: SecretStr(value)}), Registry.of())


def test_every_view_but_the_open_ones_needs_a_token(settings: Settings) -> None:
    app = create_app(settings)
    client = app.test_client()
    open_places = (
        "/metrics",
        "/api/health/",
        "/api/ready/",
        "/api/docs/",
        "/api/schema/",
        "/api/users/token/",
        "/api/api-keys/token/",
        "/api/api-keys/client-credentials/",
        "/api/ingest/",  # handed on: ingest asks for a push key
    )
    asked = 0
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(open_places) or rule.endpoint.startswith("dashboard."):
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            path = re.sub(r"<int[^>]*>", "1", re.sub(r"<string\(length=24\)[^>]*>", "a" * 24, rule.rule))
            assert client.open(path, method=method).status_code == 401, rule
            asked += 1
    assert asked >= 6
