"""Lines of JSON over TCP: the port for frames of any MQTT type that come that way instead.

What does not belong here: a single connection (`connection`), what a line says (`message`).
"""

from __future__ import annotations

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import Mqtt
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.lines.connection import LineConnection
from greenpower.ingest.sources.lines.message import ENVELOPE_BYTES
from greenpower.ingest.sources.listener import TcpListener, tls_context
from greenpower.ingest.sources.port_source import PortSource
from greenpower.ingest.sources.source import Source, SourceKind, SourceKit


def make(settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> Source | None:
    """The source of lines, on TCP_LINES_PORT; None without TCP_LINES_TOKEN."""
    if not settings.tcp_lines_token.get_secret_value():
        return None
    return LineSource(settings=settings, pipeline=pipeline, kit=kit)


class LineSource(PortSource):
    """The port for lines. One per ingest process."""

    name = "lines"

    def __init__(self, *, settings: Settings, pipeline: Pipeline, kit: SourceKit) -> None:
        super().__init__()
        self.token = settings.tcp_lines_token.get_secret_value().encode()
        self.registration_seconds = settings.tcp_registration_seconds
        self.idle_seconds = settings.tcp_idle_seconds
        self.max_line_bytes = settings.max_frame_bytes + ENVELOPE_BYTES
        self.pipeline = pipeline
        self.listener = TcpListener(
            lambda listener: LineConnection(listener, self),
            host=settings.tcp_host,
            port=settings.tcp_lines_port,
            setting="TCP_LINES_PORT",
            admission=kit.admission,
            tls=tls_context(settings, "lines"),
            handshake_seconds=settings.tcp_registration_seconds,
        )


SOURCE = SourceKind(name=LineSource.name, claims=(Mqtt,), make=make)
