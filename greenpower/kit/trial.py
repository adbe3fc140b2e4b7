"""The result of frames without servers: readings, values left out, bucket statistics and the answer of the API.

What belongs here: the steps of ingest that need no database, in the same order. What does not: printing the result
(`greenpower.cli.kit`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from greenpower.datatype import DataType, Dialled
from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.birth_book import BirthBook
from greenpower.ingest.steps.clock import ClockRule, arrival_time
from greenpower.ingest.steps.reader import Reader
from greenpower.ingest.steps.slots import slot_begin
from greenpower.kit.plugin import Plugin, is_dialled
from greenpower.kit.problem import PluginError
from greenpower.measure.bucket import Bucket
from greenpower.measure.roll import roll
from greenpower.measure.spec import Spec
from greenpower.measure.windows import ceil, floor
from greenpower.mongo.client import Document
from greenpower.mongo.readings.store import Fragment, merge_fragments
from greenpower.mongo.rollups.present import presenter, statistics
from greenpower.mongo.rollups.tier_view import RAW, TierView
from greenpower.simulator.device import topic_for


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTrial:
    """The result of frames.

    arrivals: the frames with their outcome. found: the readings in them. stored: the documents of the readings.
    buckets: of the finest tier with windows, by device. resolution: the window of that tier as text (`1m`).
    """

    datatype: DataType
    arrivals: tuple[Arrival, ...]
    found: tuple[FrameReading, ...]
    stored: tuple[Document, ...]
    buckets: dict[str, list[Bucket]] = field(default_factory=dict)
    resolution: str = RAW

    @property
    def answer(self) -> Document:
        """The answer of the type's list, newest reading first."""
        end = datetime.max
        present = presenter(
            TierView(
                collection=self.datatype.collection, resolution=RAW, window=None,
                kept_from=end, whole_from=end, done_until=None,
            )
        )  # fmt: skip
        rows = sorted(self.stored, key=lambda document: document["timestamp"], reverse=True)
        results = [present(document) for document in rows]
        return {"count": len(results), "next": None, "previous": None, "resolution": RAW, "results": results}


def default_topic(datatype: DataType) -> str:
    """A topic that a data type claims; for a gateway type `tcp/<type>/<registration packet>`, for one
    that is pushed only `http/<claim>`."""
    for claim in datatype.topics:
        if not claim.noted:
            return topic_for(claim, "DEVICE")
    if datatype.pushes:
        return datatype.pushes[0].topic
    for dialled in (item for item in datatype.match if isinstance(item, Dialled)):
        return f"{dialled.protocol}/{datatype.name}/DEVICE"
    return f"tcp/{datatype.name}/{datatype.gateways[0].packet.example()}"


def try_frames(
    plugin: Plugin,
    topic: str,
    payloads: Iterable[bytes],
    rule: ClockRule,
    at: datetime,
    max_frame_bytes: int,
    before: Iterable[tuple[str, bytes]] = (),
) -> FrameTrial:
    """Read frames that arrive on a topic at `at` (aware). before: frames that came before, each with its topic.

    Raises PluginError if no data type claims the topic.
    """
    claimed = plugin.claimed(topic)
    if not claimed:
        raise PluginError(f"no data type claims the topic {topic!r}")
    datatype, device = claimed[0]
    reader = Reader(plugin.registry, max_frame_bytes)
    source = _source_of(datatype, topic)
    known = None if source == "mqtt" else datatype
    arrivals, found = [], []
    book = BirthBook()
    for given, payload in before:
        reader.read(Arrival(topic=given, payload=payload, received_at=at, source="mqtt"), book)
    for payload in payloads:
        arrival = Arrival(
            topic=topic, payload=payload, received_at=at, source=source,
            datatype=known, device=device if known else None,
        )  # fmt: skip
        reader.shorten(arrival)
        arrivals.append(arrival)
        found += reader.read(arrival, book)
    named = {item.stamp: item.device_id for item in found if item.device_id is not None}
    for item in found:
        item.device_id = item.device_id or named.get(item.stamp)
        _set_time(item, rule)
    stored = _stored(found, at)
    tier = next((tier for tier in datatype.tiers if tier.window is not None), None)
    buckets = {} if tier is None or tier.window is None else _buckets(stored, datatype, tier.window)
    return FrameTrial(
        datatype=datatype, arrivals=tuple(arrivals), found=tuple(found), stored=stored, buckets=buckets,
        resolution=RAW if tier is None else tier.resolution,
    )  # fmt: skip


def _source_of(datatype: DataType, topic: str) -> str:
    """The source through which frames of a topic come."""
    source = topic.partition("/")[0]
    if (source == "tcp" and datatype.gateways) or any(is_dialled(claim, source) for claim in datatype.match):
        return source
    return "http" if any(claim.topic == topic for claim in datatype.pushes) else "mqtt"


def _set_time(item: FrameReading, rule: ClockRule) -> None:
    """Set the time of a reading: its stamp, or the time of arrival if it has none or the clock is wrong."""
    at = item.arrival.received_at
    if item.stamp is not None and rule.plausible(measured := rule.measured(item.stamp, at), at):
        item.time = measured
        return
    item.time, item.undated = arrival_time(at), True
    if item.arrival.gather is not None and item.stamp is None:
        item.time = slot_begin(item.time, item.arrival.gather)
    item.clock = "" if item.stamp is None else "wrong"


def _stored(found: Iterable[FrameReading], at: datetime) -> tuple[Document, ...]:
    parts = [
        Fragment(item.device_id, item.arrival.topic, item.time, at, item.payload, item.complete)
        for item in found
        if item.device_id is not None and item.time is not None and item.payload
    ]
    return tuple(draft.document(at) for draft in merge_fragments(parts))


def _buckets(stored: Iterable[Document], datatype: DataType, length: int) -> dict[str, list[Bucket]]:
    series: dict[str, list[Document]] = {}
    for document in sorted(stored, key=lambda document: document["timestamp"]):
        series.setdefault(document["device_id"], []).append(document)
    found = {}
    for device, documents in series.items():
        times = [document["timestamp"] for document in documents]
        payloads = [document["payload"] for document in documents]
        extra = frozenset(name for payload in payloads for name in payload) if datatype.open else frozenset()
        end = floor(times[-1], length)
        found[device] = roll(
            times, payloads, begin=floor(times[0], length), end=ceil(end.replace(microsecond=1), length), length=length,
            spec=Spec.from_datatype(datatype), settled_before=end, accepted=extra, stale_after=datatype.stale_after,
        ).buckets  # fmt: skip
    return found


def statistics_of(bucket: Bucket) -> dict[str, dict[str, Any]]:
    """The statistics of a bucket's values as in the API."""
    return statistics({**bucket.to_document(), "timestamp": bucket.start, "final": False}, timedelta())
