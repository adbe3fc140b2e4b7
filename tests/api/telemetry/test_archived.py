"""The same questions before and after archive runs: every answer is the same, byte for byte."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pymongo.database import Database
from sqlalchemy import select

from greenpower.api.telemetry.tier_views import forget_tier_views
from greenpower.archive.database import ArchivedDatabase
from greenpower.archive.months import begin_of_month
from greenpower.archive.restore import restore_month
from greenpower.archive.run import ArchiveCounts, run_archive
from greenpower.config import Settings
from greenpower.mongo.archive.manifest import read_months
from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import FederatedReadings
from greenpower.mongo.rollups.past import REMEMBERED
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST
from greenpower.sql import Device, DeviceType, RoleName, ServiceZone, User
from greenpower.sql.extensions import db
from greenpower.sql.restriction import restrict
from greenpower.sql.setup import make_user
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import METER, PATH, Meters, Reading, make_meters
from tests.api.world import PASSWORD

AFTER_DAYS = 42
MONTHS = 5
DEVICES = ("M1", "M2", "Ä")
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
Answers = dict[str, bytes]


class ArchivedMeters:
    """Meters with readings of some months, and what is asked of them. begin: of the first month."""

    def __init__(self, meters: Meters) -> None:
        self.meters = meters
        #: of somebody else than the administrator
        self.token: str | None = None
        meters.clear()
        self.begin = begin_of_month(meters.now)
        for _ in range(MONTHS):
            self.begin = begin_of_month(self.begin - DAY)
        self.plain: Database[Document] = meters.database.client[meters.settings.mongo_db_name]
        self.fill()
        meters.run_rollups()

    def fill(self) -> None:
        """A reading an hour; a dense day in the first month; one device that falls silent, gaps, falls, two at once."""
        now = self.meters.now
        for number, device in enumerate(DEVICES):
            readings: list[Reading] = []
            at, register = self.begin + number * 7 * MINUTE, 0.0
            while at < (self.begin + 20 * DAY if device == "Ä" else now):
                dense = 10 * DAY <= at - self.begin < 11 * DAY
                register = 3.0 if len(readings) == 900 else register + 0.125
                payload: dict[str, Any] = {"volts": round(230 + 10 * math.sin(len(readings)), 1)}
                if len(readings) % 5:
                    payload["energy"] = round(register, 3)
                readings.append((at, payload))
                at += 2 * MINUTE if dense else 4 * HOUR
                if len(readings) == 1_100:
                    at += 9 * DAY
            self.meters.store(device, readings)
        twice = self.begin + 3 * DAY + timedelta(seconds=1)
        for device in DEVICES:
            self.meters.store(device, [(twice, {"volts": 1.5})])

    def archive(self, **options: Any) -> ArchiveCounts:
        settings = self.meters.settings.model_copy(update={"archive_after_days": AFTER_DAYS})
        options = {"clear_after": timedelta(0), "max_rows": 700, **options}
        counts = run_archive(self.plain, METER, settings, **options)
        self.look_again()
        return counts

    def look_again(self) -> None:
        """Forget what the app remembers of earlier questions."""
        database = self.meters.database
        assert isinstance(database, ArchivedDatabase)
        database.refresh()
        forget_tier_views(self.meters.app)
        REMEMBERED.__init__()  # type: ignore[misc]

    @property
    def readings(self) -> object:
        return self.meters.database[METER.collection]

    @property
    def settings(self) -> Settings:
        return self.meters.settings

    def answers(self) -> Answers:
        return {f"{path} {sorted(asked.items())}": self.ask(path, asked) for path, asked in self.questions()}

    def ask(self, path: str, asked: Document) -> bytes:
        """The whole answer, all pages of it, without what the clock says."""
        response = self.meters.get(path, self.token, **asked)
        assert response.status_code in (200, 422), response.text
        if response.mimetype != "application/json":
            found: bytes = response.data
            return found
        parts = [body := response.get_json()]
        while body.get("next") and len(parts) < 3:
            response = self.meters.get(body["next"], self.token)
            assert response.status_code == 200, response.text
            parts.append(body := response.get_json())
        if "end_time" not in asked:
            for part in parts:
                for name in ("next", "previous", "until"):
                    part.pop(name, None)
        return orjson.dumps(parts)

    def questions(self) -> Iterator[tuple[str, Document]]:
        begin = self.begin
        spans = {
            "dense": (begin + 10 * DAY, begin + 10 * DAY + 5 * HOUR),
            "edge": (begin + 28 * DAY, begin + 34 * DAY),
            "months": (begin - 40 * DAY, begin + 100 * DAY),
            "ties": (begin + 3 * DAY, begin + 3 * DAY + timedelta(seconds=1)),
            "recent": (self.meters.now - 8 * DAY, self.meters.now),
            "before": (begin - 40 * DAY, begin - 30 * DAY),
            "odd": (begin + 5 * DAY + timedelta(microseconds=1_500), begin + 6 * DAY + timedelta(microseconds=999)),
        }
        for start, end in spans.values():
            span = {"start_time": start.isoformat(), "end_time": end.isoformat()}
            yield PATH, {**span, "resolution": "raw", "page_size": "400"}
            yield PATH, span
            yield PATH, {**span, "resolution": "raw", "page_size": "400", "device_id": ["M2", "Ä"]}
            yield PATH, {**span, "device_id": "M1"}
            yield PATH, {**span, "resolution": "raw", "order": "desc", "page_size": "7", "cursor": ""}
            yield PATH, {**span, "resolution": "raw", "page_size": "7", "cursor": ""}
            yield PATH, {**span, "resolution": "raw", "page_size": "50", "page": "3", "count": "estimated"}
            yield PATH, {**span, "resolution": "raw", "page_size": "1", "page": "2", "order": "desc"}
            yield PATH, {**span, "resolution": "raw", "fields": "energy"}
            for resolution in ("1m", "30m", "6h"):
                yield PATH, {**span, "resolution": resolution, "stats": "true", "device_id": "M1", "page_size": "100"}
            for shape in ({"format": "ndjson"}, {"format": "csv"}, {"format": "csv", "fields": "energy"}):
                yield f"{PATH}export/", {**span, **shape, "resolution": "raw"}
            yield f"{PATH}flat/", {**span, "device_id": "M1", "fields": "volts", "resolution": "raw"}
            yield f"{PATH}flat/", {**span, "device_id": "M1", "fields": "volts"}
        for bucket in ("day", "month"):
            days = {"start_time": begin.isoformat(), "end_time": (begin + 60 * DAY).isoformat()}
            yield f"{PATH}consumption/", {**days, "bucket": bucket, "field": "energy"}
        for order in ({}, {"order": "asc"}, {"count": "estimated"}, {"page": "40"}, {"device_id": "Ä"}):
            yield PATH, order
        yield f"{PATH}latest/", {}
        yield f"{PATH}latest/", {"device_id": ["Ä", "nobody"], "fields": "volts"}
        yield f"{PATH}latest/flat/", {}
        for mode in ("exact", "estimated"):
            yield f"{PATH}devices/", {"count": mode}
        yield f"{PATH}changes/", {"page_size": "900"}
        yield f"{PATH}changes/", {"page_size": "3"}


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[ArchivedMeters]:
    app, meters = make_meters(tmp_path_factory.mktemp("archived"), mongod.uri, "test_archived_answers")
    yield ArchivedMeters(meters)
    close_app(app)


@contextmanager
def as_guest(archived: ArchivedMeters) -> Iterator[None]:
    """As somebody who may see one device only."""
    meters = archived.meters
    with meters.app.app_context():
        if (zone := db.session.scalar(select(ServiceZone))) is None:
            zone = ServiceZone(name="one")
            db.session.add(zone)
            db.session.flush()
            db.session.add(Device(device_id="M1", zone_id=zone.id, types=[DeviceType(type=METER.name)]))
            assert make_user("guest", PASSWORD, RoleName.VIEWER)
            restrict(db.session.query(User).filter_by(username="guest").one(), {zone.id: RoleName.VIEWER})
            db.session.commit()
    archived.token = meters.log_in("guest", PASSWORD).get_json()["access"]
    try:
        yield
    finally:
        archived.token = None


def differing(before: Answers, after: Answers) -> list[tuple[str, bytes, bytes]]:
    return [(name, before[name][:600], after[name][:600]) for name in before if before[name] != after[name]]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_answers_stay_the_same(archived: ArchivedMeters) -> None:
    before = archived.answers()
    with as_guest(archived):
        shown = archived.answers()
    assert sum(map(len, shown.values())) > 100_000
    for name, body in shown.items():
        # Who names a device that is hidden is told that there is none.
        assert not re.search(rb'"M2"|(\n|,)M2,|\xc3\x84', body) or b"nknown" in body, (name, body[:300])
    assert sum(map(len, before.values())) > 300_000
    assert not isinstance(archived.readings, FederatedReadings)
    copied = archived.archive()
    assert copied.archived > 1_500 and copied.deleted == 0
    assert isinstance(archived.readings, FederatedReadings)
    assert differing(before, archived.answers()) == []
    moved = archived.archive()
    assert moved.deleted > 1_500 and moved.archived == 0
    assert archived.plain[METER.collection].count_documents({}) < 1_500
    assert differing(before, archived.answers()) == []
    with as_guest(archived):
        assert differing(shown, archived.answers()) == []
    for month in read_months(archived.plain[ARCHIVE_MANIFEST], METER.name)[1:2]:
        restore_month(archived.plain, METER, archived.settings, month["month"])
    archived.look_again()
    assert differing(before, archived.answers()) == []
