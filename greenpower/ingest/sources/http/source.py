"""Frames pushed over HTTP: the port for them, for all claims of `Http`.

Devices reach it through nginx, or through the API of `greenpower up`; neither keeps anything. What does not belong
here: a single connection (`connection`), whether a push may be made (`access`).
"""

from __future__ import annotations

from ipaddress import ip_address

from prometheus_client import Counter

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import Http
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.http.access import Access
from greenpower.ingest.sources.http.connection import PushConnection
from greenpower.ingest.sources.http.push import PushLimits
from greenpower.ingest.sources.http.request import PushHead
from greenpower.ingest.sources.listener import TcpListener
from greenpower.ingest.sources.port_source import PortSource
from greenpower.ingest.sources.source import Source, SourceKind, SourceKit
from greenpower.mongo.schema.layout import PUSH_KEYS


def make(settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> Source | None:
    """The source of pushes, on PUSH_PORT; None where no data type has a claim on any."""
    if not registry.pushes:
        return None
    return PushSource(settings=settings, registry=registry, pipeline=pipeline, kit=kit)


class PushSource(PortSource):
    """The port for pushes. One per ingest process."""

    name = "http"

    def __init__(self, *, settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> None:
        super().__init__()
        self.request_seconds = settings.push_request_seconds
        self.answer_seconds = settings.push_answer_seconds
        self.limits = PushLimits(max_bytes=settings.push_max_bytes, max_frame=settings.max_frame_bytes)
        self.pipeline = pipeline
        self.access = Access(registry.pushes, pipeline.db[PUSH_KEYS], settings.push_frames_per_minute)
        self.answered = Counter(
            "greenpower_pushes", "pushes over HTTP, by status of the answer", ("status",), registry=kit.metrics
        )
        self._proxies = settings.api_trusted_proxies
        self.listener = TcpListener(
            lambda listener: PushConnection(listener, self),
            host=settings.push_host,
            port=settings.push_port,
            setting="PUSH_PORT",
            admission=kit.admission,
            tls=None,
            handshake_seconds=settings.tcp_registration_seconds,
        )

    def address_of(self, peer: str, head: PushHead) -> str:
        """The address from which a push comes: what the nearest trusted proxy says, else the peer. The API of this
        machine is trusted."""
        trusted = self._proxies or _is_loopback(peer)
        if not trusted or not head.forwarded:
            return peer
        return head.forwarded[max(0, len(head.forwarded) - max(1, self._proxies))]


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False


SOURCE = SourceKind(name=PushSource.name, claims=(Http,), make=make)
