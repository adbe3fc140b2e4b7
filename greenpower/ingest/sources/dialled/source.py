"""Devices that we connect to: the hosts of the site file, each with a connection of its own.

What belongs here: which hosts there are, and that each is dialled. What does not: a host (`host`), what is said to it
(`modbus`, `telegrams`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import Gauge

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype.dialled import Dialled
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.connection import TcpConnection
from greenpower.ingest.sources.dialled.connection import ClaimedDevices
from greenpower.ingest.sources.dialled.host import DialledHost
from greenpower.ingest.sources.dialled.modbus import ModbusConnection
from greenpower.ingest.sources.dialled.telegrams import TelegramConnection
from greenpower.ingest.sources.source import Source, SourceKind, SourceKit
from greenpower.loops import TaskLoop

CHECK_HOSTS_SECONDS = 1.0
HOSTS_STALLED_SECONDS = 30.0
# In `/health`.
MAX_HOSTS_SHOWN = 10
CONNECTIONS = {"modbus": ModbusConnection, "telegrams": TelegramConnection}


def make(settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> Source | None:
    """The source of devices that we dial; None where the site file names none."""
    if not registry.dialled:
        return None
    return DialledSource(registry=registry, pipeline=pipeline, kit=kit)


class DialledSource:
    """All hosts that we dial. One per ingest process, and one process per site: each asks every device."""

    name = "dialled"

    def __init__(self, *, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> None:
        self.pipeline = pipeline
        self.hosts = [self._host(kit, devices) for devices in _by_address(registry)]
        self._started = False
        self._loop = kit.loops.add(TaskLoop(self.name, self._watch, stalled_after=HOSTS_STALLED_SECONDS))
        Gauge("greenpower_dialled_connections", "connections to hosts that we dial", registry=kit.metrics).set_function(
            lambda: self._connected
        )

    @property
    def listening_to(self) -> str:
        return f"{len(self.hosts)} hosts" if self._started else ""

    async def start(self) -> None:
        for host in self.hosts:
            host.admission.raise_open_files()
            host.start()
        self._started = True
        self._loop.start()

    async def stop(self) -> None:
        """End every connection: the answers of rounds that are not finished become notes, and are still stored."""
        self._started = False
        await self._loop.stop()
        for host in self.hosts:
            host.stop()

    async def close(self) -> None:
        """Nothing is left to do."""

    def health(self) -> dict[str, Any]:
        """`{"ok", "hosts", "connected", "failing"}`: a device that is away is not our fault."""
        failing = {
            f"{host.host}:{host.port}": host.last_error for host in self.hosts if not host.is_connected or host.failures
        }
        return {
            "ok": True,
            "hosts": len(self.hosts),
            "connected": self._connected,
            "failing": dict(sorted(failing.items())[:MAX_HOSTS_SHOWN]),
        }

    @property
    def _connected(self) -> int:
        return sum(host.is_connected for host in self.hosts)

    async def _watch(self, loop: TaskLoop) -> None:
        loop.advance()
        while not await loop.wait(CHECK_HOSTS_SECONDS):
            for host in self.hosts:
                host.check()
            loop.advance()

    def _host(self, kit: SourceKit, devices: ClaimedDevices) -> DialledHost:
        claim = devices[0][1]
        kind = CONNECTIONS[claim.protocol]

        def connect(host: DialledHost) -> TcpConnection:
            return kind(host, self.pipeline, devices)

        return DialledHost(claim.host, claim.port, connect, kit.admission)


def _by_address(registry: Registry) -> Iterable[ClaimedDevices]:
    """The devices that share a connection: those of one host and port."""
    found: dict[str, list[Any]] = {}
    for datatype, claim in registry.dialled:
        found.setdefault(claim.address, []).append((datatype, claim))
    return found.values()


SOURCE = SourceKind(name=DialledSource.name, claims=(Dialled,), make=make)
