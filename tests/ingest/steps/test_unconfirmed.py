"""Devices that are in no registry: taken while there is room for unconfirmed ones, rejected beyond it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pymongo.database import Database

from greenpower.catalog.registry import load_registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.steps import policy
from greenpower.mongo.client import async_client
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.schema.layout import CLOCKS, DEVICE_SETTINGS, SEEN
from tests.ingest.conftest import Document, frame

Work = Callable[[Pipeline], Awaitable[None]]
MOST = 20


def within(settings: Settings, work: Work, **changes: object) -> IngestMetrics:
    """Run with a pipeline that nothing was registered with."""
    metrics = IngestMetrics()

    async def run() -> None:
        using = settings.model_copy(update={"device_unconfirmed_max": MOST, **changes})
        async with async_client(using) as client:
            pipeline = Pipeline(
                registry=load_registry(None), settings=using, db=client[using.mongo_db_name], metrics=metrics
            )
            await pipeline.clock.load()
            await work(pipeline)

    asyncio.run(run())
    return metrics


def send(pipeline: Pipeline, device: str, **values: Any) -> None:
    payload = orjson.dumps(frame(device, **values))
    pipeline.submit(Arrival(topic="MQTT_RT_DATA", payload=payload, received_at=datetime.now(UTC), source="mqtt"))


async def settle(pipeline: Pipeline) -> None:
    await pipeline.drain()
    await pipeline.presence.save()
    await pipeline.clock.save()
    await pipeline.clock.refresh()
    pipeline.policy.refresh()


def outcomes(db: Database[Document]) -> Counter[tuple[str, str | None]]:
    return Counter((event["outcome"], event.get("reason")) for event in db.telemetry_events.find())


def register(db: Database[Document], *devices: str, confirmed: bool = False, registered: bool = True) -> None:
    stamp = datetime.now(UTC)
    write_settings(
        db[DEVICE_SETTINGS],
        [
            DeviceSettings(device_id=device, updated_at=stamp, confirmed=confirmed, registered=registered)
            for device in devices
        ],
    )


@pytest.mark.parametrize("device_policy", ["open", "confirm"])
def test_invented_ids_are_taken_up_to_the_bound(settings: Settings, db: Database[Document], device_policy: str) -> None:
    register(db, "KNOWN", confirmed=True)

    async def work(pipeline: Pipeline) -> None:
        for number in range(3 * MOST):
            send(pipeline, f"STRANGER{number}")
        send(pipeline, "KNOWN")
        await settle(pipeline)
        send(pipeline, "STRANGER0", time=datetime.now(UTC).replace(second=1))
        await settle(pipeline)
        assert pipeline.policy.unconfirmed == MOST

    metrics = within(settings, work, device_policy=device_policy)
    rejected = [event for event in db.telemetry_events.find({"outcome": "rejected"})]
    assert {event["reason"] for event in rejected} == {"too-many-unknown"} and len(rejected) == 2 * MOST
    assert len(db.grid_rt_data.distinct("device_id")) == db[SEEN].count_documents({}) == MOST + 1
    assert db[CLOCKS].count_documents({}) <= MOST + 1
    value = metrics.registry.get_sample_value
    assert value("greenpower_frames_rejected_total", {"type": "rt", "reason": "too-many-unknown"}) == 2 * MOST
    assert value("greenpower_devices_new_total") == value("greenpower_devices_unconfirmed") == MOST
    assert value("greenpower_devices_unconfirmed_limit") == MOST


def test_frames_that_hold_no_reading_make_no_stranger_known_either(settings: Settings, db: Database[Document]) -> None:
    async def work(pipeline: Pipeline) -> None:
        for number in range(3 * MOST):
            payload = orjson.dumps({"id": f"STRANGER{number}", "time": "20260101000000", "isend": "1"})
            pipeline.submit(
                Arrival(topic="MQTT_RT_DATA", payload=payload, received_at=datetime.now(UTC), source="mqtt",
                        device=f"STRANGER{number}", datatype=pipeline.reader.registry["rt"])
            )  # fmt: skip
            pipeline.presence.heard("solar", f"GATEWAY{number}", datetime.now(UTC))
        await settle(pipeline)

    within(settings, work)
    assert db[SEEN].count_documents({}) == MOST
    db[SEEN].delete_many({})
    within(settings, work, device_policy="registered")
    assert db[SEEN].count_documents({}) == 0


def test_unconfirmed_devices_of_the_registry_take_the_room(settings: Settings, db: Database[Document]) -> None:
    register(db, *(f"OLD{number}" for number in range(MOST)), confirmed=False)

    async def work(pipeline: Pipeline) -> None:
        send(pipeline, "OLD1")
        send(pipeline, "NEW")
        await settle(pipeline)
        register(db, "OLD2", confirmed=True)
        await settle(pipeline)
        send(pipeline, "NEW", time=datetime.now(UTC).replace(second=1))
        await settle(pipeline)

    within(settings, work)
    assert outcomes(db) == {("stored", None): 2, ("rejected", "too-many-unknown"): 1}
    assert set(db.grid_rt_data.distinct("device_id")) == {"OLD1", "NEW"}


def test_only_confirmed_devices_are_registered_ones(settings: Settings, db: Database[Document]) -> None:
    register(db, "HEARD", confirmed=False)
    register(db, "KNOWN", confirmed=True)
    db[DEVICE_SETTINGS].insert_one({"_id": "EARLIER", "registered": True})  # written before devices were confirmed

    async def work(pipeline: Pipeline) -> None:
        for device in ("HEARD", "KNOWN", "EARLIER"):
            send(pipeline, device)
        await settle(pipeline)

    within(settings, work, device_policy="registered")
    assert set(db.grid_rt_data.distinct("device_id")) == {"KNOWN", "EARLIER"}
    assert outcomes(db) == {("stored", None): 2, ("rejected", "unregistered"): 1}


def test_without_a_limit_all_are_taken(settings: Settings, db: Database[Document]) -> None:
    async def work(pipeline: Pipeline) -> None:
        for number in range(3 * MOST):
            send(pipeline, f"METER{number}")
        await settle(pipeline)

    within(settings, work, device_unconfirmed_max=0)
    assert outcomes(db) == {("stored", None): 3 * MOST}


def test_a_stranger_that_is_never_registered_gives_its_place_back(settings: Settings) -> None:
    time = [0.0]

    async def work(pipeline: Pipeline) -> None:
        judge = pipeline.policy
        judge._now = lambda: time[0]
        assert all(judge.takes(f"STRANGER{number}") for number in range(MOST)) and not judge.takes("OTHER")
        time[0] += policy.FORGET_NEW_SECONDS
        assert judge.takes("STRANGER0")
        judge.refresh()
        assert judge.unconfirmed == 1 and judge.takes("OTHER")

    within(settings, work)


@pytest.mark.parametrize("read_between", [False, True])
def test_a_stranger_that_is_deleted_gives_its_place_back_at_once(
    settings: Settings, db: Database[Document], read_between: bool
) -> None:
    """Also where it was registered and deleted between two looks at the registry."""
    strangers = [f"STRANGER{number}" for number in range(MOST)]

    async def work(pipeline: Pipeline) -> None:
        judge = pipeline.policy

        async def look() -> None:
            await pipeline.clock.refresh()
            judge.refresh()

        assert all(judge.takes(stranger) for stranger in strangers) and not judge.takes("OTHER")
        register(db, *strangers)
        if read_between:
            await look()
            assert judge.unconfirmed == MOST and not judge.takes("OTHER")
        register(db, *strangers, registered=False)
        await look()
        assert judge.unconfirmed == 0
        # One that is heard again is new, and stays so while the registry says nothing newer of it.
        assert judge.takes("STRANGER1") and judge.takes("OTHER")
        await look()
        await look()
        assert judge.unconfirmed == 2
        register(db, "STRANGER1", confirmed=True)
        await look()
        assert judge.unconfirmed == 1 and pipeline.devices.is_confirmed("STRANGER1")

    within(settings, work)
