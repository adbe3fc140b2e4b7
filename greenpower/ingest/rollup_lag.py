"""How far rollups are behind, at ingest's /metrics: workers come and go with their jobs and serve nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge
from pymongo.asynchronous.database import AsyncDatabase

from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.lag import read_lags_async

LABELS = ("type", "tier")


class LagMetrics:
    """Gauges for each tier, as of the last `refresh`."""

    def __init__(self, registry: CollectorRegistry, datatypes: Iterable[DataType]) -> None:
        self.datatypes = tuple(datatypes)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"greenpower_rollup_{name}", text, LABELS, registry=registry)

        self.behind = gauge("behind_seconds", "how much later the watermark could be")
        # Public names, from when invalidations were called marks.
        self.invalidations = gauge("marks", "hours of devices that wait to be computed again")
        self.oldest = gauge("oldest_mark_seconds", "how long the oldest of them has waited")
        self.left_alone = gauge("left_alone", "windows that could not be computed: what they come from has expired")
        self.failing = gauge("failing", "1 where the last run ended with an error")

    async def refresh(self, db: AsyncDatabase[Document]) -> None:
        """Read it anew. Raises PyMongoError."""
        for lag in await read_lags_async(db, self.datatypes, datetime.now(UTC)):
            if lag.behind is not None:
                self.behind.labels(lag.type, lag.prefix).set(lag.behind)
            self.invalidations.labels(lag.type, lag.prefix).set(lag.invalidations)
            self.oldest.labels(lag.type, lag.prefix).set(lag.oldest)
            self.left_alone.labels(lag.type, lag.prefix).set(lag.left_alone)
            self.failing.labels(lag.type, lag.prefix).set(bool(lag.error))
