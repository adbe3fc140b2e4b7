"""Whose reading it is: samples of several messages of which only one names the device.

A fragment without a device waits in MongoDB until another fragment of its topic and stamp names one, whichever process
gets that; its frame is noted as `awaiting-id`. A fragment that only names the device is noted as `names-device`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.mongo.client import Document
from greenpower.mongo.failure import until_written
from greenpower.mongo.ids import new_id
from greenpower.mongo.readings.fragments import (
    SampleKey,
    devices_of,
    forget_fragments,
    fragments_of,
    keep_fragments,
    name_devices,
)

AWAITING = "awaiting-id"
NAMES = "names-device"
JOINED = "fragments"  # the source of a frame that waited


class Pairing:
    """Finds the devices of fragments. One per ingest process; it keeps nothing in memory."""

    def __init__(self, collection: AsyncCollection[Document], on_retry: Callable[[Exception], None]) -> None:
        self.collection = collection
        self._on_retry = on_retry

    async def pair(self, readings: list[FrameReading]) -> list[FrameReading]:
        """The readings whose device is known, fragments that waited for it included.

        Those have `waiting` set: once they are stored, they are to be forgotten.
        """
        known: list[FrameReading] = []
        nameless: list[FrameReading] = []
        named: dict[SampleKey, str] = {}
        for item in readings:
            in_parts = item.arrival.datatype is not None and item.arrival.datatype.id_in_one_part
            if item.device_id is None:
                if in_parts and item.stamp is not None:
                    nameless.append(item)
                else:
                    item.arrival.rejected = "no-id"
                continue
            if in_parts and item.stamp is not None:
                named[_key(item)] = item.device_id
            if item.payload:
                known.append(item)
            else:
                item.arrival.noted = NAMES
        if not named and not nameless:
            return known
        waiting = [item for item in nameless if _key(item) not in named]
        for item in waiting:
            item.waiting = item.waiting or new_id()
        joined, devices = await until_written(lambda: self._look_up(waiting, named), on_retry=self._on_retry)
        for item in nameless:
            item.device_id = named.get(_key(item)) or devices.get(_key(item).text)
            if item.device_id is None:
                item.arrival.noted = AWAITING
            else:
                joined.append(item)
        return known + joined

    async def _look_up(
        self, waiting: list[FrameReading], named: dict[SampleKey, str]
    ) -> tuple[list[FrameReading], dict[str, str]]:
        """The fragments that waited for the devices named, and the devices that were named before, by key."""
        joined: list[FrameReading] = []
        devices: dict[str, str] = {}
        if named:
            await name_devices(self.collection, named, datetime.now(UTC))
            by_text = {key.text: (key, device) for key, device in named.items()}
            for document in await fragments_of(self.collection, named):
                joined.append(_joined(document, *by_text[document["key"]]))
        if waiting:
            await keep_fragments(self.collection, [_document(item) for item in waiting])
            devices = await devices_of(self.collection, {_key(item) for item in waiting})
        return joined, devices

    async def forget(self, readings: list[FrameReading]) -> list[FrameReading]:
        """Delete what waited and is stored."""
        ids = [item.waiting for item in readings if item.waiting is not None]
        if ids:
            await until_written(lambda: forget_fragments(self.collection, ids), on_retry=self._on_retry)
        return readings


def _key(item: FrameReading) -> SampleKey:
    assert item.stamp is not None
    assert item.arrival.datatype is not None
    return SampleKey(item.arrival.datatype, item.arrival.topic, item.stamp)


def _document(item: FrameReading) -> Document:
    return {
        "_id": item.waiting,
        "event": item.arrival.id,
        "key": _key(item).text,
        "payload": item.payload,
        "complete": item.complete,
        "received_at": item.arrival.received_at,
    }


def _joined(document: Document, key: SampleKey, device: str) -> FrameReading:
    """A fragment that waited, with its device; its own frame has its event already."""
    arrival = Arrival(
        topic=key.topic,
        payload=b"",
        received_at=document["received_at"],
        source=JOINED,
        datatype=key.datatype,
        event_id=document.get("event"),
    )
    return FrameReading(arrival, device, key.stamp, document["payload"], document["complete"], waiting=document["_id"])
