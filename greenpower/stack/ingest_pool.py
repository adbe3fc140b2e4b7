"""The ingest processes of `greenpower up --ingest N`: members of one group at the broker, each with its own session.

The first has the client id and port of the settings, and only it listens on TCP. The ids are stored in the home: an id
of an earlier run that this run does not use is drained, else the broker would go on keeping its share of the frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from greenpower.broken_file import set_aside
from greenpower.config import Settings
from greenpower.stack.child import Child
from greenpower.stack.fork_server import ForkServer
from greenpower.stack.home import Warn, ignore, read_note, write_private
from greenpower.stack.port import bind_trouble, free_port
from greenpower.stack.probe import http_trouble, ingest_silent, reach
from greenpower.stack.stack import PORTS, Service, service_child

LOST = (
    "the names of ingest processes of earlier runs: if there were several, drain each with "
    "`greenpower mqtt drain CLIENT_ID`"
)
# Exit codes of `greenpower mqtt drain`: there is nothing to drain; a process has the session.
NO_SESSION = 3
PROCESS_RUNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMember:
    """An ingest process: its name among the children, client id, port of /health, and whether it listens on TCP, for
    gateways, lines and pushes."""

    name: str
    client_id: str
    port: int
    tcp: bool


def choose_pool(settings: Settings, count: int) -> tuple[PoolMember, ...]:
    """`count` members, on free ports. `settings` must have its ports chosen."""
    first = PoolMember(name="ingest", client_id=settings.mqtt_client_id, port=settings.ingest_http_port, tcp=True)
    taken = {getattr(settings, name.lower()) for name, _, _ in PORTS}
    found = [first]
    for number in range(2, count + 1):
        port = settings.ingest_http_port + number - 1
        while port in taken or port > 65_535 or bind_trouble(port, settings.ingest_http_host):
            port = free_port()
        taken.add(port)
        name = f"ingest-{number}"
        found.append(PoolMember(name=name, client_id=f"{settings.mqtt_client_id}-{number}", port=port, tcp=False))
    return tuple(found)


def addresses(settings: Settings, pool: Iterable[PoolMember]) -> str:
    """INGEST_ADDRESSES: the addresses of their `/health`."""
    return ",".join(f"{reach(settings.ingest_http_host)}:{member.port}" for member in pool)


def pool_child(
    member: PoolMember,
    settings: Settings,
    environment: dict[str, str],
    fork_server: ForkServer | None = None,
    *,
    shared: bool,
) -> Child:
    """A member as a child of the supervisor."""
    service = Service(
        name=member.name,
        arguments=("ingest", "--mqtt", *(("--tcp", "--http") if member.tcp else ())),
        trouble=lambda settings, pid: http_trouble(settings.ingest_http_host, member.port, "/health"),
        silent=lambda settings, pid: ingest_silent(settings.ingest_http_host, member.port),
    )
    own = {"INGEST_HTTP_PORT": str(member.port), "MQTT_CLIENT_ID": member.client_id}
    if shared:
        own["MQTT_SHARED"] = "true"
    return service_child(service, settings, {**environment, **own}, fork_server)


def drain_child(client_id: str, settings: Settings, environment: dict[str, str]) -> Child:
    """The process that drains the session of a retired member; it ends by itself."""
    return service_child(Service(name="drain", arguments=("mqtt", "drain", client_id)), settings, environment)


def noted_ids(home: Path, warn: Warn = ignore) -> set[str]:
    """The client ids of this home's ingest processes, of earlier runs too until they are drained."""
    found = read_note(_file(home), LOST, warn)
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return set(found)
    if found is not None:
        warn(set_aside(_file(home), "not a list of names", LOST))
    return set()


def note_ids(home: Path, ids: Iterable[str]) -> None:
    """Store them for the next run."""
    write_private(_file(home), json.dumps(sorted(ids)))


def _file(home: Path) -> Path:
    return home / "run" / "ingest-members.json"
