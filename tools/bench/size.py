"""Bench of size: bytes that a reading and an event take on disk, indexes included; beside a time-series collection.

Frames of 40 values of simulated meters, read and stored in the forms that ingest stores, in order of arrival. The same
documents go into collections of three makes: as the product makes them, as MongoDB does by itself (snappy), and into a
time-series collection, which has no unique index. `python -m tools.bench.size` prints the rows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import Frame
from greenpower.mongo.events.store import Outcome, event_document, raw_document
from greenpower.mongo.readings.store import Fragment, merge_fragments
from greenpower.mongo.schema.compression import STORAGE
from greenpower.mongo.schema.layout import EVENTS, Index, ensure_indexes, event_indexes, reading_indexes
from greenpower.simulator.device import frames, make_devices
from greenpower.stack import Mongod
from tools.bench.mix import ZONE

Document = dict[str, Any]
Row = dict[str, Any]
METERS = 500
SPACING = timedelta(seconds=30)
VALUES = 40
BATCH = 1_000
MOST_OF_READING, MOST_OF_EVENT = 370, 330
LIMIT = 64 * 1024


def documents(count: int) -> Iterator[tuple[Document, Document]]:
    """About `count` readings with their events, in order of arrival."""
    datatype = get_registry()["rt"]
    every = make_devices(datatype, METERS * len(datatype.wire.models if datatype.wire else ()), 0, ZONE)
    meters = [device for device in every if len(frames(device, datetime.now(UTC))) == 1 and values_of(device) == VALUES]
    rounds = count // len(meters)
    begin = datetime.now(UTC).replace(microsecond=0) - rounds * SPACING
    for turn in range(rounds):
        for number, meter in enumerate(meters):
            at = begin + turn * SPACING + number * SPACING // len(meters)
            [(topic, payload)] = frames(meter, at)
            [reading] = datatype.parse(Frame(topic=topic, payload=payload, received_at=at))
            assert reading.device_id is not None and reading.stamp is not None
            stamp = reading.stamp.replace(tzinfo=reading.stamp.tzinfo or ZONE)
            received = at + timedelta(milliseconds=200 + number * 37 % 700)
            part = Fragment(reading.device_id, topic, stamp, received, dict(reading.values), True)
            [draft] = merge_fragments([part])
            yield (
                draft.document(received + timedelta(milliseconds=30)),
                event_document(
                    type_name=datatype.name,
                    topic=topic,
                    device_id=reading.device_id,
                    received_at=received,
                    outcome=Outcome.STORED,
                    raw=raw_document(payload, LIMIT),
                    timestamps=[stamp],
                ),
            )


def values_of(device: Any) -> int:
    """How many values a simulated device sends in a frame."""
    [(topic, payload)] = frames(device, datetime.now(UTC))
    return sum(len(reading.values) for reading in device.datatype.parse(Frame(topic=topic, payload=payload)))


class Scale:
    """A database on which the same documents are weighed in several collections."""

    def __init__(self, db: Database[Document], settings: Settings, count: int) -> None:
        self.db, self.settings = db, settings
        pairs = list(documents(count))
        self.readings, self.events = [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def product(self) -> list[Row]:
        """Readings and events as the product keeps them."""
        datatype = get_registry()["rt"]
        ensure_indexes(self.db, (datatype,), self.settings)
        return [
            self.weigh("a reading of 40 values", datatype.collection, self.readings, MOST_OF_READING),
            self.weigh("its event", EVENTS, self.events, MOST_OF_EVENT),
        ]

    def snappy(self) -> list[Row]:
        """The same in collections that MongoDB makes by itself."""
        self._indexed("plain_readings", reading_indexes(0))
        self._indexed("plain_events", event_indexes(0))
        return [
            self.weigh("a reading, snappy", "plain_readings", self.readings),
            self.weigh("its event, snappy", "plain_events", self.events),
        ]

    def series(self) -> list[Row]:
        """The readings in time-series collections: without the dedupe and the feed of changes.

        As they arrive, and device by device, as an archive would be written.
        """
        options = {"timeField": "timestamp", "metaField": "device_id", "granularity": "minutes"}
        archived = sorted(self.readings, key=lambda reading: (reading["device_id"], reading["timestamp"]))
        rows = []
        for name, title, readings in (
            ("series", "a reading, time-series as it arrives", self.readings),
            ("archive", "a reading, time-series by device", archived),
        ):
            self.db.create_collection(name, timeseries=options, storageEngine=STORAGE)
            rows.append(self.weigh(title, name, readings, stored=f"system.buckets.{name}"))
        return rows

    def _indexed(self, name: str, indexes: tuple[Index, ...]) -> None:
        for index in indexes:
            partial: Document = {"partialFilterExpression": index.partial} if index.partial else {}
            self.db[name].create_index([(key, 1) for key in index.keys], unique=index.unique, **partial)

    def weigh(self, name: str, collection: str, rows: list[Document], goal: float = 0, stored: str = "") -> Row:
        """Insert, and what that takes on disk after a checkpoint, a document."""
        began = time.perf_counter()
        for first in range(0, len(rows), BATCH):
            # A time-series collection takes the ids away from what it is given.
            self.db[collection].insert_many([dict(row) for row in rows[first : first + BATCH]], ordered=False)
        seconds = time.perf_counter() - began
        self.db.client.admin.command("fsync")
        found = self.db.command("collStats", stored or collection)
        data, indexes = found["storageSize"] / len(rows), found["totalIndexSize"] / len(rows)
        row = {
            "name": name,
            "bytes": data + indexes,
            "data": data,
            "indexes": indexes,
            "insert_per_s": len(rows) / seconds,
        }
        return {**row, "documents": len(rows), **({"goal": goal} if goal else {})}


def weigh_all(home: Path, count: int) -> list[Row]:
    """All rows, on a mongod of its own."""
    with Mongod(home) as mongod, MongoClient[Document](mongod.uri, tz_aware=True) as client:
        settings = Settings(_env_file=None, mongo_db_uri=mongod.uri)  # type: ignore[call-arg, arg-type]
        scale = Scale(client["bench"], settings, count)
        return [*scale.product(), *scale.snappy(), *scale.series()]


def run(quick: bool) -> list[Row]:
    """Rows of name, bytes, data, indexes; a goal is the most that it may be."""
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
        return weigh_all(Path(folder), 50_000 if quick else 200_000)


if __name__ == "__main__":
    for row in run(quick=True):
        print(row)
