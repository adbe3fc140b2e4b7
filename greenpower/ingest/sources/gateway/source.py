"""Modbus gateways over TCP: the port that they dial in to, and which connection stands for which gateway.

What does not belong here: a single connection (`connection`), any byte of a protocol (the data type's dialogue).
"""

from __future__ import annotations

from typing import Any

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import Tcp
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.gateway.connection import GatewayConnection
from greenpower.ingest.sources.listener import TcpListener, tls_context
from greenpower.ingest.sources.source import Source, SourceKind, SourceKit


def make(settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> Source | None:
    """The source of gateways, on TCP_PORT."""
    return GatewaySource(settings=settings, registry=registry, pipeline=pipeline, kit=kit)


#: the event of a gateway, and the end of a connection, where one from another address takes its place
REPLACED_ELSEWHERE = "replaced-by-other-address"


class GatewaySource:
    """The port for gateways. One per ingest process."""

    name = "tcp"

    def __init__(self, *, settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> None:
        self.registration_seconds = settings.tcp_registration_seconds
        self.pipeline = pipeline
        self.claims = {claim: datatype for datatype, claim in registry.gateways}
        self.by_device: dict[str, GatewayConnection] = {}
        self.listener = TcpListener(
            lambda listener: GatewayConnection(listener, self),
            host=settings.tcp_host,
            port=settings.tcp_port,
            setting="TCP_PORT",
            admission=kit.admission,
            tls=tls_context(settings, "gateways"),
            handshake_seconds=settings.tcp_registration_seconds,
        )

    @property
    def listening_to(self) -> str:
        return self.listener.listening_to

    async def start(self) -> None:
        await self.listener.start()

    async def stop(self) -> None:
        """End every connection: the answers of rounds that are not finished become notes, and are still stored."""
        self.listener.stop()
        self.listener.close_all()

    async def close(self) -> None:
        """Nothing is left to do."""

    def health(self) -> dict[str, Any]:
        """`{"ok", "gateways"}`: how many gateways are connected."""
        return {"ok": True, "gateways": len(self.by_device)}

    def register(self, connection: GatewayConnection, device: str) -> None:
        """A connection has said which gateway it is. An older one of the same gateway is a dead entry in some NAT, or
        somebody else pretends to be it: one that comes from another address is noted."""
        older = self.by_device.get(device)
        self.by_device[device] = connection
        self.listener.admission.name(connection)
        if older is None:
            return
        if older.address == connection.address:
            older.close("replaced")
            return
        older.close(REPLACED_ELSEWHERE)
        connection.note(REPLACED_ELSEWHERE, f"{connection.address} replaces {older.address}")

    def unregister(self, connection: GatewayConnection) -> None:
        """A connection has ended."""
        device = connection.device_id
        if device is not None and self.by_device.get(device) is connection:
            del self.by_device[device]


SOURCE = SourceKind(name=GatewaySource.name, claims=(Tcp,), make=make)
