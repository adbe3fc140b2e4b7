"""Settings: the one place that reads the environment.

What belongs here: every setting, its default, its meaning and what production refuses. What does not: anything that
acts on a setting. Precedence: the environment, then `.env`, then the addresses that a running `greenpower up` left in
its home (so that every other command finds the embedded parts), then the default.
"""

from __future__ import annotations

import os
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DAY = 86_400
KNOWN_DEFAULT_KEYS = frozenset({"", "your-secret", "change-me", "changeme", "secret"})
SHORTEST_KEY = 32


class ConfigError(Exception):
    """A setting is missing or unusable. The text is one line for the operator."""


class Settings(BaseSettings):
    """All settings. Attribute `mongo_db_uri` is the environment's `MONGO_DB_URI`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["dev", "prod"] = Field("dev", description="`prod` refuses default keys and open CORS")
    secret_key: SecretStr = Field(SecretStr(""), description="signs sessions; made up once by `greenpower up`")
    jwt_signing_key: SecretStr = Field(SecretStr(""), description="signs API tokens; made up once by `greenpower up`")
    greenpower_home: Path = Field(Path("var"), description="where the embedded parts keep their data")
    greenpower_site: Path | None = Field(None, description="TOML file: the site's topics, device ids and maps")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe line logged")
    log_format: Literal["text", "json"] = Field(
        "text", description="lines for people, or an object a line for programs"
    )

    database_url: SecretStr = Field(SecretStr(""), description="SQL database; else from `POSTGRES_DB_*`, else SQLite")
    postgres_db_name: str = Field("green_power", description="PostgreSQL database")
    postgres_db_user: str = Field("green_power_user", description="PostgreSQL user")
    postgres_db_password: SecretStr = Field(SecretStr(""), description="PostgreSQL password")
    postgres_db_host: str = Field("", description="PostgreSQL host; empty: SQLite in `GREENPOWER_HOME`")
    postgres_db_port: int = Field(5432, description="PostgreSQL port")

    mongo_db_uri: SecretStr = Field(SecretStr(""), description="MongoDB; empty: `greenpower up` starts its own")
    mongo_db_name: str = Field("green_power", description="MongoDB database")
    mongo_raw_ttl_seconds: int = Field(0, ge=0, description="retention of raw readings; 0 keeps for ever")
    mongo_events_ttl_seconds: int = Field(30 * DAY, ge=0, description="retention of events; 0 keeps for ever")
    mongo_today_ttl_seconds: int = Field(DAY, ge=0, description="retention of `today_`; 0 keeps for ever")
    mongo_last_7_days_ttl_seconds: int = Field(7 * DAY, ge=0, description="retention of `last_7_days_`")
    mongo_last_30_days_ttl_seconds: int = Field(30 * DAY, ge=0, description="retention of `last_30_days_`")
    mongo_last_6_months_ttl_seconds: int = Field(180 * DAY, ge=0, description="retention of `last_6_months_`")
    mongo_this_year_ttl_seconds: int = Field(365 * DAY, ge=0, description="retention of `this_year_`")

    redis_url: SecretStr = Field(SecretStr(""), description="Redis or Valkey; empty: `greenpower up` starts its own")
    redis_host: str = Field("", description="used as `redis://REDIS_HOST:6379/0` where `REDIS_URL` is empty")

    mqtt_broker: str = Field("", description="MQTT broker's host; empty: `greenpower up` starts its own")
    mqtt_port: int = Field(1883, ge=0, le=65535, description="MQTT broker's port (embedded: the port it listens on)")
    mqtt_username: str = Field("", description="MQTT user")
    mqtt_password: SecretStr = Field(SecretStr(""), description="MQTT password")
    mqtt_tls: bool = Field(False, description="speak TLS to the broker")
    mqtt_tls_ca: Path | None = Field(None, description="CA file for the broker's certificate")
    mqtt_tls_cert: Path | None = Field(None, description="client certificate")
    mqtt_tls_key: Path | None = Field(None, description="client key")
    mqtt_shared: bool = Field(False, description="subscribe as a member of the group `greenpower`")
    mqtt_client_id: str = Field("greenpower-ingest", description="stable client id; give each ingest process its own")
    mqtt_receive_maximum: int = Field(4000, ge=1, le=65535, description="QoS 1 frames held unacknowledged at most")

    tcp_host: str = Field("127.0.0.1", description="address the TCP listener binds")
    tcp_port: int = Field(6000, ge=0, le=65535, description="port of the gateways' TCP listener")
    tcp_max_connections: int = Field(10_000, ge=1, description="TCP connections at once; the oldest nameless one goes")
    tcp_max_per_address: int = Field(0, ge=0, description="TCP connections of one address; 0 is no limit")
    tcp_registration_seconds: float = Field(30, gt=0, description="until a TCP connection must have said who it is")
    tcp_lines_port: int = Field(6001, ge=0, le=65535, description="port for frames as lines of JSON")
    tcp_lines_token: SecretStr = Field(SecretStr(""), description="first line on that port; empty: port closed")
    tcp_idle_seconds: float = Field(900, gt=0, description="a lines connection that is silent for longer is closed")
    tcp_tls: Literal["off", "lines", "gateways", "all"] = Field("off", description="which TCP ports speak TLS")
    tcp_tls_cert: Path | None = Field(None, description="certificate that they show, with its chain")
    tcp_tls_key: Path | None = Field(None, description="its key, where that is a file of its own")
    api_host: str = Field("127.0.0.1", description="address the API and the Socket.IO gateway bind")
    api_port: int = Field(8000, ge=0, le=65535, description="port of the API")
    api_workers: int = Field(2, ge=1, description="gunicorn worker processes of the API")
    api_rate_limit: str = Field("6000 per minute", description="requests of one address; empty: no limit")
    api_login_limit: str = Field(
        "10 per minute; 100 per hour", description="failed logins of one address; empty: no limit"
    )
    api_trusted_proxies: int = Field(
        0, ge=0, le=8, description="proxies before the API whose X-Forwarded-* is believed"
    )
    changes_horizon_seconds: int = Field(180, ge=1, description="how old a row is when `changes/` shows it")
    realtime_port: int = Field(8001, ge=0, le=65535, description="port of the Socket.IO gateway")
    ingest_http_host: str = Field("127.0.0.1", description="address of ingest's /health and /metrics")
    ingest_http_port: int = Field(7002, ge=0, le=65535, description="port of ingest's /health and /metrics")
    ingest_addresses: str = Field(
        "", description="comma-separated host:port of every ingest process, for health; empty: the one above"
    )

    admin_username: str = Field("admin", description="the first administrator")
    admin_password: SecretStr = Field(SecretStr(""), description="its password; embedded: made up once and printed")
    device_policy: Literal["open", "registered"] = Field(
        "open", description="`registered`: frames of devices that are not in the registry are rejected"
    )
    device_timezone: str = Field("Asia/Dhaka", description="zone of device stamps that name none")
    backlog_max_days: int = Field(35, ge=0, description="older stamps are a wrong clock")
    clock_tolerance_seconds: int = Field(300, ge=0, description="stamps further ahead of arrival are a wrong clock")
    cors_allowed_origins: str = Field("", description="comma-separated origins; `*` is refused in production")
    max_frame_bytes: int = Field(256 * 1024, ge=1024, description="longer frames are rejected and kept in part")

    downlink_interlocked: str = Field(
        "", description="comma-separated ids of devices whose relays may be switched; `*` is all, empty is none"
    )
    downlink_time_sync: bool = Field(False, description="set the clocks of devices that are wrong")
    downlink_time_sync_hours: int = Field(24, ge=1, description="hours between two such commands to one device")

    @field_validator("ingest_addresses")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        for part in _parts(value):
            host, colon, port = part.rpartition(":")
            if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
                raise ValueError(f"{part!r} is no host:port")
        return value

    @field_validator("device_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"no time zone is called {value!r}") from error
        return value

    @property
    def device_zone(self) -> tzinfo:
        """The zone of device stamps that name none."""
        return ZoneInfo(self.device_timezone)

    @property
    def sql_url(self) -> str:
        """SQLAlchemy URL: `DATABASE_URL`, else PostgreSQL from `POSTGRES_DB_*`, else SQLite in the home."""
        if url := self.database_url.get_secret_value():
            for scheme in ("postgres://", "postgresql://"):
                if url.startswith(scheme):
                    return "postgresql+psycopg://" + url.removeprefix(scheme)
            return url
        if self.postgres_db_host:
            user, password = quote(self.postgres_db_user, ""), quote(self.postgres_db_password.get_secret_value(), "")
            place = f"{self.postgres_db_host}:{self.postgres_db_port}/{self.postgres_db_name}"
            return f"postgresql+psycopg://{user}:{password}@{place}"
        return f"sqlite:///{self.greenpower_home.resolve() / 'greenpower.sqlite3'}"

    @property
    def redis_address(self) -> str:
        """Redis URL from `REDIS_URL` or `REDIS_HOST`; empty where neither is set."""
        if url := self.redis_url.get_secret_value():
            return url
        return f"redis://{self.redis_host}:6379/0" if self.redis_host else ""

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The allowed origins, in order."""
        return _parts(self.cors_allowed_origins)

    @property
    def ingest_places(self) -> tuple[tuple[str, int], ...]:
        """Host and port of the HTTP side of every ingest process."""
        split = (part.rpartition(":") for part in _parts(self.ingest_addresses))
        places = tuple((host.strip("[]"), int(port)) for host, _, port in split)
        return places or ((self.ingest_http_host, self.ingest_http_port),)

    def need(self, name: str) -> str:
        """The value of a setting that the caller cannot do without. Raises ConfigError that names it."""
        value = self.redis_address if name == "REDIS_URL" else getattr(self, name.lower())
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if not text:
            raise ConfigError(f"{name} is not set, and no `greenpower up` runs in {self.greenpower_home}: set {name}")
        return text

    def check_production(self) -> None:
        """Raise ConfigError for the first thing that `ENVIRONMENT=prod` refuses; nothing in development."""
        if self.environment != "prod":
            return
        for name in ("secret_key", "jwt_signing_key"):
            key = getattr(self, name).get_secret_value()
            if key.lower() in KNOWN_DEFAULT_KEYS or len(key) < SHORTEST_KEY:
                raise ConfigError(
                    f"{name.upper()} is missing, a known default or shorter than {SHORTEST_KEY} characters: "
                    "ENVIRONMENT=prod needs a random one (openssl rand -hex 32)"
                )
        if "*" in self.cors_origins:
            raise ConfigError("CORS_ALLOWED_ORIGINS=* is open to every site: ENVIRONMENT=prod needs a list of origins")

    def table(self) -> list[tuple[str, str, str]]:
        """Rows (name, value, description) in the order declared, secrets masked."""
        rows = []
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                shown = "********" if value.get_secret_value() else ""
            else:
                shown = "" if value is None else str(value)
            rows.append((name.upper(), shown, info.description or ""))
        return rows


def _parts(text: str) -> tuple[str, ...]:
    """What commas separate, without blanks and empty parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def run_file(home: Path) -> Path:
    """The file in which a running `greenpower up` tells other commands of this home its addresses and keys."""
    return home / "run" / "settings.env"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings in force. Raises ConfigError, one line for each bad setting.

    `overrides` are attribute names and win over everything else. A secret may be in a file that the environment names:
    `ADMIN_PASSWORD_FILE` for `ADMIN_PASSWORD`; beside the setting itself that is an error.
    """
    overrides = {**_from_files(), **overrides}
    home = overrides.get("greenpower_home") or os.environ.get("GREENPOWER_HOME")
    home = home or dotenv_values(".env").get("GREENPOWER_HOME") or "var"
    try:
        return Settings(_env_file=(run_file(Path(home)), ".env"), **overrides)  # type: ignore[call-arg]
    except ValidationError as error:
        lines = (f"{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        raise ConfigError("; ".join(lines)) from None


def _from_files() -> dict[str, SecretStr]:
    """The secrets whose files the environment names. Raises ConfigError."""
    found = {}
    for name, field in Settings.model_fields.items():
        variable = f"{name.upper()}_FILE"
        if field.annotation is not SecretStr or not (path := os.environ.get(variable)):
            continue
        if os.environ.get(name.upper()):
            raise ConfigError(f"{name.upper()} and {variable} are both set: give one")
        try:
            found[name] = SecretStr(Path(path).read_text("utf-8").strip())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{variable}: {path} cannot be read: {error}") from None
    return found
