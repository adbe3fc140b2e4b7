"""The clock rule, and what it makes of devices whose clocks are wrong, stuck or right but late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.steps.clock import ClockRule
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.readings.clock_mark import ARRIVAL
from greenpower.mongo.schema.layout import ensure_indexes
from tests.ingest.conftest import Document, frame, stamp

DHAKA, BERLIN = ZoneInfo("Asia/Dhaka"), ZoneInfo("Europe/Berlin")
RULE = ClockRule(backlog=timedelta(days=35), tolerance=timedelta(seconds=300), zone=DHAKA)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_naive_stamp_is_in_the_devices_zone() -> None:
    assert RULE.measured(datetime(2026, 3, 1, 18), NOON) == NOON
    assert RULE.measured(datetime(2026, 3, 1, 13), NOON, BERLIN) == NOON


def test_an_aware_stamp_is_what_it_says() -> None:
    assert RULE.measured(datetime(2026, 3, 1, 18, tzinfo=DHAKA), NOON, BERLIN) == NOON


def test_of_the_repeated_hour_the_time_nearer_to_arrival() -> None:
    local = datetime(2026, 10, 25, 2, 30)
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert RULE.measured(local, first + timedelta(seconds=2), BERLIN) == first
    assert RULE.measured(local, second + timedelta(seconds=2), BERLIN) == second


def test_a_time_that_no_clock_shows_is_one_time() -> None:
    local = datetime(2026, 3, 29, 2, 30)
    near = datetime(2026, 3, 29, 0, 40, tzinfo=UTC)
    assert RULE.measured(local, near, BERLIN) == RULE.measured(local, near + timedelta(hours=5), BERLIN)


@pytest.mark.parametrize(
    ("age", "plausible"),
    [
        (timedelta(0), True),
        (timedelta(days=35), True),
        (timedelta(days=35, seconds=1), False),
        (timedelta(seconds=-300), True),
        (timedelta(seconds=-301), False),
    ],
)
def test_how_far_a_stamp_may_lie(age: timedelta, plausible: bool) -> None:
    assert RULE.plausible(NOON - age, NOON) is plausible


Feed = Callable[[Iterable[tuple[Document, datetime]]], Awaitable[None]]


def through_pipelines(settings: Settings, *runs: Iterable[tuple[Document, datetime]], dup: bool = False) -> None:
    """Feed frames with their times of arrival; each run through a pipeline of its own, as after a restart."""
    with sync_client(settings) as client:
        ensure_indexes(client[settings.mongo_db_name], get_registry(), settings)

    async def feed(run: Iterable[tuple[Document, datetime]]) -> None:
        client = async_client(settings)
        pipeline = Pipeline(
            registry=get_registry(), settings=settings, db=client[settings.mongo_db_name], metrics=IngestMetrics()
        )
        await pipeline.clock.load()
        for body, arrival in run:
            topic = body.get("topic", "MQTT_RT_DATA")
            payload = json.dumps({key: value for key, value in body.items() if key != "topic"}).encode()
            done = pipeline.submit(Arrival(topic=topic, payload=payload, received_at=arrival, source="mqtt", dup=dup))
        await done
        await pipeline.drain()
        await pipeline.clock.save()
        await client.close()

    for run in runs:
        asyncio.run(feed(run))


def test_a_meter_in_2005_has_its_readings_when_they_arrived_spaced_as_it_spaced_them(
    settings: Settings, db: Database[Document]
) -> None:
    device = datetime(2005, 1, 18, 21, 15)
    minutes = []
    for n in range(60):
        text = (device + timedelta(minutes=n)).strftime("%Y%m%d%H%M%S")
        arrival = NOON + timedelta(minutes=n, milliseconds=137 * n % 900)
        minutes.append(({**frame(ua=200.0 + n), "time": text}, arrival))
    # a second process gets the first half again, the third run is one after a kill that gets the last ten again
    through_pipelines(settings, minutes, minutes[:30], minutes[50:])
    readings = list(db.grid_rt_data.find().sort("timestamp"))
    assert len(readings) == 60
    assert [reading["timestamp"] for reading in readings] == [NOON + timedelta(minutes=n) for n in range(60)]
    assert [reading["payload"]["ua"] for reading in readings] == [200.0 + n for n in range(60)]
    assert db.telemetry_events.count_documents({"outcome": "duplicate"}) == 40
    event = db.telemetry_events.find_one({"timestamp": NOON})
    assert event is not None
    assert '"20050118211500"' in event["raw"]
    assert event["clock"] == "offset"
    assert not any("clock" in reading for reading in readings)


def test_a_clock_that_is_set_right_is_believed_again_and_a_new_error_gets_a_new_offset(
    settings: Settings, db: Database[Document]
) -> None:
    run = [
        ({**frame(), "time": "20050118211500"}, NOON),
        (frame(time=NOON + timedelta(minutes=1)), NOON + timedelta(minutes=1, seconds=2)),
        ({**frame(), "time": "20300101000000"}, NOON + timedelta(minutes=2)),
        ({**frame(), "time": "20300101000100"}, NOON + timedelta(minutes=3, seconds=1)),
    ]
    through_pipelines(settings, run)
    times = [reading["timestamp"] for reading in db.grid_rt_data.find().sort("timestamp")]
    assert times == [NOON + timedelta(minutes=n) for n in range(4)]


def test_frames_from_before_a_clock_stepped_again_find_their_readings(
    settings: Settings, db: Database[Document]
) -> None:
    """Ingest was killed before it acknowledged what it stored: the broker delivers it again after the step."""
    begins = [datetime(2005, 1, 18, 21, 15), datetime(2030, 1, 1)]
    run = []
    for n in range(12):
        text = (begins[n // 6] + timedelta(minutes=n)).strftime("%Y%m%d%H%M%S")
        run.append(({**frame(ua=200.0 + n), "time": text}, NOON + timedelta(minutes=n)))
    again = [(body, NOON + timedelta(minutes=11, seconds=30)) for body, _ in run[3:10]]
    through_pipelines(settings, run[:10], again, run[10:])
    readings = list(db.grid_rt_data.find().sort("timestamp"))
    assert [reading["timestamp"] for reading in readings] == [NOON + timedelta(minutes=n) for n in range(12)]
    assert [reading["payload"]["ua"] for reading in readings] == [200.0 + n for n in range(12)]
    assert db.telemetry_events.count_documents({"outcome": "duplicate"}) == 7


@pytest.mark.parametrize("ahead", [310, -(35 * 86_400 - 30)])
def test_a_redelivered_stamp_at_the_edge_of_what_is_believed_is_a_duplicate(
    settings: Settings, db: Database[Document], ahead: int
) -> None:
    """A minute later the rule says otherwise of it than when it came first."""
    times = [NOON + timedelta(seconds=n) for n in range(5)]
    run = [(frame(time=time + timedelta(seconds=ahead), ua=200.0 + n), time) for n, time in enumerate(times)]
    through_pipelines(settings, run)
    stored = [reading["timestamp"] for reading in db.grid_rt_data.find().sort("timestamp")]
    db.telemetry_events.delete_one({"raw": {"$regex": "204.0"}})  # killed between reading and event
    through_pipelines(settings, [(body, time + timedelta(minutes=1)) for body, time in run], dup=True)
    assert [reading["timestamp"] for reading in db.grid_rt_data.find().sort("timestamp")] == stored
    assert db.telemetry_events.count_documents({"outcome": "duplicate"}) == 5


def test_a_days_backlog_keeps_its_times(settings: Settings, db: Database[Document]) -> None:
    run = [(frame(time=NOON - timedelta(minutes=15 * n)), NOON) for n in range(96)]
    through_pipelines(settings, run)
    times = {reading["timestamp"] for reading in db.grid_rt_data.find()}
    assert times == {NOON - timedelta(minutes=15 * n) for n in range(96)}


def test_the_repeated_hour_loses_nothing(settings: Settings, db: Database[Document]) -> None:
    berlin = Settings.model_validate({**settings.model_dump(), "device_timezone": "Europe/Berlin"})
    begin = datetime(2026, 10, 24, 23, tzinfo=UTC)
    times = [begin + timedelta(minutes=5 * n) for n in range(48)]
    through_pipelines(
        berlin, [({**frame(), "time": stamp(time, "Europe/Berlin")}, time + timedelta(seconds=1)) for time in times]
    )
    assert {reading["timestamp"] for reading in db.grid_rt_data.find()} == set(times)


def test_a_stuck_clock_has_the_time_of_arrival(settings: Settings, db: Database[Document]) -> None:
    standing = [({**frame(time=NOON, ua=200.0 + n)}, NOON + timedelta(seconds=30 * n)) for n in range(20)]
    going_on = [(frame(time=NOON + timedelta(hours=1)), NOON + timedelta(hours=1, seconds=1))]
    through_pipelines(settings, standing[:10], standing[10:], going_on)
    readings = list(db.grid_rt_data.find().sort("timestamp"))
    # the first, then what came after the odd conflicts, then the clock that runs again
    assert len(readings) == 1 + (20 - 4) + 1
    assert readings[1]["timestamp"] == NOON + timedelta(seconds=30 * 4)
    assert readings[-2]["timestamp"] == NOON + timedelta(seconds=30 * 19)
    assert readings[-1]["timestamp"] == NOON + timedelta(hours=1)
    assert db.telemetry_events.count_documents({"clock": "stuck"}) == 16
    assert [reading.get("clock") for reading in readings] == [None] + [ARRIVAL] * 16 + [None]
    clock = db.device_clocks.find_one({"_id": "33B1225950027"})
    assert clock is not None
    assert clock.get("stuck", {}) == {}


def test_the_usual_lag_is_kept(settings: Settings, db: Database[Document]) -> None:
    through_pipelines(settings, [(frame(time=NOON), NOON + timedelta(seconds=90))])
    clock = db.device_clocks.find_one({"_id": "33B1225950027"})
    assert clock is not None
    assert clock["lag_ms"] == 90_000


def test_a_redelivered_frame_without_a_stamp_is_a_duplicate(settings: Settings, db: Database[Document]) -> None:
    def station(value: float) -> Document:
        return {"topic": "CCCL/PURBACHAL/ENV_01", "temp_1(*C)": value, "hum(%)": 40.5}

    run = [(station(20.0 + n), NOON + timedelta(seconds=n)) for n in range(5)]
    through_pipelines(settings, run)
    db.telemetry_events.delete_one({"raw": {"$regex": "24.0"}})  # killed between reading and event
    later = NOON + timedelta(minutes=5)
    through_pipelines(settings, [(body, later) for body, _ in run] + [(station(25.0), later)], dup=True)
    assert db.environment_data.count_documents({"clock": ARRIVAL}) == db.environment_data.count_documents({}) == 6
    assert db.telemetry_events.count_documents({"outcome": "duplicate", "reason": "redelivered"}) == 5
