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

from greenpower.alarms.change import ChangeMaker, ended
from greenpower.alarms.machine import Episode
from greenpower.alarms.rule import AlarmRule
from greenpower.alarms.subject import device_subject
from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import Settings
from greenpower.datatype import Answer
from greenpower.datatype.session import make_birth
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.measure.adjustment.quarters import Adjustment
from greenpower.measure.counter.counted import CounterEvent
from greenpower.measure.counter.rules import Incident
from greenpower.measure.slot import Slot
from greenpower.mongo.adjustments.store import begin_adjustments, read_stale, save_adjustment
from greenpower.mongo.alarms.progress import finish_round, read_times, save_positions, save_statuses, save_times
from greenpower.mongo.alarms.store import acknowledge_alarm, write_changes
from greenpower.mongo.archive.document import ArchivedFileDocument, ArchiveKey
from greenpower.mongo.archive.manifest import add_pending, switch, take_month
from greenpower.mongo.client import Document, async_client, sync_client
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create, finish, read_active, revoke
from greenpower.mongo.devices.answers import answer_document, keep_answers, take, untaken
from greenpower.mongo.devices.clocks import agree_offset, begin_choosing, save_lags, set_offset, set_stuck
from greenpower.mongo.devices.listening import Listening
from greenpower.mongo.devices.push_keys import new_push_key, note_push_key_use, revoke_push_key
from greenpower.mongo.devices.sessions import NO_BIRTHS, NewBirth, SessionKey, add_births
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.energy.ledger import close_days, write_slots
from greenpower.mongo.energy.ledger_part import LedgerPart
from greenpower.mongo.imports.uploads import add_upload, claim_upload, finish_upload, note_progress
from greenpower.mongo.notifications.document import NoticeState
from greenpower.mongo.notifications.outbox import claim_notices, finish_notices
from greenpower.mongo.outbound.positions import (
    FeedPosition,
    Gap,
    ask_for_test,
    claim_target,
    let_target_go,
    note_failure,
    note_test,
    save_position,
)
from greenpower.mongo.processes.heartbeat import ProcessHeartbeat
from greenpower.mongo.processes.mark import begin_mark
from greenpower.mongo.readings.clock_mark import ARRIVAL
from greenpower.mongo.readings.messages import MessageKey, agree_times
from greenpower.mongo.rollups.attempts import begin_attempt, finish_attempt
from greenpower.mongo.rollups.decisions import decide, record_swap
from greenpower.mongo.rollups.exchanges import apply_exchange, keep_exchange, move_exchange, revoke_exchange
from greenpower.mongo.rollups.field_kinds import MAX_FIELDS_PER_DEVICE, FieldKinds
from greenpower.mongo.rollups.incidents import CONFIRMED, save_incidents
from greenpower.mongo.rollups.run_notes import begin_round, note_run
from greenpower.mongo.rollups.unfinished import Unfinished, Work
from greenpower.mongo.rollups.watermarks import move_watermark
from greenpower.mongo.schema.layout import (
    ADJUSTMENTS,
    ALARM_PROGRESS,
    ALARMS,
    ANSWERS,
    ARCHIVE_MANIFEST,
    ATTEMPTS,
    CLOCKS,
    CORRECTIONS,
    DEVICE_SETTINGS,
    EXCHANGES,
    FIELD_KINDS,
    INCIDENTS,
    INVALIDATIONS,
    LISTENING,
    MESSAGES,
    NOTIFICATIONS,
    OUTBOUND_POSITIONS,
    PUSH_KEYS,
    SEEN,
    SESSIONS,
    UPLOADS,
    WATERMARKS,
    WIRING_FINDINGS,
    ensure_indexes,
    layout,
)
from greenpower.mongo.schema.migrate import Event, migrate
from greenpower.mongo.wiring.document import DISMISSED
from greenpower.mongo.wiring.store import judge_finding, open_findings, save_findings
from greenpower.notify.notice import Attachment, Notice
from greenpower.notify.put import put
from tests.ingest.gathered import EM, value
from tests.mongo.energy.plain_ledger import estimated, make_hold, make_slot
from tests.mongo.schema.migrating import make_steps
from tests.mongo.shape import OF_TYPES, VIEWS, check
from tests.rollups.world import ENERGY, POWER, World

T0 = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
GENERATOR = "CCCL/PURBACHAL/ENM_01"
STATION = "CCCL/PURBACHAL/ENV_01"


@pytest.fixture
def mongo_name(kept_name: str) -> str:
    """The database that this module's tests share, empty."""
    return kept_name


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (*get_registry(), POWER, ENERGY, EM), settings)
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
        (STATION, b'{"hum(%)": 40.5}'),
        (GENERATOR, sample(0, (0, "GENERATOR_1"), (7, 3.5))),
        (GENERATOR, sample(1000, (7, 3.5))),  # its device never comes
        (
            GENERATOR,
            json.dumps(
                {"data": [json.loads(sample(n, (0, "GENERATOR_1"), (7, 1)))["data"][0] for n in (2000, 3000)]}
            ).encode(),
        ),
    ]

    push_key, _ = new_push_key(name="k", claims=["rt"], devices=["D1"], made_by="ada", now=T0, expires_at=T0)

    async def go() -> None:
        async with async_client(settings) as client:
            db = client[settings.mongo_db_name]
            registry = Registry.of(*get_registry(), EM)
            pipeline = Pipeline(registry=registry, settings=settings, db=db, metrics=IngestMetrics())
            await pipeline.clock.load()
            for number, (topic, payload) in enumerate(frames):
                arrival = Arrival(
                    topic=topic, payload=payload, received_at=T0 + timedelta(minutes=3, seconds=number), source="mqtt"
                )
                arrival.key = push_key["_id"] if number == 4 else None
                await pipeline.submit(arrival)
            await pipeline.submit(value("power", 1, T0, packet=7))
            await pipeline.drain()
            await db[PUSH_KEYS].insert_one(push_key)
            await note_push_key_use(db[PUSH_KEYS], push_key["_id"], T0)
            await pipeline.clock.save()
            await pipeline.presence.save()
            await Listening(db[LISTENING]).beat(("mqtt",), T0)
            hour = timedelta(hours=1)
            await agree_offset(db[CLOCKS], "D1", hour, None)
            await agree_offset(db[CLOCKS], "D1", 2 * hour, hour)
            await set_offset(db[CLOCKS], "D2", hour)
            await set_stuck(db[CLOCKS], "rt", "D1", T0)
            await save_lags(db[CLOCKS], {"D1": 1.25})
            await begin_choosing(db[CLOCKS], "D1", ObjectId())
            for names in ({"1": "ua"}, {"1": "ub"}):
                births = [NewBirth(make_birth(names, T0, T0), False)]
                await add_births(db[SESSIONS], SessionKey("rt", "D1"), births, NO_BIRTHS)
            key = MessageKey("rt", "D1", "1", {"ua": 230.0})
            await agree_times(db[MESSAGES], {key.text: T0}, T0)
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
    zeros = [(T0 + timedelta(minutes=n), {"c": value}) for n, value in enumerate([100.0, 100.5, *[0.0] * 8])]
    world.store(POWER, "M3", zeros)  # a fall that stays open
    db[ENERGY.collection].update_one({}, {"$set": {"clock": ARRIVAL}})
    world.run()
    world.store(POWER, "M1", [(T0 + timedelta(seconds=90), {"g": 7})])  # late: its mark stays
    for devices in (("M1",), None):
        note = Unfinished.of("power", Work.DEMO, T0, T0 + timedelta(hours=1), devices)
        db[INVALIDATIONS].insert_one(note.document())
    names = [f"f{number}" for number in range(MAX_FIELDS_PER_DEVICE + 1)]
    FieldKinds(db[FIELD_KINDS], "power").accept("M2", names)  # one more than a device has room for
    note_run(db[WATERMARKS], "power", "today_", T0, error="TestError", left_alone=1)
    begin_round(db[WATERMARKS], "power", "today_", "r1")
    some = frozenset((3, 7))
    move_watermark(db[WATERMARKS], "power", "today_", T0, some)
    note_run(db[WATERMARKS], "power", "today_", T0, error="TestError", ranges=some, round_id="r1")
    finish_attempt(db[ATTEMPTS], begin_attempt(db[ATTEMPTS], "power", "today_", T0, (T0, T0), ["M1"]), failed=True)
    begin_attempt(db[ATTEMPTS], "power", "today_", T0, (T0, T0 + timedelta(hours=1)), None, some)
    found = CounterEvent(
        incident=Incident.STEP, field="c", at=T0, value=5, before=9.5, before_at=T0, correction=Fraction(9)
    )
    save_incidents(db[INCIDENTS], "power", [("M2", found)], [("M2", T0, T0 + timedelta(hours=1))], T0)
    [incident] = db[INCIDENTS].find({"device_id": "M2"})
    decide(db[INCIDENTS], incident, CONFIRMED, "admin", entry={"id": "c1", "entry": "{}", "object_id": "x"})
    record_swap(db[INCIDENTS], "power", "M1", T0, {"c": (10.5, 0)}, "admin")
    exchange(db, settings)


def exchange(db: Database[Document], settings: Settings) -> None:
    """Exchanges: one that was moved, one with a new device that was revoked, one that is not applied yet."""
    registers = {"power": {"c": {"last": 10.5, "first": None}}}

    def keep(at: datetime, new_device: str | None = None) -> Document:
        return keep_exchange(
            db[EXCHANGES], device="M1", new_device=new_device, at=at, readings=registers, took={"name": "Main"},
            by="admin", reason="worn out",
        )  # fmt: skip

    apply_exchange(db, (POWER,), settings, move_exchange(db[EXCHANGES], keep(T0), T0 + timedelta(1), "admin", "later"))
    apply_exchange(db, (POWER,), settings, revoke_exchange(db[EXCHANGES], keep(T0, "M2"), "admin", "wrong"))
    move_exchange(db[EXCHANGES], keep(T0), T0 + timedelta(2), "admin", "later still", {"id": "c4", "entry": "{}"})


def correct(db: Database[Document]) -> None:
    """A correction of each kind, one with an end, one without, one revoked."""
    content: dict[CorrectionKind, dict[str, Any]] = {
        CorrectionKind.EXCLUSION: {"end": T0 + timedelta(hours=1)},
        CorrectionKind.FACTOR: {"factor": 0.001},
        CorrectionKind.FIXED: {"energy": 1_500_000},
        CorrectionKind.ESTIMATE: {"method": "evenly"},
        CorrectionKind.INCIDENT: {"energy": -5, "incident_id": ObjectId(), "base_status": "open"},
        CorrectionKind.EXCHANGE: {
            "register": 5.5,
            "side": "old",
            "other_device": "M2",
            "group": ObjectId(),
        },
    }
    for kind, more in content.items():
        values = {"end": None, **more}
        made = create(
            db[CORRECTIONS],
            NewCorrection(
                type="power", device_id="M1", field="c", kind=kind, begin=T0, reason="why", made_by="ann", **values
            ),
        )
    begin_adjustments(db[ADJUSTMENTS], read_active(db[CORRECTIONS], type="power", kinds=["fixed", "incident"]))
    kept = read_stale(db[ADJUSTMENTS], "power")[0]
    result = Adjustment(energy={1: 5, 2: -5}, silence={2: -900}, needs_begin=T0, needs_end=T0)
    assert save_adjustment(db[ADJUSTMENTS], kept, result, T0, T0)
    revoke(db[CORRECTIONS], made["_id"], "bob", "was wrong", {"id": "c2", "entry": "{}"})
    [factor] = db[CORRECTIONS].find({"kind": CorrectionKind.FACTOR})
    finish(db[CORRECTIONS], factor["_id"], T0 + timedelta(hours=1), "bob", "repaired")


def keep_ledger(db: Database[Document]) -> None:
    """A day that is closed: exact quarter-hours, some from buckets, an open fall, one without a sample."""
    day, hour = T0.replace(hour=0), timedelta(hours=1)
    fall = make_hold(day).to_document()
    slots = [make_slot(day), Slot(start=day + hour, energy=5)]
    parts = [
        LedgerPart(device="M1", field="c", begin=day, end=day + 2 * hour, slots=slots, holds={day + hour: fall}),
        LedgerPart(
            device="M1",
            field="c",
            begin=day + 3 * hour,
            end=day + 6 * hour,
            slots=estimated([make_slot(day + 5 * hour)]),
            resolution=3 * 3600,
        ),
        LedgerPart(device="M2", field="c", begin=day, end=day + hour, slots=[Slot(start=day, energy=5)]),
    ]
    later = T0 + timedelta(days=1)  # than the run that has written the ledger before
    assert write_slots(db, "power", parts, later, T0) == set()
    assert close_days(db, "power", day, day + timedelta(days=1), T0) == set()


def keep_archive(db: Database[Document]) -> None:
    """A month of the archive: a file that replaced another, and one that is being written."""
    month = T0.replace(day=1, hour=0)
    at = ArchiveKey(device_id="M1", timestamp=T0)
    for paths in (("a", ""), ("b", "a")):
        taken = take_month(db[ARCHIVE_MANIFEST], "power", month, "run")
        add_pending(db[ARCHIVE_MANIFEST], taken["_id"], "run", paths[0])
        file = ArchivedFileDocument(
            path=paths[0], rows=1, first=at, last=at, size=1, sha256="s", digest="d", written_at=T0, cleared=False
        )  # fmt: skip
        switch(db[ARCHIVE_MANIFEST], taken, "run", [file], paths[1:] if paths[1] else ())
    add_pending(db[ARCHIVE_MANIFEST], taken["_id"], "run", "c")


def write_all(db: Database[Document], settings: Settings) -> None:
    ingest(settings)
    roll_up(db, settings)
    keep_ledger(db)
    keep_archive(db)
    correct(db)
    write_settings(
        db[DEVICE_SETTINGS],
        [
            DeviceSettings(device_id="D1", updated_at=T0),
            DeviceSettings(
                device_id="D2",
                updated_at=T0,
                timezone="Asia/Dhaka",
                interval_seconds=60,
                greatest_power=50.0,
                zone_id=1,
            ),
        ],
    )
    for key in db[PUSH_KEYS].find():
        revoke_push_key(db[PUSH_KEYS], key["_id"], "ada", T0, {"id": "c3", "entry": "{}"})
    for answer in untaken(db[ANSWERS]):
        take(db[ANSWERS], answer)
    ProcessHeartbeat(settings, "test").beat(db)
    begin_mark(db, "fingerprint", T0)
    report = Attachment(name="report.pdf", media_type="application/pdf", data=b"x")
    notices = [Notice(key=key, channel_id=1, subject="s", text="t", attachments=(report,)) for key in ("a", "b")]
    assert put(db, notices, now=T0, redis=None) == 2
    first = [db[NOTIFICATIONS].find_one({"key": "a"}, {"_id": 1})["_id"]]  # type: ignore[index]
    claim_notices(db[NOTIFICATIONS], first, "c", T0, T0 + timedelta(minutes=1))
    finish_notices(db[NOTIFICATIONS], first, "c", NoticeState.SENT, "250 OK", T0)
    keep_alarms(db)
    positions = db[OUTBOUND_POSITIONS]
    for target in (1, 2):
        assert claim_target(positions, target, "c", T0, T0 + timedelta(minutes=1)) is not None
        place = FeedPosition(T0, first[0])
        assert save_position(positions, target, "c", "rt", place, gap=Gap(T0, T0), is_new_gap=True, rows=2, at=T0)
        note_failure(positions, target, "c", "status 500", T0, T0 + timedelta(minutes=1))
        ask_for_test(positions, target, T0)
    let_target_go(positions, 2, "c")
    note_test(positions, 2, T0, ok=True, said="taken", now=T0)
    for _ in range(3):
        query = {"type": "rt", "new_devices": False, "dry_run": False}
        add_upload(db[UPLOADS], type_name="rt", query=query, by={"kind": "user", "name": "ada"}, data=b"x", now=T0)
    finding = {
        "name": "reversed_ct", "check": "reversed_ct", "phases": ["a"], "certainty": "sure", "saw": "s",
        "figures": {"power_kw": 1.5}, "faulty": 90, "samples": 96, "follows": "",
    }  # fmt: skip
    save_findings(db[WIRING_FINDINGS], {("M1", ""): [finding]}, [], T0)
    [open_one] = open_findings(db[WIRING_FINDINGS])
    judge_finding(db[WIRING_FINDINGS], open_one["_id"], DISMISSED, "ann", "intended", T0, {"id": "c4", "entry": "{}"})
    save_findings(db[WIRING_FINDINGS], {}, [("M1", "", "reversed_ct")], T0 + timedelta(days=1))
    for error in ("", "no header"):
        upload = claim_upload(db[UPLOADS], T0)
        assert upload is not None and note_progress(db[UPLOADS], upload, {"rows": 1}, T0)
        assert finish_upload(db[UPLOADS], upload, T0, {"rows": 1}, error)


def keep_alarms(db: Database[Document]) -> None:
    """Alarms in every state, and what a round keeps."""
    rule = AlarmRule(
        number=1, name="r", kind="threshold", params={}, type="rt", devices=(), zone=None, points=(), for_s=60,
        severity="info", text="", channels=(1,), since=T0,
    )  # fmt: skip
    maker = ChangeMaker(rule=rule, silences=(), now=T0)
    later = T0 + timedelta(minutes=2)
    changes = []
    for device, raised_at in (("D1", None), ("D2", later), ("D3", later)):
        episode = Episode(begin=T0, value=1.5, raised_at=raised_at, raised_value=1.5)
        changes.append(maker.begun(device_subject("rt", device), episode, later))
    write_changes(db[ALARMS], [change for change in changes if change is not None], 1)
    pending, active, other = db[ALARMS].find().sort("device_id", 1)
    over = Episode(begin=T0, value=1.5, ended_at=later)
    cancelled = maker.continued(device_subject("rt", "D1"), pending, over, later)
    assert cancelled is not None
    write_changes(db[ALARMS], [cancelled, ended(other, "rule_gone", later)], 2)
    assert acknowledge_alarm(db[ALARMS], active["_id"], "ada", "seen", {"id": "c4", "entry": "{}"})
    progress = db[ALARM_PROGRESS]
    save_times(progress, 1, read_times(progress, [1])[1], {"rt|D1": T0}, 1)
    save_positions(progress, {"rt": (T0, T0)})
    save_statuses(progress, [{"rule_id": 1, "judged_at": T0, "problem": "", "subjects": 3}])
    told = {"_id": "round", "number": 1, "began_at": T0, "ended_at": T0, "readings": 1, "lag": 0.5, "errors": 0}
    finish_round(progress, 0, told)


def test_every_collection_of_the_layout_has_its_views(settings: Settings) -> None:
    assert VIEWS.keys() == {name for name, _ in layout((), settings)}


def test_what_is_stored_is_what_the_views_say(db: Database[Document], settings: Settings) -> None:
    write_all(db, settings)
    seen: dict[str, set[str]] = {}

    def hold(name: str, views: tuple[Any, ...]) -> None:
        for view, keys in check(list(db[name].find()), views).items():
            seen.setdefault(view, set()).update(keys)

    for datatype in (*get_registry(), POWER, ENERGY, EM):
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
