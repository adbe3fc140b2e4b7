"""Every query of the API, the jobs and ingest, on a filled database: none scans a collection, none sorts it.

What is asked is recorded by the server's profiler; each query is then explained with its execution. Allowed are:
reading all of a collection that has a document a device, tier or span and no more; counting corrections, which people
make; sorting the ties of one page; sorting groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import orjson
import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.asynchronous.database import AsyncDatabase
from sqlalchemy.orm import Session

from greenpower.alarms.evaluator import Evaluator
from greenpower.alarms.tell import tell
from greenpower.api.telemetry.tier_views import forget_tier_views
from greenpower.catalog.registry import Registry
from greenpower.datatype import json_parser
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.replay.replay import Replay
from greenpower.jobs.device_sync import finish_exchanges, sync_devices
from greenpower.jobs.missing_entries import write_missing_entries
from greenpower.jobs.presence import judge
from greenpower.mongo.alarms.find import listed
from greenpower.mongo.client import async_client
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.late_decision import decide_late
from greenpower.mongo.corrections.store import NewCorrection, create, revoke, revoke_group
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.devices.listening import Listening
from greenpower.mongo.events.books import read_ledger
from greenpower.mongo.events.store import Outcome, event_document, raw_document
from greenpower.mongo.rollups.incident_changes import invalidate_changed_incidents
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.lag import read_lags
from greenpower.mongo.schema.layout import (
    ADJUSTMENTS,
    ALARM_PROGRESS,
    ALARMS,
    ARCHIVE_MANIFEST,
    CLOCKS,
    CORRECTIONS,
    DEVICE_SETTINGS,
    EVENTS,
    EXCHANGES,
    FIELD_KINDS,
    INCIDENTS,
    INVALIDATION_READS,
    INVALIDATIONS,
    LISTENING,
    MESSAGES,
    SEEN,
    WATERMARKS,
)
from greenpower.rollups.backfill import backfill
from greenpower.sql.alarm_rule import StoredAlarmRule
from greenpower.sql.session import sql_session
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import METER, Meters, make_meters
from tests.ingest.summer_time import latest_change
from tests.mongo.query_plans import Asked, Record, recorded
from tests.rollups.world import run_all

Document = dict[str, Any]
# A document a device, tier or span at most, and read whole on purpose.
SMALL = frozenset(
    {CLOCKS, SEEN, LISTENING, DEVICE_SETTINGS, INVALIDATION_READS, WATERMARKS, FIELD_KINDS, ARCHIVE_MANIFEST}
)
DEVICES, READINGS = 20, 400
SPACING = timedelta(seconds=30)
RARE = "rare/topic"
PATH = "/api/telemetry/meter-data/"
EVENTS_PATH = "/api/telemetry/events/"


class World(Meters):
    """A database as some hours leave it behind, and the API on it."""

    registry = Registry.of(METER)

    def device(self, number: int) -> str:
        return f"M{number:04}"

    def fill(self) -> None:
        """Readings with their events, frames of other outcomes and of a rare topic, incidents."""
        self.now = datetime.now(UTC)
        begin = self.now - READINGS * SPACING
        readings, events = [], []
        for step in range(READINGS):
            at = begin + step * SPACING
            for number in range(DEVICES):
                payload = {"volts": 230 + number, "energy": step / 2}
                received = at + timedelta(milliseconds=300 + number)
                outcome = (
                    Outcome.DUPLICATE if step % 97 == 0 else Outcome.REJECTED if step % 89 == 0 else Outcome.STORED
                )
                readings.append({
                    "_id": ObjectId(), "device_id": self.device(number), "topic": "METER", "timestamp": at,
                    "received_at": received, "updated_at": received, "payload": payload, "complete": True,
                })  # fmt: skip
                events.append(
                    event_document(
                        type_name="meter", topic="METER", device_id=self.device(number), received_at=received,
                        outcome=outcome, raw=raw_document(self.frame(number, at, step), 4096), timestamps=[at],
                        reason="" if outcome is Outcome.STORED else "redelivered" if step % 97 == 0 else "zero-frame",
                    )
                )  # fmt: skip
        events += [
            event_document(type_name=None, topic=RARE, device_id=None, received_at=begin + step * SPACING * 50,
                           outcome=Outcome.REJECTED, raw=raw_document(b"?", 4096), reason="unclaimed-topic")
            for step in range(8)
        ]  # fmt: skip
        self.database[METER.collection].insert_many(readings)
        self.database[EVENTS].insert_many(events)
        self.database[INCIDENTS].insert_many([
            {
                "type": "meter", "device_id": self.device(number % DEVICES), "field": "energy", "swap": False,
                "at": begin + number * SPACING, "incident": "dip", "value": 1, "before": 2, "before_at": begin,
                "correction": 0.0, "status": "noted", "current": number % 2 == 0, "found_at": begin,
                "updated_at": begin, "as_of": begin,
            }
            for number in range(300)
        ])  # fmt: skip
        self.correct(begin)

        self.database[INCIDENTS].insert_one({
            "type": "meter", "device_id": self.device(1), "field": "energy", "swap": False, "current": True,
            "at": begin - timedelta(days=1), "incident": "suspect_step", "status": "open", "value": 9, "before": 1,
            "found_at": begin, "updated_at": begin, "as_of": begin,
        })  # fmt: skip

    def correct(self, begin: datetime) -> None:
        """Corrections of each kind, some of them withdrawn, and exchanges, some of them revoked."""
        collection = self.database[CORRECTIONS]
        given: dict[CorrectionKind, Document] = {
            CorrectionKind.FACTOR: {"factor": 2},
            CorrectionKind.EXCLUSION: {},
            CorrectionKind.FIXED: {"energy": 5},
            CorrectionKind.ESTIMATE: {"method": "evenly"},
            CorrectionKind.INCIDENT: {"energy": 1, "incident_id": ObjectId(), "base_status": "open"},
            CorrectionKind.EXCHANGE: {"side": "old", "register": 1.0, "other_device": "X", "group": ObjectId()},
        }
        quarter = begin.replace(minute=0, second=0, microsecond=0)
        for number in range(DEVICES):
            for kind, more in given.items():
                for step in range(3):
                    since = quarter + (number % 3 + step) * timedelta(minutes=15)
                    made = create(collection, NewCorrection(
                        type="meter", device_id=self.device(number), field="energy", kind=kind, begin=since,
                        end=since + timedelta(minutes=15), reason="wrong", made_by="ann", **more,
                    ))  # fmt: skip
                    if step == 2 or number > 4:
                        revoke(collection, made["_id"], "bob", "was right")
        revoked = {"revoked_at": begin, "revoked_by": "bob", "revoke_reason": "was wrong"}
        self.database[EXCHANGES].insert_many([
            {
                "device_id": self.device(number % DEVICES), "new_device_id": f"N{number}", "took": {},
                "at": begin - number * timedelta(days=1), "readings": {"meter": {"energy": {"last": 1, "first": 0}}},
                "made_by": "ann", "made_at": begin, "reason": "worn out", "applied": True, "updated_at": begin,
                **revoked,
            }
            for number in range(300)
        ])  # fmt: skip

    def frame(self, number: int, at: datetime, step: int) -> bytes:
        return orjson.dumps(
            {"id": self.device(number), "time": at.isoformat(), "volts": 230 + number, "energy": step / 2}
        )

    def ingest(self) -> None:
        """New frames, late ones, redelivered ones, a rejected one; then what an ingest process does beside it."""
        asyncio.run(self._ingest())

    async def _ingest(self) -> None:
        async with async_client(self.settings) as client:
            db = client[self.settings.mongo_db_name]
            pipeline = Pipeline(registry=self.registry, settings=self.settings, db=db, metrics=IngestMetrics())
            await pipeline.clock.load()
            begin = self.now - READINGS * SPACING
            for number in range(DEVICES):
                for at, step, dup in ((self.now, READINGS, False), (begin, 0, True), (begin - 40 * SPACING, 0, False)):
                    payload = self.frame(number, at, step)
                    pipeline.submit(
                        Arrival(topic="METER", payload=payload, received_at=self.now, source="mqtt", dup=dup)
                    )
            pipeline.submit(Arrival(topic="METER", payload=b"no JSON", received_at=self.now, source="mqtt"))
            pipeline.submit(
                Arrival(
                    topic="METER", payload=b'{"id":"M0001","volts":1}', received_at=self.now, source="mqtt", dup=True
                )
            )
            await pipeline.drain()
            await pipeline.clock.refresh()
            await pipeline.clock.save()
            await pipeline.presence.save()
            await Listening(db[LISTENING]).beat(("mqtt",), self.now)
            await self._ingest_repeated_hour(db)
            await self._ingest_messages(db)

    async def _ingest_messages(self, db: AsyncDatabase[Document]) -> None:
        """Messages with an id and without a time, twice."""
        registry = Registry.of(replace(METER, parse=json_parser(device="id", time="time", message_id="message")))
        pipeline = Pipeline(registry=registry, settings=self.settings, db=db, metrics=IngestMetrics())
        await pipeline.clock.load()
        for _ in range(2):
            for number in range(DEVICES):
                payload = orjson.dumps({"id": self.device(number), "message": f"m{number}", "volts": 1})
                pipeline.submit(Arrival(topic="METER", payload=payload, received_at=self.now, source="mqtt"))
            await pipeline.drain()

    async def _ingest_repeated_hour(self, db: AsyncDatabase[Document]) -> None:
        """A backlog over the end of summer time; the first frame of the second pass is stored before that of the first,
        and is moved."""
        zone = "Europe/Berlin"
        settings = self.settings.model_copy(update={"device_timezone": zone, "backlog_max_days": 400})
        pipeline = Pipeline(registry=self.registry, settings=settings, db=db, metrics=IngestMetrics())
        await pipeline.clock.load()
        change = latest_change(zone, self.now)
        for step in (0, 1, 4, 2, 3):
            at = (change + (step - 4) * timedelta(minutes=30)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            payload = self.frame(0, at, step)
            pipeline.submit(Arrival(topic="METER", payload=payload, received_at=self.now, source="mqtt"))
            await pipeline.drain()

    def work(self) -> None:
        """The jobs, twice: with nothing done yet, and with marks; a backfill."""
        run_all(self.database, [METER], self.settings)
        places = {Place.of("meter", METER.tiers[0].prefix, self.device(number), self.now - 90 * SPACING)
                  for number in range(DEVICES)}  # fmt: skip
        invalidate(self.database[INVALIDATIONS], places)
        run_all(self.database, [METER], self.settings)
        backfill(self.database, METER, self.settings, since=self.now - timedelta(hours=1))
        read_lags(self.database, [METER], self.now)
        read_ledger(self.database[EVENTS], since=self.now - timedelta(minutes=20))
        read_ledger(self.database[EVENTS], since=self.now - timedelta(hours=2), device_id=self.device(1))
        invalidate_changed_corrections(self.database, [METER], self.settings)
        invalidate_changed_incidents(self.database, [METER], self.settings)
        for status in ("confirmed", "rejected"):
            incident = self.database[INCIDENTS].find_one({"incident": "suspect_step"})
            assert incident is not None
            decide_late(self.database, incident, status, "ann", "looked", None)
        revoke_group(self.database[CORRECTIONS], ObjectId(), "bob", "was wrong")
        with sql_session(self.settings) as session:
            sync_devices(session, self.database)
            finish_exchanges(session, self.database, self.settings)
            write_missing_entries(session, self.database, self.now)
            self.judge_alarms(session)
        asyncio.run(self._work())
        forget_tier_views(self.app)

    def judge_alarms(self, session: Session) -> None:
        """Two rounds of each kind of rule about devices, with late readings, and passing on."""
        params: dict[str, Document] = {"threshold": {"field": METER.fields[0].name, "above": -1.0}}
        for kind in ("threshold", "silence", "incidents"):
            rule = StoredAlarmRule(
                name=kind, kind=kind, params=params.get(kind, {}), type=METER.name, devices=[], points=[], channels=[],
                severity="info", since=self.now - timedelta(days=9),
            )  # fmt: skip
            session.add(rule)
        session.commit()
        registry = Registry.of(METER)
        for _ in range(2):
            Evaluator(self.database, session, registry, self.settings, lambda datatype: frozenset({"mqtt"})).run()
            tell(self.database, None, self.now)
            # What was looked at is looked at again, and what comes is late.
            self.database[ALARM_PROGRESS].delete_many({"_id": f"position|{METER.name}"})
            self.database[ALARMS].update_many({"open": True}, {"$set": {"begin": self.now}})
        where = listed(device_id=self.device(1), start=self.now - timedelta(days=1), end=self.now)
        assert self.database[ALARMS].count_documents(where)

    async def _work(self) -> None:
        async with async_client(self.settings) as client:
            db = client[self.settings.mongo_db_name]
            await judge(db, [METER], datetime.now(UTC))
            span = (self.now - timedelta(hours=2), self.now - timedelta(hours=1))
            replay = Replay(registry=self.registry, settings=self.settings, db=db, datatype=METER, since=span[0],
                            until=span[1])  # fmt: skip
            await replay.count()
            await replay.run()

    def ask(self) -> None:
        """Every route that reads MongoDB, with each of its filters."""
        begin, one = self.now - READINGS * SPACING, self.device(3)
        span = {"start_time": begin.isoformat(), "end_time": (begin + timedelta(hours=2)).isoformat()}
        for more in ({}, {"device_id": one}, {"device_id": [one, self.device(4)]}, {"order": "asc"}, {"page": 40}):
            for time in ({}, span, {"start_time": begin.isoformat()}, {"end_time": self.now.isoformat()}):
                self.body(PATH, **more, **time)
                self.body(PATH, **more, **time, count="estimated")
                self.body(PATH, **{**more, "page": 1}, **time, resolution="1m", page_size=1000)
                self.body(PATH, **{**more, "page": 1}, **time, resolution="30m")
                if "page" not in more:
                    first = self.body(PATH, **more, **time, cursor="", resolution="raw")
                    assert first["next"] is not None
                    assert self.get(first["next"]).status_code == 200
        few: list[Document] = [{}, {"device_id": one}, {"page_size": 5}]
        for asked in few:
            self.body(f"{PATH}latest/", **asked)
            for counted in ("exact", "estimated"):
                self.body(f"{PATH}devices/", **asked, count=counted)
        for more in ({}, {"device_id": one}):
            for bucket in ("hour", "day", "month"):
                self.body(f"{PATH}consumption/", **more, bucket=bucket)
            for resolution in ("raw", "1m"):
                assert self.get(f"{PATH}export/", **more, **span, resolution=resolution).data
        for resolution in ("raw", "1m"):
            after = self.body(f"{PATH}changes/", resolution=resolution, page_size=50)["after"]
            self.body(f"{PATH}changes/", resolution=resolution, page_size=50, after=after)
        self.ask_for_events(span)
        for asked in (
            {},
            {"type": "meter"},
            {"device_id": one},
            {"status": "noted"},
            {"incident": "dip"},
            span,
            {"type": "meter", **span},
        ):
            self.body("/api/incidents/", **asked)
        for row in self.body("/api/devices/")["results"][:1]:
            self.body(f"/api/devices/{row['id']}/incidents/")
        self.body("/api/rollups/")
        self.ask_for_corrections(span)

    def ask_for_corrections(self, span: dict[str, str]) -> None:
        """Lists, feed, and what people do: correct, withdraw, decide, exchange."""
        one, at = self.device(3), (self.now - timedelta(minutes=30)).isoformat()
        for more in ({}, {"type": "meter"}, {"device_id": one}, {"field": "energy"}, {"kind": "factor"}, span,
                     {"status": "active"}, {"device_id": one, "kind": "fixed", **span}):  # fmt: skip
            self.body("/api/corrections/", **more)
        after = self.body("/api/corrections/changes/", page_size=5)["after"]
        self.body("/api/corrections/changes/", **({} if after is None else {"after": after}))
        [device] = self.body("/api/devices/", device_id=one)["results"]
        path = f"/api/devices/{device['id']}"
        self.body(f"{path}/corrections/")
        new = {"type": "meter", "field": "volts", "kind": "factor", "factor": 2, "begin": at, "reason": "wrong"}
        made = self.send("POST", f"{path}/corrections/", new)
        end = (self.now - timedelta(minutes=20)).isoformat()
        self.send("PATCH", f"{path}/corrections/{made['id']}/", {"end": end, "reason": "repaired"})
        self.send("DELETE", f"{path}/corrections/{made['id']}/?reason=wrong")
        self.body(f"{path}/meter-exchange/", at=at)
        self.body(f"{path}/meter-exchange/", at=at, new_device_id="N")
        made = self.send("POST", f"{path}/meter-exchange/", {"at": at, "new_device_id": "N", "reason": "worn out"})
        self.body(f"{path}/meter-exchanges/")
        exchange = f"{path}/meter-exchanges/{made['id']}/"
        self.body(exchange)
        self.send("PATCH", exchange, {"at": end, "reason": "wrong time"})
        self.send("DELETE", f"{exchange}?reason=wrong")
        run_all(self.database, [METER], self.settings)

    def send(self, method: str, path: str, body: Document | None = None) -> Document:
        """A change by the API."""
        headers = {"Authorization": f"Bearer {self.tokens['access']}"}
        answer = self.client.open(path, method=method, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        found: Document = answer.get_json()
        return found

    def ask_for_events(self, span: dict[str, str]) -> None:
        """Each filter alone, and pairs of them, with and without a range."""
        filters: list[dict[str, str]] = [
            {},
            {"type": "meter"},
            {"topic": "METER"},
            {"topic": RARE},
            {"topic": "of/no/frame"},
            {"device_id": self.device(5)},
            *({"outcome": outcome.value} for outcome in Outcome),
            {"reason": "zero-frame"},
            {"reason": "redelivered"},
        ]
        for more in [*filters, *({**one, **other} for one, other in combinations(filters[1:], 2))]:
            for time in ({}, span):
                self.body(EVENTS_PATH, **more, **time)
        self.body(EVENTS_PATH, page=20)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[World]:
    name = f"test_plans_{uuid4().hex[:8]}"
    app, meters = make_meters(tmp_path_factory.mktemp("plans"), mongod.uri, name)
    found = World(app, meters.settings)
    found.fill()
    yield found
    close_app(app)
    with MongoClient[Document](mongod.uri) as client:
        client.drop_database(name)


@pytest.fixture(scope="module")
def record(world: World) -> Record:
    """All that is asked."""
    with recorded(world.database) as record:
        world.ingest()
        world.work()
        world.ask()
    return record


def reads_a_small_one(one: Asked) -> bool:
    return one.collection in SMALL


def counts_corrections(one: Asked) -> bool:
    """Up to the limit of what is counted; by field, kind or status there is no index for that."""
    return one.collection == CORRECTIONS and "count" in one.command and "limit" in one.command


def sorts_ties(one: Asked) -> bool:
    """The second look at a page across whose edge times tie: over the page's own span."""
    times = [part for part in one.filter.get("$and", ()) for part in part.values() if isinstance(part, dict)]
    closed = any({"$gte", "$lte"} <= part.keys() for part in times)
    return len(one.command.get("sort", ())) == 2 and closed and one.examined <= 1_000 + 2 * DEVICES


def sorts_groups(one: Asked) -> bool:
    """Of an aggregation that groups by device before: the sort below it is the index's."""
    stages = [next(iter(stage)) for stage in one.command.get("pipeline", ())]
    return "$group" in stages and "SORT" not in one.stages


def looks_up(one: Asked) -> bool:
    """A look-up for each of some documents, of so many rows at most: what it sorts is in the order of an index."""
    first, *rest = one.command.get("pipeline", ({},))
    inner = [stage["$lookup"]["pipeline"] for stage in rest if "$lookup" in stage]
    limits = [stage["$limit"] for stages in inner for stage in stages if "$limit" in stage]
    most = len(first.get("$documents", ())) * (sum(limits) + READINGS * (len(inner) - len(limits)))
    return bool(inner) and one.examined <= most


def test_nothing_scans_a_collection(record: Record) -> None:
    scanning = [one for one in record.asked if "COLLSCAN" in one.stages]
    found = [one for one in scanning if not (reads_a_small_one(one) or counts_corrections(one))]
    assert not found, "\n".join(str(one) for one in found)


def test_nothing_sorts_a_collection(record: Record) -> None:
    sorting = [one for one in record.asked if "SORT" in one.stages or "$sort" in one.stages]
    found = [one for one in sorting if not (sorts_ties(one) or sorts_groups(one) or looks_up(one))]
    assert not found, "\n".join(str(one) for one in found)


def test_each_collection_was_asked(record: Record) -> None:
    asked = {one.collection for one in record.asked}
    assert {EVENTS, CLOCKS, SEEN, LISTENING, DEVICE_SETTINGS, INVALIDATIONS, WATERMARKS, INCIDENTS} <= asked
    assert {CORRECTIONS, ADJUSTMENTS, EXCHANGES, MESSAGES, ALARMS, ALARM_PROGRESS} <= asked
    assert {METER.collection, *(tier.prefix + METER.collection for tier in METER.tiers)} <= asked
    assert len(record.of(EVENTS)) > 100 and len(record.of(METER.collection)) > 50
    print(len(record.asked), "queries explained")


def test_a_rare_topic_costs_what_it_has(record: Record) -> None:
    rare = [one for one in record.of(EVENTS) if one.filter.get("topic") == RARE]
    assert rare
    assert all(one.examined <= 2 * 8 for one in rare), "\n".join(str(one) for one in rare)
