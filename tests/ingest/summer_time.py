"""What a device sends over the end of summer time, stamped in local time without an offset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pymongo.database import Database

from greenpower.ingest.arrival import Arrival
from tests.ingest.conftest import Document, stamp

LATER = timedelta(days=3)
METER = "33B1225950027"
ENERGY, POWER = "MQTT_ENY_NOW", "MQTT_RT_DATA"
#: of 2026: the moments at which the hour begins again
CHANGES = {
    "Europe/Berlin": datetime(2026, 10, 25, 1, tzinfo=UTC),
    "America/New_York": datetime(2026, 11, 1, 6, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 15, tzinfo=UTC),
}
ZONES = list(CHANGES)


def latest_change(zone: str, before: datetime) -> datetime:
    """The moment at which clocks were last put back."""
    place, half = ZoneInfo(zone), timedelta(minutes=30)
    at = before.replace(minute=0, second=0, microsecond=0)
    while (at.astimezone(place).utcoffset() or timedelta()) >= (
        (at - half).astimezone(place).utcoffset() or timedelta()
    ):
        at -= half
    return at


class Feed:
    """What a device measured in local time over the end of summer time, `n` frames with their true times."""

    def __init__(
        self,
        zone: str = "Europe/Berlin",
        *,
        step: float = 900,
        hours: float = 10,
        kind: str = ENERGY,
        change: datetime | None = None,
    ) -> None:
        self.zone, self.kind = zone, kind
        change = change or CHANGES[zone]
        first = change - timedelta(hours=3)
        self.times = [first + timedelta(seconds=step * n) for n in range(int(hours * 3600 / step))]
        self.values = [self._values(n) for n in range(len(self.times))]

    def _values(self, n: int) -> Document:
        if self.kind == ENERGY:
            return {"zygsz": 100 + 0.25 * n, "zszsz": 150 + 0.5 * n, "fygsz": 0.0}
        return {"ua": 230 + n / 8, "zyggl": 1.0 + n / 64}

    def body(self, n: int, **more: Any) -> Document:
        return {"id": METER, **self.values[n], "time": stamp(self.times[n], self.zone), "isend": "1", **more}

    def frame(self, n: int, arrival: datetime | None = None, **more: Any) -> Arrival:
        return self.arrival(self.body(n, **more), arrival or self.times[n] + timedelta(seconds=2))

    def arrival(self, body: Document, at: datetime, **more: Any) -> Arrival:
        return Arrival(topic=self.kind, payload=json.dumps(body).encode(), received_at=at, source="mqtt", **more)

    def backlog(self, numbers: Sequence[int] | None = None, after: timedelta = LATER) -> list[Arrival]:
        """All frames in order, a millisecond apart."""
        begin = self.times[-1] + after
        return [
            self.frame(n, begin + timedelta(milliseconds=n))
            for n in (range(len(self.times)) if numbers is None else numbers)
        ]

    @property
    def collection(self) -> str:
        return "grid_eny_now_data" if self.kind == ENERGY else "grid_rt_data"

    def check(self, db: Database[Document]) -> None:
        """Each frame is a reading at its true time with its values, and its events say so."""
        found = {reading["timestamp"]: reading["payload"] for reading in db[self.collection].find()}
        wanted = dict(zip(self.times, self.values, strict=True))
        assert {time: found.get(time) for time in wanted} == wanted
        assert len(found) == len(wanted)
        told = {event["timestamp"] for event in db.telemetry_events.find({"outcome": "stored"})}
        assert told == set(wanted)
        assert db.telemetry_events.count_documents({"conflicts": {"$exists": True}}) == 0
