"""What a realtime process counts, for `/metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from greenpower.realtime.hub import Hub


class RealtimeMetrics:
    """The counters of a process; its gauges are asked of the hub."""

    def __init__(self, hub: Hub) -> None:
        self.registry = CollectorRegistry()
        self.sent = Counter("greenpower_realtime_sent", "messages to clients", ["event"], registry=self.registry)
        self.refused = Counter("greenpower_realtime_refused", "connections refused", ["reason"], registry=self.registry)
        self.ended = Counter("greenpower_realtime_ended", "connections ended", ["reason"], registry=self.registry)
        self.skipped = Counter(
            "greenpower_realtime_skipped",
            "values left out: bad, or not taken",
            ["source"],
            registry=self.registry,
        )
        clients = Gauge("greenpower_realtime_clients", "clients connected", registry=self.registry)
        clients.set_function(lambda: len(hub.clients))
        waiting = Gauge("greenpower_realtime_waiting", "clients for whom something waits", registry=self.registry)
        waiting.set_function(lambda: len(hub.waiting))

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
