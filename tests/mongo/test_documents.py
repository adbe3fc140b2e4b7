"""Every stored document has the keys and types of its view: written by the real code into a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, get_type_hints

import pytest
from bson import ObjectId
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import Answer
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.measure.counter.register import CounterEvent
from greenpower.measure.counter.rules import Incident
from greenpower.mongo.client import Document, async_client, sync_client
from greenpower.mongo.devices.answers import answer_document, keep_answers, take, untaken
from greenpower.mongo.devices.clocks import agree_offset, save_lags, set_offset, set_stuck
from greenpower.mongo.devices.listening import Listening
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.rollups.attempts import begin_attempt, finish_attempt
from greenpower.mongo.rollups.field_kinds import MAX_FIELDS_PER_DEVICE, FieldKinds
from greenpower.mongo.rollups.incidents import CONFIRMED, decide, record_swap, save_incidents
from greenpower.mongo.rollups.watermarks import note_run
from greenpower.mongo.schema.layout import (
    ANSWERS,
    ATTEMPTS,
    CLOCKS,
    DEVICE_SETTINGS,
    FIELD_KINDS,
    INCIDENTS,
    LISTENING,
    SEEN,
    WATERMARKS,
    ensure_indexes,
    layout,
)
from greenpower.mongo.schema.migrate import Event, migrate
from tests.mongo.schema.migrating import make_steps
from tests.mongo.shape import OF_TYPES, VIEWS, check
from tests.rollups.world import ENERGY, POWER, World

T0 = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
GENERATOR = "CCCL/PURBACHAL/ENM_01"


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (*get_registry(), POWER, ENERGY), settings)
        yield db


def frame(seconds: int, **values: object) -> bytes:
    stamp = T0 + timedelta(seconds=seconds, hours=6)
    return json.dumps(
        {"id": "33B1225950027", "zyggl": 1.5, "isend": "1", "time": f"{stamp:%Y%m%d%H%M%S}", **values}
    ).encode()


def sample(milliseconds: int, *points: tuple[int, object]) -> bytes:
    point = [{"id": number, "val": value} for number, value in points]
    return json.dumps({"data": [{"tp": int(T0.timestamp() * 1000) + milliseconds, "point": point}]}).encode()


def ingest(settings: Settings) -> None:
    """Frames with every outcome through ingest's pipeline, and all that it writes beside them."""
    wrong_clock = json.dumps({"id": "W1", "ua": 230.0, "isend": "1", "time": "20050118211500"}).encode()
    frames: list[tuple[str, bytes]] = [
        ("MQTT_RT_DATA", frame(0, ua=230.0)),
        ("MQTT_RT_DATA", frame(0, ua=231.0)),  # a conflict
        ("MQTT_RT_DATA", frame(0, ua=230.0)),  # again
        ("MQTT_RT_DATA", frame(60, ua=230.0, ub=1e9)),  # a value out of its range
        ("MQTT_RT_DATA", frame(120, ua=230.0)),
        ("MQTT_RT_DATA", wrong_clock),
        ("MQTT_RT_DATA", b"\xff\xfe"),
        ("MQTT_RT_DATA", b"x" * (settings.max_frame_bytes + 1)),
        ("nobody/claims/this", b"1"),
        (GENERATOR, sample(0, (0, "GENERATOR_1"), (7, 3.5))),
        (GENERATOR, sample(1000, (7, 3.5))),  # its device never comes
        (
            GENERATOR,
            json.dumps(
                {"data": [json.loads(sample(n, (0, "GENERATOR_1"), (7, 1)))["data"][0] for n in (2000, 3000)]}
            ).encode(),
        ),
    ]

    async def go() -> None:
        async with async_client(settings) as client:
            db = client[settings.mongo_db_name]
            pipeline = Pipeline(registry=get_registry(), settings=settings, db=db, metrics=IngestMetrics())
            await pipeline.clock.load()
            for number, (topic, payload) in enumerate(frames):
                arrival = Arrival(
                    topic=topic, payload=payload, received_at=T0 + timedelta(minutes=3, seconds=number), source="mqtt"
                )
                await pipeline.submit(arrival)
            await pipeline.drain()
            await pipeline.clock.save()
            await pipeline.presence.save()
            await Listening(db[LISTENING]).beat(("mqtt",), T0)
            hour = timedelta(hours=1)
            await agree_offset(db[CLOCKS], "D1", hour, None)
            await agree_offset(db[CLOCKS], "D1", 2 * hour, hour)
            await set_offset(db[CLOCKS], "D2", hour)
            await set_stuck(db[CLOCKS], "rt", "D1", T0)
            await save_lags(db[CLOCKS], {"D1": 1.25})
            answer = Answer(device_id="D1", operation="op", ok=True, values={"a": "1"}, detail="")
            await keep_answers(db[ANSWERS], [answer_document("rt", "T", answer, T0)])

    asyncio.run(go())


def roll_up(db: Database[Document], settings: Settings) -> None:
    """Both kinds of tiers, a late reading, undeclared fields, incidents and what operators say of them."""
    world = World(db, settings, T0 + timedelta(hours=1))
    for datatype in (POWER, ENERGY):
        rows = [(T0 + timedelta(minutes=n), {"g": n, "a": 10.0, "s": 1, "c": 100.0 + n, "x": 1.0}) for n in range(30)]
        world.store(
            datatype, "M1", [*rows, (T0 + timedelta(minutes=30), {"c": 3.0}), (T0 + timedelta(minutes=31), {"c": 4})]
        )
        world.store(
            datatype, "M1", [(T0 + timedelta(minutes=32 + n), {"c": 5.0 + n, "not a name": 1}) for n in range(9)]
        )
    world.run()
    world.store(POWER, "M1", [(T0 + timedelta(seconds=90), {"g": 7})])  # late: its mark stays
    names = [f"f{number}" for number in range(MAX_FIELDS_PER_DEVICE + 1)]
    FieldKinds(db[FIELD_KINDS], "power").accept("M2", names)  # one more than a device has room for
    note_run(db[WATERMARKS], "power", "today_", T0, error="TestError", left_alone=1)
    finish_attempt(db[ATTEMPTS], begin_attempt(db[ATTEMPTS], "power", "today_", T0, (T0, T0), ["M1"]), failed=True)
    begin_attempt(db[ATTEMPTS], "power", "today_", T0, (T0, T0 + timedelta(hours=1)), None)
    found = CounterEvent(
        incident=Incident.STEP, field="c", at=T0, value=5, before=9.5, before_at=T0, correction=Fraction(9)
    )
    save_incidents(db[INCIDENTS], "power", [("M2", found)], [("M2", T0, T0 + timedelta(hours=1))], T0)
    [incident] = db[INCIDENTS].find({"device_id": "M2"})
    decide(db[INCIDENTS], "M2", incident["_id"], CONFIRMED, "admin")
    record_swap(db[INCIDENTS], "power", "M1", T0, {"c": (10.5, 0)}, "admin")


def write_all(db: Database[Document], settings: Settings) -> None:
    ingest(settings)
    roll_up(db, settings)
    write_settings(
        db[DEVICE_SETTINGS],
        [
            DeviceSettings(device_id="D1", updated_at=T0),
            DeviceSettings(device_id="D2", updated_at=T0, timezone="Asia/Dhaka", interval_seconds=60, zone_id=1),
        ],
    )
    for answer in untaken(db[ANSWERS]):
        take(db[ANSWERS], answer)


def test_every_collection_of_the_layout_has_its_views(settings: Settings) -> None:
    assert VIEWS.keys() == {name for name, _ in layout((), settings)}


def test_what_is_stored_is_what_the_views_say(db: Database[Document], settings: Settings) -> None:
    write_all(db, settings)
    seen: dict[str, set[str]] = {}

    def hold(name: str, views: tuple[Any, ...]) -> None:
        for view, keys in check(list(db[name].find()), views).items():
            seen.setdefault(view, set()).update(keys)

    for datatype in (*get_registry(), POWER, ENERGY):
        for name in datatype.collections:
            hold(name, OF_TYPES)
    held: list[str] = []

    def tell(event: Event, version: int, changed: int) -> None:
        """The version's document while it is migrating, and after it."""
        if event in (Event.PIECE, Event.APPLIED):
            hold("schema", VIEWS["schema"])
            held.append(event)

    db["meters"].insert_one({"_id": 1, "watts": 1000, "name": "m"})
    migrate(db, steps=make_steps(), tell=tell)
    assert held
    for name, views in VIEWS.items():
        hold(name, views)
    # Nothing in a view is there for show: each key was written.
    missing = {
        view.__name__: keys
        for views in (*VIEWS.values(), OF_TYPES)
        for view in views
        if (keys := get_type_hints(view).keys() - seen.get(view.__name__, set()))
    }
    assert missing == {}


def test_a_document_that_is_not_as_its_view_is_found(db: Database[Document]) -> None:
    good = {"_id": "rt/today_", "token": ObjectId()}
    view = VIEWS["rollup_mark_reads"]
    assert check([good], view)
    for bad in ({**good, "more": 1}, {"_id": "rt/today_"}, {**good, "token": "text"}):
        with pytest.raises(AssertionError):
            check([bad], view)
    assert SEEN in VIEWS
