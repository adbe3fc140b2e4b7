"""A world for alarms: a database, rules, a clock, and readings stored as ingest stores them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database
from sqlalchemy.orm import Session

from greenpower.alarms.evaluator import Evaluator, RoundResult
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.mongo.alarms.document import AlarmState
from greenpower.mongo.client import Document
from greenpower.mongo.ids import new_id
from greenpower.mongo.schema.layout import ALARM_PROGRESS, ALARMS, INCIDENTS, LISTENING, SEEN
from greenpower.sql.alarm_rule import AlarmSilence, StoredAlarmRule
from greenpower.sql.device import Device, DeviceType
from tests.rollups.world import POWER

T0 = datetime(2026, 11, 2, 12, tzinfo=UTC)
SINCE = T0 - timedelta(days=40)


class AlarmWorld:
    """Rounds of the evaluator. now: its clock; what is stored is stamped by it."""

    def __init__(self, db: Database[Document], session: Session, settings: Settings) -> None:
        self.db, self.session, self.settings = db, session, settings
        self.registry = Registry.of(POWER)
        self.now = T0

    def clear(self) -> None:
        """Take everything away."""
        for name in (ALARMS, ALARM_PROGRESS, POWER.collection, SEEN, INCIDENTS, LISTENING):
            self.db[name].delete_many({})
        for model in (StoredAlarmRule, AlarmSilence, DeviceType, Device):
            self.session.query(model).delete()
        self.session.commit()
        self.now = T0

    def add_rule(self, kind: str = "threshold", params: Mapping[str, Any] | None = None, **values: Any) -> int:
        rule = StoredAlarmRule(
            **{
                "name": f"rule {new_id()}",
                "kind": kind,
                "params": {"field": "g", "above": 10.0} if params is None else dict(params),
                "type": POWER.name if kind == "threshold" else None,
                "devices": [],
                "points": [],
                "channels": [],
                "severity": "warning",
                "since": SINCE,
                **values,
            }
        )
        self.session.add(rule)
        self.session.commit()
        return rule.id

    def add_device(self, name: str, zone_id: int | None = None) -> None:
        device = Device(device_id=name, zone_id=zone_id)
        device.types = [DeviceType(type=POWER.name)]
        self.session.add(device)
        self.session.commit()

    def store(
        self, device: str, values: Iterable[tuple[datetime, float]], *, field: str = "g", at: datetime | None = None
    ) -> None:
        """Store readings as ingest does, when the clock says. at: when they arrived; None: at their own times."""
        self.now += timedelta(milliseconds=1)
        documents: list[Document] = [
            {
                "_id": new_id(),
                "device_id": device,
                "topic": POWER.name,
                "timestamp": time,
                "received_at": at or time,
                "updated_at": self.now,
                "payload": {field: value},
                "complete": True,
            }
            for time, value in values
        ]
        if documents:
            heard = max(item["received_at"] for item in documents)
            self.db[POWER.collection].insert_many(documents)
            self.hear(device, heard)

    def hear(self, device: str, at: datetime) -> None:
        """Note that a device was heard."""
        values = {"type": POWER.name, "device_id": device, "last_heard": at}
        self.db[SEEN].update_one({"_id": f"{POWER.name}|{device}"}, {"$set": values}, upsert=True)

    def evaluator(self, **options: Any) -> Evaluator:
        return Evaluator(
            self.db,
            self.session,
            self.registry,
            self.settings,
            lambda datatype: frozenset({"mqtt"}),
            **{"clock": lambda: self.now, **options},
        )

    def round(self, seconds: float = 10) -> RoundResult:
        """Let time pass, then judge."""
        self.now += timedelta(seconds=seconds)
        return self.evaluator().run()

    def alarms(self, **where: Any) -> list[Document]:
        """The alarms that people see, in order of their begin."""
        where = {"state": {"$ne": AlarmState.CANCELLED.value}, **where}
        return list(self.db[ALARMS].find(where).sort([("begin", 1), ("_id", 1)]))

    def steps(self, **where: Any) -> list[list[str]]:
        """What happened to each of them."""
        found = self.alarms(**where)
        for alarm in found:
            assert [item["seq"] for item in alarm["transitions"]] == [*range(1, len(alarm["transitions"]) + 1)]
        return [[item["step"] for item in alarm["transitions"]] for alarm in found]

    def problem(self, rule_id: int) -> str:
        """What a rule's status says."""
        found = self.db[ALARM_PROGRESS].find_one({"_id": f"rule|{rule_id}"})
        assert found is not None
        problem: str = found["problem"]
        return problem
