"""Settings: where they come from, what they become, what production refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from greenpower.config import ConfigError, Settings, load_settings, run_file

KEY = "b3f09c5d1e7a42860d9f3c61e85b7a24"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_defaults_are_those_of_the_design() -> None:
    settings = load_settings()
    assert (settings.environment, settings.api_port, settings.tcp_port, settings.ingest_http_port) == (
        "dev",
        8000,
        6000,
        7002,
    )
    assert (settings.backlog_max_days, settings.clock_tolerance_seconds, settings.max_frame_bytes) == (35, 300, 262_144)
    assert (settings.device_timezone, settings.mongo_events_ttl_seconds) == ("Asia/Dhaka", 30 * 86_400)
    assert settings.greenpower_home == Path("var")


def test_the_environment_wins_over_env_which_wins_over_a_running_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run_file(tmp_path / "var")
    running.parent.mkdir(parents=True)
    running.write_text("MONGO_DB_URI=running\nREDIS_URL=running\nMQTT_BROKER=running\n")
    (tmp_path / ".env").write_text("REDIS_URL=file\nMQTT_BROKER=file\nUNKNOWN=ignored\n")
    monkeypatch.setenv("MQTT_BROKER", "environment")
    settings = load_settings()
    assert settings.mongo_db_uri.get_secret_value() == "running"
    assert settings.redis_address == "file"
    assert settings.mqtt_broker == "environment"
    assert load_settings(mqtt_broker="given").mqtt_broker == "given"


def test_a_running_stack_is_looked_for_in_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = run_file(tmp_path / "elsewhere")
    running.parent.mkdir(parents=True)
    running.write_text("MONGO_DB_URI=running\n")
    assert not load_settings().mongo_db_uri.get_secret_value()
    assert load_settings(greenpower_home=tmp_path / "elsewhere").mongo_db_uri.get_secret_value() == "running"
    (tmp_path / ".env").write_text("GREENPOWER_HOME=elsewhere\n")
    assert load_settings().mongo_db_uri.get_secret_value() == "running"


def test_an_empty_value_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "")
    assert load_settings().api_port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "http"),
        ("API_PORT", "70000"),
        ("ENVIRONMENT", "staging"),
        ("DEVICE_TIMEZONE", "Asia/Nowhere"),
        ("DEVICE_TIMEZONE", "../etc/passwd"),
        ("LOG_LEVEL", "LOUD"),
        ("MAX_FRAME_BYTES", "1"),
        ("MONGO_TODAY_TTL_SECONDS", "-1"),
        ("MQTT_TLS", "perhaps"),
    ],
)
def test_a_bad_value_is_told_by_name_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{name}={value} ") and "\n" not in str(caught.value)


def test_several_bad_values_are_told_together_one_per_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "x")
    monkeypatch.setenv("TCP_PORT", "70000")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["TCP_PORT=70000", "API_PORT=x"]


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"API_PORT=\xff\n")
    with pytest.raises(ConfigError, match=r"^\.env "):
        load_settings()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"database_url": "postgres://u:p@h/d"}, "postgresql+psycopg://u:p@h/d"),
        ({"database_url": "postgresql://u:p@h/d?sslmode=require"}, "postgresql+psycopg://u:p@h/d?sslmode=require"),
        ({"database_url": "sqlite:////x.db", "postgres_db_host": "h"}, "sqlite:////x.db"),
        (
            {"postgres_db_host": "h", "postgres_db_password": "p@/:%"},
            "postgresql+psycopg://green_power_user:p%40%2F%3A%25@h:5432/green_power",
        ),
    ],
)
def test_the_sql_address(given: dict[str, Any], url: str) -> None:
    assert load_settings(**given).sql_url == url


def test_without_a_sql_address_it_is_sqlite_in_the_home(tmp_path: Path) -> None:
    assert load_settings().sql_url == f"sqlite:///{tmp_path}/var/greenpower.sqlite3"


def test_redis_may_be_given_by_host() -> None:
    assert load_settings(redis_host="h").redis_address == "redis://h:6379/0"
    assert load_settings(redis_host="h", redis_url="redis://other").need("REDIS_URL") == "redis://other"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"redis_url": "redis://r:1/2", "redis_password": "p@s/s"}, "redis://:p%40s%2Fs@r:1/2"),
        (
            {"redis_url": "rediss://me@[::1]:1?ssl_ca_certs=a", "redis_password": "p"},
            "rediss://me:p@[::1]:1?ssl_ca_certs=a",
        ),
        ({"redis_url": "redis://:own@r:1/2", "redis_password": "p"}, "redis://:own@r:1/2"),
        ({"redis_url": "unix:///run/redis.sock", "redis_password": "p"}, "unix:///run/redis.sock"),
        ({"redis_host": "r", "redis_password": "p"}, "redis://:p@r:6379/0"),
        ({"redis_password": "p"}, ""),
    ],
)
def test_the_password_of_redis_may_be_given_beside_its_address(given: dict[str, Any], url: str) -> None:
    assert load_settings(**given).redis_address == url


def test_what_is_needed_and_not_there_is_named() -> None:
    settings = load_settings()
    for name in ("MONGO_DB_URI", "REDIS_URL", "JWT_SIGNING_KEY", "MQTT_BROKER"):
        with pytest.raises(ConfigError, match=rf"^{name}\b"):
            settings.need(name)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"secret_key": ""}, "SECRET_KEY"),
        ({"secret_key": "your-secret"}, "SECRET_KEY"),
        ({"jwt_signing_key": "change-me"}, "JWT_SIGNING_KEY"),
        ({"jwt_signing_key": "x" * 31}, "JWT_SIGNING_KEY"),
        ({"jwt_signing_key": "x" * 64}, "JWT_SIGNING_KEY"),
        ({"postgres_db_password": "change-me"}, "POSTGRES_DB_PASSWORD"),
        ({"database_url": "postgresql://greenpower:Password1@db/g"}, "DATABASE_URL"),
        ({"mongo_db_uri": "mongodb://root:change%2Dme@a:1,b:2/?replicaSet=rs"}, "MONGO_DB_URI"),
        ({"redis_url": "redis://:aaaaaaaaaaaaaaaa@redis:6379/0"}, "REDIS_URL"),
        ({"redis_password": "0123456789ab"}, "REDIS_PASSWORD"),
        ({"mqtt_password": "mqtt"}, "MQTT_PASSWORD"),
        ({"tcp_lines_token": "token"}, "TCP_LINES_TOKEN"),
        ({"admin_password": "Changeme!"}, "ADMIN_PASSWORD"),
        ({"cors_allowed_origins": "https://a.example, *"}, "CORS_ALLOWED_ORIGINS"),
    ],
)
def test_production_refuses_what_is_not_safe(changes: dict[str, str], name: str) -> None:
    good: dict[str, Any] = {"environment": "prod", "secret_key": KEY, "jwt_signing_key": KEY}
    load_settings(**good).check_production()
    load_settings(**{**good, **changes, "environment": "dev"}).check_production()
    with pytest.raises(ConfigError, match=f"^{name}") as caught:
        load_settings(**{**good, **changes}).check_production()
    assert str(caught.value).count("\n") == 0
    secret = changes.get(name.lower(), "")
    assert not secret or name.lower() not in secret_names() or secret not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({}, "open"),
        ({"environment": "prod"}, "registered"),
        ({"environment": "prod", "device_policy": "open"}, "open"),
        ({"environment": "prod", "device_policy": "confirm"}, "confirm"),
        ({"environment": "dev", "device_policy": "registered"}, "registered"),
    ],
)
@pytest.mark.parametrize("where", ["arguments", "environment"])
def test_production_takes_registered_devices_only_unless_told(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], policy: str, where: str
) -> None:
    for name in ("ENVIRONMENT", "DEVICE_POLICY"):
        monkeypatch.delenv(name, raising=False)
    if where == "environment":
        for name, value in {"device_policy": "", **given}.items():
            monkeypatch.setenv(name.upper(), value)
    assert load_settings(**(given if where == "arguments" else {})).device_policy == policy


def test_production_names_all_that_it_refuses() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(environment="prod", secret_key="short", cors_allowed_origins="*").check_production()
    names = [line.split()[0].split("=")[0] for line in str(caught.value).splitlines()]
    assert names == ["SECRET_KEY", "JWT_SIGNING_KEY", "CORS_ALLOWED_ORIGINS"]


def test_the_table_names_every_setting_and_no_secret() -> None:
    secrets: dict[str, Any] = {name: "hunter2" for name in secret_names()}
    settings = load_settings(**secrets)
    rows = settings.table()
    assert [name.lower() for name, _, _ in rows] == list(Settings.model_fields)
    assert all(description for _, _, description in rows)
    assert "hunter2" not in str(rows) and "hunter2" not in repr(settings)


def secret_names() -> list[str]:
    return [name for name, info in Settings.model_fields.items() if info.annotation is SecretStr]


def test_whatever_holds_a_secret_is_declared_as_one() -> None:
    assert {"secret_key", "jwt_signing_key", "admin_password", "mqtt_password", "mongo_db_uri"} <= set(secret_names())
    suspicious = [
        name for name in Settings.model_fields if any(word in name for word in ("password", "secret", "_url"))
    ]
    assert set(suspicious) <= set(secret_names())


def test_the_design_names_are_all_there() -> None:
    names = """ENVIRONMENT SECRET_KEY JWT_SIGNING_KEY POSTGRES_DB_NAME POSTGRES_DB_USER POSTGRES_DB_PASSWORD
        POSTGRES_DB_HOST POSTGRES_DB_PORT DATABASE_URL MONGO_DB_URI MONGO_DB_NAME REDIS_URL REDIS_HOST
        MONGO_TODAY_TTL_SECONDS MONGO_LAST_7_DAYS_TTL_SECONDS MONGO_LAST_30_DAYS_TTL_SECONDS
        MONGO_LAST_6_MONTHS_TTL_SECONDS MONGO_THIS_YEAR_TTL_SECONDS MONGO_EVENTS_TTL_SECONDS MQTT_BROKER MQTT_PORT
        MQTT_USERNAME MQTT_PASSWORD MQTT_TLS MQTT_SHARED TCP_HOST TCP_PORT API_HOST API_PORT REALTIME_PORT
        INGEST_HTTP_PORT GREENPOWER_HOME ADMIN_USERNAME ADMIN_PASSWORD DEVICE_TIMEZONE BACKLOG_MAX_DAYS
        CLOCK_TOLERANCE_SECONDS CORS_ALLOWED_ORIGINS LOG_LEVEL MQTT_CLIENT_ID MAX_FRAME_BYTES GREENPOWER_SITE"""
    assert {name.lower() for name in names.split()} <= set(Settings.model_fields)


def test_a_secret_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    monkeypatch.setenv("JWT_SIGNING_KEY_FILE", str(file))
    assert load_settings().jwt_signing_key.get_secret_value() == KEY
    monkeypatch.setenv("JWT_SIGNING_KEY", "another")
    with pytest.raises(ConfigError, match=r"^JWT_SIGNING_KEY\b.*\bJWT_SIGNING_KEY_FILE\b"):
        load_settings()
    monkeypatch.delenv("JWT_SIGNING_KEY")
    monkeypatch.setenv("JWT_SIGNING_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=f"^JWT_SIGNING_KEY_FILE={tmp_path / 'none'} "):
        load_settings()


@pytest.mark.parametrize("url", ["redis://:hunter2/x@host:6379/0", "redis://:hunter2?x@host", "redis://host:hunter2"])
def test_a_password_that_is_not_escaped_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^REDIS_URL ") as raised:
        load_settings(redis_url=url)
    assert "hunter2" not in str(raised.value) and raised.value.__cause__ is None


def test_several_ingest_processes_are_named_by_address() -> None:
    assert Settings(_env_file=None).ingest_places == (("127.0.0.1", 7002),)  # type: ignore[call-arg]
    assert load_settings(ingest_addresses="mqtt:7002, [::1]:7003").ingest_places == (("mqtt", 7002), ("::1", 7003))
    for wrong in ("mqtt", ":7002", "mqtt:0", "mqtt:x"):
        with pytest.raises(ConfigError, match="INGEST_ADDRESSES"):
            load_settings(ingest_addresses=wrong)


def test_what_devices_may_still_send_is_not_archived() -> None:
    with pytest.raises(ConfigError) as found:
        load_settings(archive_after_days=41)
    assert "ARCHIVE_AFTER_DAYS=41" in str(found.value)
    assert load_settings(archive_after_days=42).archive_after_days == 42
    with pytest.raises(ConfigError):
        load_settings(archive_after_days=42, mongo_raw_ttl_seconds=60 * 86_400)
    assert load_settings(archive_after_days=42, mongo_raw_ttl_seconds=80 * 86_400).archive_after_days == 42


def test_the_place_of_the_archive(tmp_path: Path) -> None:
    assert load_settings(greenpower_home=tmp_path).archive_place == tmp_path.resolve() / "archive"
    for given, place in (("/a b", Path("/a b")), ("file:///a%20b", Path("/a b")), ("s3://b/f", "s3://b/f")):
        assert load_settings(archive_url=given).archive_place == place
