"""Settings: the one place that reads the environment.

What belongs here: every setting, its default, its meaning and what production refuses. What does not: anything that
acts on a setting; the texts for bad values (`greenpower.config_errors`). Precedence: the environment, then `.env`, then
the addresses that a running `greenpower up` wrote into its home (so that every other command finds the embedded
servers), then the default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import tzinfo
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from greenpower.config_errors import is_secret, setting_problem, unknown_settings
from greenpower.secret_strength import MIN_KEY_CHARACTERS, key_weakness, password_weakness

DAY = 86_400
KEYS = ("secret_key", "jwt_signing_key")
LONGEST_MONTH_DAYS = 31
ARCHIVE_MARGIN_DAYS = 7
MAX_TTL_SECONDS = 2**31 - 1  # what MongoDB takes


def _retention(seconds: int, what: str) -> Any:
    """The field of a retention setting."""
    text = f"seconds that {what} are kept; 0: for ever"
    return Field(seconds, ge=0, le=MAX_TTL_SECONDS, description=text)


class ConfigError(Exception):
    """Settings are missing or unusable. The text has one line per problem, for the operator."""


class Settings(BaseSettings):
    """All settings. Attribute `mongo_db_uri` is the environment's `MONGO_DB_URI`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["dev", "prod"] = Field("dev", description="`prod` refuses default keys and open CORS")
    secret_key: SecretStr = Field(SecretStr(""), description="signs sessions; `greenpower up` generates one")
    jwt_signing_key: SecretStr = Field(SecretStr(""), description="signs API tokens; `greenpower up` generates one")
    greenpower_home: Path = Field(Path("var"), description="folder in which the embedded servers keep their data")
    greenpower_site: Path | None = Field(None, description="TOML file with the site's topics, device ids and maps")
    greenpower_plugins: str = Field(
        "",
        description="plugins in force: `meter,station` for only these, `+meter,-station` to change what is by default, "
        "`all`; empty: the site file's list, else those that are by default",
    )
    watchdog_seconds: float = Field(
        60, ge=0, description="a process that hangs for so long ends with exit code 70, to be started again; 0: never"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="lowest level that is logged")
    log_format: Literal["text", "json"] = Field(
        "text", description="`text` for people, `json` for programs (one object per line)"
    )

    database_url: SecretStr = Field(
        SecretStr(""), description="SQL database; empty: `POSTGRES_DB_*`, and without these SQLite"
    )
    postgres_db_name: str = Field("green_power", description="PostgreSQL database")
    postgres_db_user: str = Field("green_power_user", description="PostgreSQL user")
    postgres_db_password: SecretStr = Field(SecretStr(""), description="PostgreSQL password")
    postgres_db_host: str = Field("", description="PostgreSQL host; empty: SQLite in `GREENPOWER_HOME`")
    postgres_db_port: int = Field(5432, ge=1, le=65535, description="PostgreSQL port")

    mongo_db_uri: SecretStr = Field(SecretStr(""), description="MongoDB; empty: `greenpower up` starts its own")
    mongo_db_name: str = Field("green_power", description="MongoDB database")
    mongo_raw_ttl_seconds: int = _retention(0, "raw readings")
    mongo_events_ttl_seconds: int = _retention(30 * DAY, "events")
    mongo_notifications_ttl_seconds: int = _retention(90 * DAY, "notices that were sent or given up")
    mongo_today_ttl_seconds: int = _retention(DAY, "buckets of `today_`")
    mongo_last_7_days_ttl_seconds: int = _retention(7 * DAY, "buckets of `last_7_days_`")
    mongo_last_30_days_ttl_seconds: int = _retention(30 * DAY, "buckets of `last_30_days_`")
    mongo_last_6_months_ttl_seconds: int = _retention(180 * DAY, "buckets of `last_6_months_`")
    mongo_this_year_ttl_seconds: int = _retention(365 * DAY, "buckets of `this_year_`")

    redis_url: SecretStr = Field(SecretStr(""), description="Redis or Valkey; empty: `greenpower up` starts its own")
    redis_password: SecretStr = Field(SecretStr(""), description="password of Redis where `REDIS_URL` has none")
    redis_host: str = Field("", description="means `redis://REDIS_HOST:6379/0` when `REDIS_URL` is empty")

    mqtt_broker: str = Field("", description="host of the MQTT broker; empty: `greenpower up` starts its own")
    mqtt_port: int = Field(
        1883, ge=0, le=65535, description="port of the MQTT broker, and the port on which an embedded one listens"
    )
    mqtt_username: str = Field("", description="MQTT user")
    mqtt_password: SecretStr = Field(SecretStr(""), description="MQTT password")
    mqtt_tls: bool = Field(False, description="use TLS to the broker")
    mqtt_tls_ca: Path | None = Field(None, description="CA file that the broker's certificate is checked against")
    mqtt_tls_cert: Path | None = Field(None, description="client certificate")
    mqtt_tls_key: Path | None = Field(None, description="client key")
    mqtt_shared: bool = Field(False, description="share the frames with other ingest processes (group `greenpower`)")
    mqtt_client_id: str = Field(
        "greenpower-ingest", description="client id, always the same; each ingest process needs its own"
    )
    mqtt_receive_maximum: int = Field(4000, ge=1, le=65535, description="most QoS 1 frames waiting for their PUBACK")

    tcp_host: str = Field("127.0.0.1", description="address on which the TCP ports listen")
    tcp_port: int = Field(6000, ge=0, le=65535, description="port to which gateways connect")
    tcp_max_connections: int = Field(
        10_000, ge=1, description="most TCP connections; beyond it the oldest unregistered one is closed"
    )
    tcp_max_per_address: int = Field(0, ge=0, description="most TCP connections from one address; 0: no limit")
    tcp_registration_seconds: float = Field(
        30, gt=0, description="time a gateway has to send its registration after it connects"
    )
    tcp_lines_port: int = Field(6001, ge=0, le=65535, description="port for frames as lines of JSON")
    tcp_lines_token: SecretStr = Field(
        SecretStr(""), description="token that a client sends as its first line there; empty: the port is closed"
    )
    tcp_idle_seconds: float = Field(900, gt=0, description="a silent client of that port is disconnected after this")
    tcp_tls: Literal["off", "lines", "gateways", "all"] = Field("off", description="TCP ports that use TLS")
    tcp_tls_cert: Path | None = Field(None, description="certificate of these ports, with its chain")
    tcp_tls_key: Path | None = Field(None, description="its key, if that is in a file of its own")
    push_host: str = Field("127.0.0.1", description="address on which ingest listens for frames pushed over HTTP")
    push_port: int = Field(
        0, ge=0, le=65535, description="port for these, with `greenpower ingest --http`; 0: a free one"
    )
    push_max_bytes: int = Field(16 * 1024 * 1024, ge=1024, description="longest body of a push")
    push_frames_per_minute: int = Field(
        60_000, ge=0, description="most frames that are pushed with one key in a minute; 0: no limit"
    )
    push_request_seconds: float = Field(60, gt=0, description="time a client has to send a push, and between two")
    push_answer_seconds: float = Field(
        30, gt=0, description="time after which a push that is not stored yet is answered with 503"
    )
    api_host: str = Field("127.0.0.1", description="address on which the API and the Socket.IO gateway listen")
    api_port: int = Field(8000, ge=0, le=65535, description="port of the API and the dashboard")
    metrics_networks: str = Field(
        "127.0.0.0/8, ::1/128",
        description="networks from which `/metrics` of the API is read without a token; from others with an API key",
    )
    api_workers: int = Field(2, ge=1, description="worker processes of the API")
    api_rate_limit: str = Field("6000 per minute", description="most requests from one address; empty: no limit")
    api_login_limit: str = Field(
        "10 per minute; 100 per hour", description="most failed logins from one address; empty: no limit"
    )
    api_account_limit: str = Field(
        "10 per minute; 30 per hour; 100 per day",
        description="most failed logins of one account, from whatever address; empty: no limit",
    )
    api_head_seconds: float = Field(
        10, gt=0, description="time a client has to send the headers of a request, before it is disconnected"
    )
    api_body_seconds: float = Field(30, gt=0, description="time it has then to send the body")
    api_answer_seconds: float = Field(
        30, gt=0, description="time over which a client must take `API_ANSWER_RATE` on average, or is disconnected"
    )
    api_answer_rate: float = Field(
        1024, ge=0, description="least bytes per second that a client must take of its answer"
    )
    api_trusted_proxies: int = Field(
        0, ge=0, le=8, description="number of proxies in front of the API whose `X-Forwarded-*` headers are trusted"
    )
    changes_horizon_seconds: int = Field(180, ge=1, description="age at which a row appears in `changes/`")
    outbound_networks: str = Field(
        "",
        description="networks that outbound targets may be in, such as `10.0.0.0/8, 203.0.113.7`; empty: all but this "
        "machine, link-local and reserved ones",
    )
    outbound_tls_ca: Path | None = Field(
        None, description="file with certificates that outbound targets are checked against; empty: the system's"
    )
    realtime_port: int = Field(8001, ge=0, le=65535, description="port of the Socket.IO gateway")
    ingest_http_host: str = Field("127.0.0.1", description="address of ingest's `/health` and `/metrics`")
    ingest_http_port: int = Field(7002, ge=0, le=65535, description="port of ingest's `/health` and `/metrics`")
    ingest_addresses: str = Field(
        "", description="`host:port` of every ingest process, separated by commas, for health; empty: the one above"
    )

    admin_username: str = Field("admin", description="user name of the first administrator")
    admin_password: SecretStr = Field(
        SecretStr(""), description="password of the first administrator; `greenpower up` generates and prints one"
    )
    device_policy: Literal["open", "confirm", "registered"] = Field(
        "open",
        description="which devices are stored: `open` all, and what goes on sending is confirmed; `confirm` all, and a "
        "person confirms them; `registered` only confirmed ones. With `ENVIRONMENT=prod` the default is `registered`",
    )
    device_confirm_seconds: int = Field(
        600, ge=0, description="with `DEVICE_POLICY=open`, a device that has sent for so long is confirmed; 0: at once"
    )
    device_unconfirmed_max: int = Field(
        1000, ge=0, description="most unconfirmed devices at once; frames of further ones are rejected; 0: no limit"
    )
    device_unconfirmed_days: int = Field(7, ge=1, description="an unconfirmed device silent for so long is deleted")
    device_timezone: str = Field(
        "Asia/Dhaka", description="time zone of the site: of device timestamps that name none, and of days of energy"
    )
    backlog_max_days: int = Field(35, ge=0, description="an older device timestamp is a wrong clock")
    archive_after_days: int = Field(
        0,
        ge=0,
        description="days after which `greenpower archive run` writes whole months of readings to files; 0: never",
    )
    archive_url: SecretStr = Field(
        SecretStr(""),
        description="where these files go: a folder, or `s3://BUCKET/FOLDER`; empty: `archive` in `GREENPOWER_HOME`",
    )
    clock_tolerance_seconds: int = Field(
        300, ge=0, description="a device timestamp further in the future than this is a wrong clock"
    )
    cors_allowed_origins: str = Field("", description="origins separated by commas; production refuses `*`")
    max_frame_bytes: int = Field(256 * 1024, ge=1024, description="a longer frame is rejected, and only its start kept")

    downlink_interlocked: str = Field(
        "", description="ids of devices whose relays may be switched, separated by commas; `*`: all; empty: none"
    )
    downlink_time_sync: bool = Field(False, description="set the clocks of devices whose clock is wrong")
    downlink_time_sync_hours: int = Field(24, ge=1, description="hours between two such commands to one device")
    homeassistant_discovery: bool = Field(
        False, description="announce the devices of the registry to Home Assistant by MQTT discovery"
    )
    homeassistant_prefix: str = Field(
        "homeassistant", pattern=r"^[^\s/+#\x00]+(/[^\s/+#\x00]+)*$", description="discovery prefix of Home Assistant"
    )

    @model_validator(mode="after")
    def _policy_of_production(self) -> Settings:
        """In production strangers are rejected unless a setting says otherwise."""
        if self.environment == "prod" and "device_policy" not in self.model_fields_set:
            self.__dict__["device_policy"] = "registered"  # the settings are frozen
        return self

    @field_validator("archive_after_days")
    @classmethod
    def _archived_late_enough(cls, value: int, info: ValidationInfo) -> int:
        """Nothing is archived that devices may still send, or that expires before its month is over."""
        least = info.data.get("backlog_max_days", 0) + ARCHIVE_MARGIN_DAYS
        if 0 < value < least:
            raise ValueError(f"is less than BACKLOG_MAX_DAYS + {ARCHIVE_MARGIN_DAYS} = {least}")
        kept = info.data.get("mongo_raw_ttl_seconds", 0)
        if value and kept and kept < (value + LONGEST_MONTH_DAYS + ARCHIVE_MARGIN_DAYS) * DAY:
            raise ValueError(
                f"is too long for MONGO_RAW_TTL_SECONDS={kept}: readings expire before their month is archived"
            )
        return value

    @field_validator("ingest_addresses")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        for part in _parts(value):
            host, colon, port = part.rpartition(":")
            if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
                raise ValueError("is not host:port, or several of these separated by commas")
        return value

    @field_validator("metrics_networks", "outbound_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in _parts(value):
            try:
                ip_network(part)
            except ValueError:
                raise ValueError("is not a network such as 10.0.0.0/8, or several separated by commas") from None
        return value

    @field_validator("redis_url")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        try:
            _ = urlsplit(value.get_secret_value()).port
        except ValueError:
            # What cannot be read as a port may be the beginning of a password: the client's error would show it.
            raise ValueError("is not a URL: in a password, escape / ? # @ : as %2F %3F %23 %40 %3A") from None
        return value

    @field_validator("device_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("is not a time zone such as Asia/Dhaka") from error
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
        """Redis URL from `REDIS_URL` or `REDIS_HOST`, with `REDIS_PASSWORD`; empty where neither is set."""
        url = self.redis_url.get_secret_value() or (f"redis://{self.redis_host}:6379/0" if self.redis_host else "")
        password = self.redis_password.get_secret_value()
        parts = urlsplit(url)
        if not (url and password) or parts.password is not None or not parts.hostname:
            return url
        return parts._replace(
            netloc=f"{parts.username or ''}:{quote(password, '')}@{parts.netloc.rpartition('@')[2]}"
        ).geturl()

    @property
    def archive_place(self) -> Path | str:
        """The folder of archived readings, or the URL of one elsewhere."""
        url = self.archive_url.get_secret_value()
        if not url:
            return self.greenpower_home.resolve() / "archive"
        scheme, colon, path = url.partition("://")
        if not colon:
            return Path(url).resolve()
        return Path(unquote(path)) if scheme == "file" else url

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The allowed origins, in order."""
        return _parts(self.cors_allowed_origins)

    @property
    def networks_of_metrics(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks from which metrics are read without a token."""
        return tuple(map(ip_network, _parts(self.metrics_networks)))

    @property
    def networks_of_outbound(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks that outbound targets may be in; empty for the usual ones."""
        return tuple(map(ip_network, _parts(self.outbound_networks)))

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
            raise ConfigError(f"{name} is not set, and no `greenpower up` is running in {self.greenpower_home}")
        return text

    def check_production(self) -> None:
        """Raise ConfigError for what `ENVIRONMENT=prod` refuses, one line per problem; nothing in development."""
        if self.environment != "prod":
            return
        problems = list(self._weak_secrets())
        if "*" in self.cors_origins:
            problems.append(
                f"CORS_ALLOWED_ORIGINS={self.cors_allowed_origins} lets every web page call the API: "
                "ENVIRONMENT=prod needs a list of origins"
            )
        if problems:
            raise ConfigError("\n".join(problems))

    def _weak_secrets(self) -> Iterator[str]:
        """A line for each secret that others know or guess; none has the secret itself."""
        for name, field in type(self).model_fields.items():
            if not is_secret(field):
                continue
            secret = getattr(self, name).get_secret_value()
            if name in KEYS:
                if problem := key_weakness(secret):
                    yield (
                        f"{name.upper()} {problem}: ENVIRONMENT=prod needs a random key of at least "
                        f"{MIN_KEY_CHARACTERS} characters (openssl rand -hex 32)"
                    )
            elif problem := (
                _url_weakness(secret) if "://" in secret or name == "archive_url" else password_weakness(secret)
            ):
                yield f"{name.upper()} {problem}: ENVIRONMENT=prod needs one that nobody knows (openssl rand -hex 16)"

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


def _url_weakness(url: str) -> str:
    """What makes the password in an address unsafe; empty where nothing does, or there is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""  # its client says what is wrong with it
    problem = password_weakness(unquote(parts.password or ""), unquote(parts.username or ""))
    return f"has a password that {problem}" if problem else ""


# What `keep_settings` has read: jobs are short, and reading the settings would be a third of one.
_KEPT_SETTINGS: list[Settings] = []


def run_file(home: Path) -> Path:
    """The file in which a running `greenpower up` tells other commands of this home its addresses and keys."""
    return home / "run" / "settings.env"


def load_settings(*, of_run: bool = True, **overrides: Any) -> Settings:
    """Read the settings in force. Raises ConfigError, one line per bad setting.

    of_run: also what a running `greenpower up` wrote.

    `overrides` are attribute names and win over everything else. A secret may be in a file that the environment names:
    `ADMIN_PASSWORD_FILE` for `ADMIN_PASSWORD`; beside the setting itself that is an error.
    """
    if _KEPT_SETTINGS and of_run and not overrides:
        return _KEPT_SETTINGS[-1]
    overrides = {**_from_files(), **overrides}
    home = overrides.get("greenpower_home") or os.environ.get("GREENPOWER_HOME")
    home = home or _env_file(Path(".env")).get("GREENPOWER_HOME") or "var"
    run = (run_file(Path(home)),) if of_run else ()
    for path in run:
        _env_file(path)  # says which file cannot be read
    try:
        return Settings(_env_file=(*run, ".env"), **overrides)  # type: ignore[call-arg]
    except ValidationError as error:
        fields = Settings.model_fields
        names = ((str(item["loc"][0]).lower(), item) for item in error.errors())
        raise ConfigError(
            "\n".join(setting_problem(name.upper(), fields[name], item) for name, item in names)
        ) from None


def keep_settings() -> Settings:
    """Read the settings once for this process and for those forked from it: `load_settings` gives the same from now on.

    Raises ConfigError.
    """
    _KEPT_SETTINGS[:] = [load_settings()]
    return _KEPT_SETTINGS[-1]


def setting_warnings() -> list[str]:
    """A line for each name in `.env` that is no setting, and for each in the environment that looks misspelt."""
    return list(unknown_settings(_env_file(Path(".env")), os.environ, Settings.model_fields))


def _env_file(path: Path) -> dict[str, str | None]:
    """The variables in an environment file. Raises ConfigError where it cannot be read."""
    try:
        return dict(dotenv_values(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}") from None


def _from_files() -> dict[str, SecretStr]:
    """The secrets whose files the environment names. Raises ConfigError, one line per problem."""
    found, problems = {}, []
    for name, field in Settings.model_fields.items():
        variable = f"{name.upper()}_FILE"
        if not is_secret(field) or not (path := os.environ.get(variable)):
            continue
        if os.environ.get(name.upper()):
            problems.append(f"{name.upper()} and {variable} are both set: set only one")
            continue
        try:
            found[name] = SecretStr(Path(path).read_text("utf-8").strip())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            problems.append(f"{variable}={path} cannot be read: {reason}")
    if problems:
        raise ConfigError("\n".join(problems))
    return found
