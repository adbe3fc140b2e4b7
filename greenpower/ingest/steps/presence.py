"""Signs of life: gathered in memory, written down every few seconds. And the interval at which each device sends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from greenpower.datatype import DataType
from greenpower.ingest.steps.policy import REFUSED
from greenpower.ingest.steps.slots import slot_begin
from greenpower.measure.presence import GAPS, usual_interval
from greenpower.mongo.client import Document
from greenpower.mongo.devices.seen import Sighting, save_seen, update_fields
from greenpower.mongo.devices.status import bring_online
from greenpower.mongo.readings.batch import StoredBatch
from greenpower.mongo.readings.gathered import recent_field_times
from greenpower.mongo.readings.store import Fragment

# Ids come from outside: a sender that invents them must not fill the memory.
MAX_SIGHTINGS = 200_000
MAX_INTERVALS = 100_000
# What a process had not written down when it ended: it writes every few seconds, and is started again soon.
RECOVERED = timedelta(hours=1)

Key = tuple[str, str]  # type name, device id


class IntervalTracker:
    """Knows the gaps between the newest readings of each device. Those heard longest ago are forgotten first."""

    def __init__(self) -> None:
        self._devices: OrderedDict[Key, tuple[datetime, tuple[float, ...]]] = OrderedDict()

    def reading(self, key: Key, timestamp: datetime) -> None:
        """A reading of this measured time came. Further fragments and late readings say nothing."""
        last, gaps = self._devices.get(key, (timestamp, ()))
        if timestamp > last:
            gaps = (*gaps, (timestamp - last).total_seconds())[-GAPS:]
        self._devices[key] = (max(timestamp, last), gaps)
        self._devices.move_to_end(key)
        if len(self._devices) > MAX_INTERVALS:
            self._devices.popitem(last=False)

    def interval(self, key: Key) -> float | None:
        """The interval in seconds, None while it is not known."""
        _, gaps = self._devices.get(key, (None, ()))
        return usual_interval(gaps)


class Presence:
    """Which devices were heard. One per ingest process. takes: whether a device, by its id, may be seen. gathering: the
    types whose values come one by one: of their fields, too, it notes when each was measured last."""

    def __init__(
        self,
        collection: AsyncCollection[Document],
        takes: Callable[[str], bool] = lambda _: True,
        gathering: Iterable[DataType] = (),
    ) -> None:
        self.collection = collection
        self._takes = takes
        self._seen: dict[Key, Sighting] = {}
        self._intervals = IntervalTracker()
        self._gather = {datatype.name: datatype.gather_seconds for datatype in gathering}
        self._collections = {datatype.name: datatype.collection for datatype in gathering}
        self._fields = {datatype.name: {field.name for field in datatype.fields} for datatype in gathering}

    def heard(self, type_name: str, device: str, at: datetime, reading: datetime | None = None) -> None:
        """A device gave a sign of life; `reading` is the time of the newest reading in it."""
        sighting = self._seen.get((type_name, device))
        if sighting is None:
            # A device that is refused is not seen either: ids that are made up would fill the registry.
            if len(self._seen) < MAX_SIGHTINGS and self._takes(device):
                self._seen[type_name, device] = Sighting(at, at, reading)
            return
        sighting.last_heard = max(at, sighting.last_heard)
        if reading is not None and (sighting.last_reading is None or reading > sighting.last_reading):
            sighting.last_reading = reading

    def note(self, batch: StoredBatch) -> None:
        """Take the signs of life in a batch."""
        for name, fragment in batch.fragments():
            if fragment.fault:
                self.heard(name, fragment.device_id, fragment.received_at)
                continue
            time = fragment.timestamp
            if gather := self._gather.get(name):
                time = slot_begin(time, gather)  # further readings in a slot say nothing of the interval
            self._intervals.reading((name, fragment.device_id), time)
            self.heard(name, fragment.device_id, fragment.received_at, fragment.timestamp)
            if gather:
                self._note_fields(name, fragment)
        for frame in batch.frames:
            if frame.fragments or frame.reason in REFUSED or not frame.alive:
                continue
            if frame.type_name is not None and frame.device_id is not None:
                self.heard(frame.type_name, frame.device_id, frame.received_at)

    def _note_fields(self, name: str, fragment: Fragment) -> None:
        sighting = self._seen.get((name, fragment.device_id))
        if sighting is not None:
            for field in self._fields[name].intersection(fragment.payload):
                sighting.fields[field] = max(fragment.timestamp, sighting.fields.get(field, fragment.timestamp))

    async def recover(self, db: AsyncDatabase[Document]) -> None:
        """Write down when fields were measured that an ended process stored and did not write down. Raises
        PyMongoError."""
        for name, collection in self._collections.items():
            times = await recent_field_times(db[collection], datetime.now(UTC) - RECOVERED)
            known = self._fields[name]
            await update_fields(
                self.collection,
                name,
                {device: {field: own[field] for field in known & own.keys()} for device, own in times.items()},
            )

    async def save(self) -> list[Document]:
        """Write down what is new. Returns the documents of devices that came online by it.

        Raises PyMongoError, and keeps what is new for the next time then.
        """
        seen, self._seen = self._seen, {}
        for key, sighting in seen.items():
            if sighting.last_reading is not None:
                sighting.interval = self._intervals.interval(key)
        try:
            await save_seen(self.collection, seen)
            return await bring_online(self.collection, seen, datetime.now(UTC))
        except PyMongoError:
            for (name, device), sighting in seen.items():
                self.heard(name, device, sighting.first_heard)
                self.heard(name, device, sighting.last_heard, sighting.last_reading)
                if (again := self._seen.get((name, device))) is not None:
                    again.fields = {**sighting.fields, **again.fields}
            raise
