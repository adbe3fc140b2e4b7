"""What is told of a batch equals what MongoDB holds: after splits, joins, retries and failures."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from greenpower.bus.message import Message, reading_message
from greenpower.catalog.registry import PLUGINS_PACKAGE, Registry, discover, get_registry
from greenpower.config import Settings
from greenpower.datatype import DataType, Field, Frame, Mqtt, Reading
from greenpower.ingest.arrival import Arrival
from greenpower.kit.plugin import plugins_of
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.readings.latest import find_latest
from greenpower.mongo.schema.layout import DEVICE_SETTINGS
from greenpower.simulator.device import frames, make_devices
from tests.ingest.conftest import Document, frame
from tests.ingest.steps.test_pairing import TOPIC, message
from tests.ingest.told import Fault, Told, go_through

NOW = datetime.now(UTC).replace(microsecond=0)
TP = int(NOW.timestamp() * 1000)
ZONE = ZoneInfo("Asia/Dhaka")
GENERATOR = "GENERATOR_1"
METER = "33B1225950027"


def sent(payload: str | bytes | Document, topic: str = TOPIC, **given: Any) -> Arrival:
    body = json.dumps(payload) if isinstance(payload, dict) else payload
    raw = body.encode() if isinstance(body, str) else body
    return Arrival(topic=topic, payload=raw, source="mqtt", **{"received_at": NOW, **given})


def rt(**given: Any) -> Arrival:
    return sent(frame(**given), "MQTT_RT_DATA")


def newest(db: Database[Document], datatype: DataType, device: str) -> Message:
    """A device's newest reading in MongoDB, as a message."""
    found = db[datatype.collection].find_one({"device_id": device}, sort=[("timestamp", -1)])
    assert found is not None
    return reading_message(datatype.name, device, found["timestamp"], found["received_at"], found["payload"])


def assert_all_agree(told: Told, db: Database[Document], *datatypes: DataType) -> None:
    """MongoDB, the query of `latest/`, Redis, a listener and a new snapshot say the same of every device."""
    for datatype in datatypes:
        devices = db[datatype.collection].distinct("device_id")
        assert devices
        shown = {"device_id": 1, "timestamp": 1, "payload": 1}
        latest = {row["device_id"]: row for row in find_latest(db[datatype.collection], devices, "", 1000, shown)}
        for device in devices:
            held = newest(db, datatype, device)
            assert latest[device]["payload"] == held["payload"]
            assert told.kept[datatype.name, device] == held
            assert told.newest(datatype.name, device) == held
            assert told.cache.reading(datatype.name, device) == held
            assert told.snapshot.reading(datatype.name, device) == held


def outcomes(db: Database[Document]) -> list[tuple[str, str]]:
    """Outcome and reason of each event, in order of arrival."""
    return [(event["outcome"], event.get("reason", "")) for event in db.telemetry_events.find().sort("_id")]


# Fragments whose device comes in a later message.


def test_joined_fragments_are_told(settings: Settings, db: Database[Document]) -> None:
    batches = [
        [sent(message(TP, p1=229.8, p2=230.1))],
        [sent(message(TP, p3=50.0))],
        [sent(message(TP, p0=GENERATOR, p4=7))],
    ]
    told = go_through(settings, batches)
    assert told.kept["generator", GENERATOR]["payload"] == {"1": 229.8, "2": 230.1, "3": 50.0, "4": 7}
    assert_all_agree(told, db, get_registry()["generator"])


@pytest.mark.parametrize("named", ["first", "last", "between"])
def test_a_message_that_only_names_the_device_makes_it_seen(
    settings: Settings, db: Database[Document], named: str
) -> None:
    """The device is seen, its reading and its interval are known, though no frame of the batch gave the reading."""
    batches = []
    for number in range(3):
        tp = TP - 60_000 * (2 - number)
        parts = [sent(message(tp, p1=1.0)), sent(message(tp, p2=2.0))]
        parts.insert({"first": 0, "last": 2, "between": 1}[named], sent(message(tp, p0=GENERATOR)))
        batches += [[part] for part in parts]
    told = go_through(settings, batches)
    assert_all_agree(told, db, get_registry()["generator"])
    seen = db.devices_seen.find_one({"_id": f"generator|{GENERATOR}"})
    assert seen is not None
    assert seen["last_reading"] == NOW and seen["interval"] == 60


def test_a_conflict_of_a_joined_fragment_is_counted_and_noted(settings: Settings, db: Database[Document]) -> None:
    told = go_through(settings, [[sent(message(TP, p1=1.0))], [sent(message(TP, p0=GENERATOR, p1=2.0))]])
    assert told.metric("value_conflicts_total", type="generator") == 1
    waited = db.telemetry_events.find_one({"reason": "awaiting-id"})
    assert waited is not None and waited["conflicts"] == ["1"]
    assert told.kept["generator", GENERATOR]["payload"] == {"1": 2.0}
    assert_all_agree(told, db, get_registry()["generator"])


def test_a_conflicting_value_is_not_told(settings: Settings, db: Database[Document]) -> None:
    told = go_through(settings, [[rt(time=NOW, ua=1.0)], [rt(time=NOW, ua=2.0, ig=0.5)]])
    assert [message["payload"].get("ua") for message in told.messages] == [1.0, None]
    assert_all_agree(told, db, get_registry()["rt"])


# Times of events that wait.


def parse_split(frame: Frame) -> tuple[Reading, ...]:
    body = json.loads(frame.payload)
    values = {"volts": body["volts"]} if "volts" in body else {}
    return (Reading(device_id=body.get("id"), values=values, stamp=datetime.fromisoformat(body["at"])),)


SPLIT = DataType(
    name="split", title="Split", endpoint="split-data", collection="split_data", match=(Mqtt("SPLIT"),),
    fields=(Field("volts", unit="V"), Field("amperes", unit="A")), parse=parse_split, stale_after=60,
    id_in_one_part=True,
)  # fmt: skip


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("wrong", [timedelta(), timedelta(days=-700)])
def test_an_event_that_waits_gets_device_and_time_with_its_reading(
    settings: Settings, db: Database[Document], zone: str | None, wrong: timedelta
) -> None:
    """A naive stamp has no zone, and no clock to be corrected by, before its device is known."""
    write_settings(db[DEVICE_SETTINGS], [DeviceSettings(device_id="D1", updated_at=NOW, timezone=zone)])
    local = (NOW + wrong).astimezone(ZoneInfo(zone) if zone else settings.device_zone).replace(tzinfo=None)
    waits = sent({"at": local.isoformat(), "volts": 230.0}, "SPLIT")
    registry = Registry.of(SPLIT)
    go_through(settings, [[waits]], registry=registry)
    [event] = db.telemetry_events.find()
    assert (event["reason"], "timestamp" in event, "device_id" in event) == ("awaiting-id", False, False)
    told = go_through(settings, [[sent({"at": local.isoformat(), "id": "D1"}, "SPLIT")]], registry=registry)
    [reading] = db.split_data.find()
    assert reading["timestamp"] == NOW
    event = db.telemetry_events.find_one({"_id": event["_id"]}) or {}
    assert (event["outcome"], event["device_id"], event["timestamp"]) == ("noted", "D1", reading["timestamp"])
    assert event.get("clock") == ("offset" if wrong else None)
    assert_all_agree(told, db, SPLIT)


# A batch that fails once, for a reason that nobody foresaw.

COLLECTIONS = ("grid_rt_data", "generator_data", "telemetry_events", "reading_parts", "rollup_marks")


@pytest.mark.parametrize("after", [True, False], ids=["after the write", "before the write"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_what_a_failed_try_stored_is_stored_and_told(
    settings: Settings, db: Database[Document], collection: str, after: bool
) -> None:
    late = NOW - timedelta(hours=5)
    first = [rt(device="OLD", time=NOW)]
    batch = [
        rt(device="NEW", time=NOW),
        rt(device="NEW", time=NOW),
        rt(device="OLD", time=NOW),
        rt(device="LATE", time=late),
        rt(device="OLD", time=NOW, ig=0.5),
        sent({"id": "SPLIT", "time": frame(time=NOW)["time"], "ua": 1.0}, "MQTT_RT_DATA"),
        sent({"id": "SPLIT", "time": frame(time=NOW)["time"], "ub": 2.0}, "MQTT_RT_DATA"),
        sent(message(TP, p1=1.0)),
        sent(message(TP, p0=GENERATOR, p2=2.0)),
        sent("no json", "MQTT_RT_DATA"),
    ]
    go_through(settings, [first])
    fault = Fault(collection, after=after)
    told = go_through(settings, [batch], fault)
    assert fault.writes > 1 or collection in ("rollup_marks", "reading_parts")
    stored, duplicate = ("stored", ""), ("duplicate", "")
    # Tried alone, the fragment waits for the frame behind it, unless that has named the device before it failed.
    fragment = ("noted", "awaiting-id") if collection == "reading_parts" and not after else stored
    assert sorted(outcomes(db)[1:]) == sorted(
        [stored, duplicate, duplicate, stored, stored, stored, stored, fragment, stored, ("rejected", "not-json")]
    )
    assert db.telemetry_events.count_documents({"device_id": GENERATOR, "timestamp": NOW}) == 2
    assert told.metric("frames_total", type="rt", outcome="stored") == 5
    assert told.metric("frames_total", type="rt", outcome="duplicate") == 2
    assert db.grid_rt_data.count_documents({}) == 4
    told_of_old = told.newest("rt", "OLD")
    assert told_of_old is not None and told_of_old["payload"] == {"ig": 0.5}
    for datatype, device in (
        ("rt", "NEW"),
        ("rt", "OLD"),
        ("rt", "LATE"),
        ("rt", "SPLIT"),
        ("generator", GENERATOR),
    ):
        assert told.kept[datatype, device] == newest(db, get_registry()[datatype], device)
        assert db.devices_seen.count_documents({"_id": f"{datatype}|{device}"}) == 1
    assert db.reading_parts.count_documents({"key": {"$exists": True}}) == 0
    assert db.rollup_marks.count_documents({"device_id": "LATE"}) == 1


def test_keys_that_a_lost_answer_added_are_new(settings: Settings, db: Database[Document]) -> None:
    """The update of a reading that is there is done, and its answer is lost."""
    go_through(settings, [[rt(time=NOW)]])
    fault = Fault("grid_rt_data", number=1, error=AutoReconnect)
    told = go_through(settings, [[rt(time=NOW, ig=0.5), rt(time=NOW, ua=0.1)]], fault)
    assert fault.writes > 2
    assert outcomes(db)[1:] == [("stored", ""), ("duplicate", "")]
    assert [message["payload"] for message in told.messages] == [{"ig": 0.5}]


# Every plugin.

TYPES = [
    (plugin, datatype)
    for plugin in plugins_of(discover())
    if plugin.origin.startswith(f"{PLUGINS_PACKAGE}.")
    for datatype in plugin.datatypes
]


def arrivals_of(plugin: Any, datatype: DataType) -> Iterator[Arrival]:
    """Some readings of some devices, in the packets in which their models send them."""
    if datatype.gateways:
        for number in range(2):
            device = f"GWCCCL000{number}"
            for second, sample in enumerate(plugin.samples_of(datatype)):
                for payload in sample.frames:
                    yield Arrival(
                        topic=f"tcp/{datatype.name}/{device}", payload=payload, source="tcp", datatype=datatype,
                        device=device, received_at=NOW + timedelta(seconds=second),
                    )  # fmt: skip
        return
    for second in range(3):
        at = NOW - timedelta(minutes=2 - second)
        for meter in make_devices(datatype, 4, 1, ZONE):
            for topic, payload in frames(meter, at):
                yield sent(payload, topic, received_at=at + timedelta(seconds=1))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("plugin", "datatype"), TYPES, ids=[datatype.name for _, datatype in TYPES])
def test_all_say_what_mongodb_holds(
    plugin: Any, datatype: DataType, seed: int, settings: Settings, db: Database[Document]
) -> None:
    """Packets reordered, repeated and cut into batches; one write of the readings fails in the middle."""
    draw = random.Random(seed)
    packets = list(arrivals_of(plugin, datatype))
    packets += [
        Arrival(
            topic=item.topic, payload=item.payload, received_at=item.received_at, source=item.source, dup=True,
            datatype=item.datatype, device=item.device,
        )
        for item in draw.sample(packets, len(packets) // 3)
    ]  # fmt: skip
    draw.shuffle(packets)
    cuts = sorted(draw.sample(range(1, len(packets)), min(3, len(packets) - 1)))
    batches = [packets[begin:end] for begin, end in zip([0, *cuts], [*cuts, None], strict=True)]
    fault = Fault(datatype.collection, number=1, after=seed > 0)
    told = go_through(settings, batches, fault)
    assert fault.writes > 1
    assert_all_agree(told, db, datatype)
    counts = {outcome: told.metric("frames_total", type=datatype.name, outcome=outcome) for outcome, _ in outcomes(db)}
    assert sum(counts.values()) == len(packets) == db.telemetry_events.count_documents({})
    assert db.telemetry_events.count_documents({"outcome": "rejected", "reason": "internal-error"}) == 0
