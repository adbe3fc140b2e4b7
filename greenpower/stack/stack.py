"""What `greenpower up` runs: the embedded parts, the services, and the settings that they get."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from greenpower.config import ConfigError, Settings
from greenpower.stack.amqtt import best_broker
from greenpower.stack.child import Child
from greenpower.stack.fork_server import ForkServer
from greenpower.stack.mongod import Mongod
from greenpower.stack.part import Part
from greenpower.stack.port import LOOPBACK, bind_trouble, free_port
from greenpower.stack.probe import (
    http_silent,
    http_trouble,
    ingest_silent,
    registry_silent,
    scheduler_trouble,
    worker_trouble,
)
from greenpower.stack.valkey import Valkey


def _no_trouble(settings: Settings, pid: int | None) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A command of greenpower with its checks, as in `Child`: `trouble` and `silent`. is_forked: whether it can be
    forked from a process that has imported the program."""

    name: str
    arguments: tuple[str, ...]
    trouble: Callable[[Settings, int | None], str] = _no_trouble
    silent: Callable[[Settings, int], bool] = lambda settings, pid: False
    is_forked: bool = True


# `greenpower up` can run several, each with its own port and client id (`greenpower.stack.ingest_pool`).
INGEST = Service(
    name="ingest",
    arguments=("ingest", "--mqtt", "--tcp", "--http"),
    trouble=lambda settings, pid: http_trouble(settings.ingest_http_host, settings.ingest_http_port, "/health"),
    silent=lambda settings, pid: ingest_silent(settings.ingest_http_host, settings.ingest_http_port),
)
SERVICES = (
    INGEST,
    Service(
        name="api",
        arguments=("api",),
        trouble=lambda settings, pid: http_trouble(settings.api_host, settings.api_port, "/api/ready/"),
        silent=lambda settings, pid: http_silent(settings.api_host, settings.api_port, "/api/ready/"),
    ),
    Service(
        name="realtime",
        arguments=("realtime",),
        trouble=lambda settings, pid: http_trouble(settings.api_host, settings.realtime_port, "/health"),
        silent=lambda settings, pid: http_silent(settings.api_host, settings.realtime_port, "/health"),
        is_forked=False,  # eventlet changes modules before they are imported
    ),
    Service(
        name="worker",
        arguments=("worker",),
        trouble=lambda settings, pid: worker_trouble(settings.need("REDIS_URL"), pid),
        silent=lambda settings, pid: registry_silent(worker_trouble(settings.need("REDIS_URL"), pid)),
    ),
    Service(
        name="scheduler",
        arguments=("scheduler",),
        trouble=lambda settings, pid: scheduler_trouble(settings.need("REDIS_URL"), pid),
        silent=lambda settings, pid: registry_silent(scheduler_trouble(settings.need("REDIS_URL"), pid)),
    ),
)
INIT = Service(name="init", arguments=("init",))
SIMULATOR = Service(name="simulate", arguments=("simulate",))
DEMO = Service(name="demo", arguments=("demo", "--if-new"))

# Settings of ports that we listen on: name, host, and whether we open it
PORTS: tuple[tuple[str, Callable[[Settings], str], Callable[[Settings], bool]], ...] = (
    ("API_PORT", lambda settings: settings.api_host, lambda settings: True),
    ("REALTIME_PORT", lambda settings: settings.api_host, lambda settings: True),
    ("TCP_PORT", lambda settings: settings.tcp_host, lambda settings: True),
    (
        "TCP_LINES_PORT",
        lambda settings: settings.tcp_host,
        lambda settings: bool(settings.tcp_lines_token.get_secret_value()),
    ),
    ("PUSH_PORT", lambda settings: settings.push_host, lambda settings: True),
    ("INGEST_HTTP_PORT", lambda settings: settings.ingest_http_host, lambda settings: True),
    ("MQTT_PORT", lambda settings: LOOPBACK, lambda settings: not settings.mqtt_broker),
)


def choose_ports(settings: Settings) -> Settings:
    """Settings in which every port can be used; 0 becomes a free one. Raises ConfigError, one line per problem."""
    chosen: dict[str, int] = {}
    problems = []
    for name, host_of, ours in PORTS:
        if not ours(settings):
            continue
        port, host = getattr(settings, name.lower()), host_of(settings)
        if port == 0:
            port = free_port()
        elif trouble := bind_trouble(port, host):
            problems.append(f"{name}={port} cannot be used on {host or 'any address'}: {trouble}")
        for other, taken in chosen.items():
            if taken == port:
                problems.append(f"{name}={port} is the same port as {other}={taken}")
        chosen[name] = port
    if problems:
        raise ConfigError("\n".join(problems))
    return settings.model_copy(update={name.lower(): port for name, port in chosen.items()})


def choose_parts(settings: Settings, warn: Callable[[str], None]) -> tuple[list[Part], dict[str, str]]:
    """The embedded parts for servers whose setting is empty, and the settings with their addresses.

    Starts nothing. Raises ConfigError if a part cannot be had.
    """
    home = settings.greenpower_home
    parts: list[Part] = []
    addresses: dict[str, str] = {}
    if not settings.mongo_db_uri.get_secret_value():
        mongod = Mongod(home / "mongod")
        parts.append(mongod)
        addresses["MONGO_DB_URI"] = mongod.uri
    if not settings.redis_address:
        valkey = Valkey(home / "valkey")
        parts.append(valkey)
        addresses["REDIS_URL"] = valkey.url
    if not settings.mqtt_broker:
        broker, warning = best_broker(home, settings.mqtt_port)
        if warning:
            warn(warning)
        parts.append(broker)
        addresses |= {"MQTT_BROKER": broker.host, "MQTT_PORT": str(broker.port)}
    return parts, addresses


def service_child(
    service: Service, settings: Settings, environment: dict[str, str], fork_server: ForkServer | None = None
) -> Child:
    """A service as a child of the supervisor. settings: those of the service, for its checks. fork_server: where it is
    to be forked; else it imports what it needs by itself."""
    return Child(
        name=service.name,
        command=(sys.executable, "-m", "greenpower", *service.arguments),
        environment={**environment, "PYTHONUNBUFFERED": "1"},
        trouble=lambda pid: service.trouble(settings, pid),
        silent=lambda pid: service.silent(settings, pid),
        fork_server=fork_server if service.is_forked else None,
        arguments=service.arguments,
    )
