"""What ingest counts. Counted per batch, not per frame: labels are looked up once for many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Metric

from greenpower.ingest.arrival import Arrival
from greenpower.mongo.events.store import Outcome
from greenpower.mongo.readings.batch import StoredBatch

MAX_REASONS = 100


class IngestMetrics:
    """The metrics of one ingest process, on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Metric:
            return Metric(f"greenpower_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"greenpower_{name}", text, registry=self.registry)

        self.received = counter("frames_received", "frames that came", "type", "source")
        self.frames = counter("frames", "frames by what became of them", "type", "outcome")
        self.rejected = counter("frames_rejected", "rejected frames by reason", "type", "reason")
        self.noted = counter("frames_noted", "frames that are no readings, by reason", "type", "reason")
        self.left_out = counter("values_left_out", "values left out of readings, by reason", "type", "reason")
        self.conflicts = counter("value_conflicts", "values that differ from the one stored first", "type")
        self.sessions_begun = counter("sessions_begun", "births that say what later frames of a device mean", "type")
        self.sessions_late = counter("sessions_late", "births that came after frames of theirs had been read", "type")
        self.retries = counter("write_retries", "writes that MongoDB did not take at once")
        self.pending = gauge("frames_pending", "frames held, not yet stored")
        self.pending_bytes = gauge("frames_pending_bytes", "bytes of the frames held")
        self.oldest_batch = gauge("oldest_batch_seconds", "for how long the oldest batch has been in work")
        self.devices_new = counter("devices_new", "devices that were taken and are not in the registry yet")
        self.devices_unconfirmed = gauge(
            "devices_unconfirmed", "devices that are not confirmed, with those that are not registered yet"
        )
        self.devices_unconfirmed_limit = gauge("devices_unconfirmed_limit", "most of these; 0: no limit")
        self.write_seconds = Histogram(
            "greenpower_batch_write_seconds", "from a batch's closing to its last write", registry=self.registry
        )
        self.batch_frames = Histogram(
            "greenpower_batch_frames",
            "frames a batch",
            buckets=(1, 3, 10, 30, 100, 300, 1000),
            registry=self.registry,
        )
        self._reasons: set[str] = set()

    def count_received(self, arrivals: Iterable[Arrival]) -> None:
        """Count frames as they come to be processed."""
        for (name, source), count in Counter((a.type_name or "none", a.source) for a in arrivals).items():
            self.received.labels(name, source).inc(count)

    def count_outcomes(self, batch: StoredBatch) -> None:
        """Count what became of a batch, once its events are stored."""
        outcomes: Counter[tuple[str, str]] = Counter()
        rejected: Counter[tuple[str, str]] = Counter()
        noted: Counter[tuple[str, str]] = Counter()
        left_out: Counter[tuple[str, str]] = Counter()
        conflicts: Counter[str] = Counter()
        for frame in batch.frames:
            name = frame.type_name or "none"
            outcome = frame.outcome
            outcomes[name, outcome.value] += 1
            if outcome is Outcome.REJECTED:
                rejected[name, self._bounded(frame.reason)] += 1
            elif outcome is Outcome.NOTED:
                noted[name, self._bounded(frame.reason)] += 1
            if frame.left_out:
                for why in frame.left_out.values():
                    left_out[name, self._bounded(why)] += 1
        for name, fragment in batch.fragments():
            if fragment.conflicts:
                conflicts[name] += len(fragment.conflicts)
        for metric, counts in (
            (self.frames, outcomes),
            (self.rejected, rejected),
            (self.noted, noted),
            (self.left_out, left_out),
        ):
            for (name, label), count in counts.items():
                metric.labels(name, label).inc(count)
        for name, count in conflicts.items():
            self.conflicts.labels(name).inc(count)

    def _bounded(self, reason: str) -> str:
        """The reason as a label. Parsers are foreign code: past a limit their reasons share one label."""
        if reason not in self._reasons:
            if len(self._reasons) >= MAX_REASONS:
                return "other"
            self._reasons.add(reason)
        return reason
