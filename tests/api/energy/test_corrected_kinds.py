"""Days of a net register, a delta and a daily counter with corrections, beside a twin that nobody corrects.

Bills, charts and exports say the same of them, every number that is not the twin's names its reason, and withdrawn they
leave everything as it was. What does not belong here: a year of a plain register (`test_corrected_year`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.schema.layout import CORRECTIONS
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.corrected import DAY, HOUR, counts, to_counts, withdraw
from tests.api.energy.meter import Meters, make_meters
from tests.every_kind import EVERY_KIND

URL = "/api/telemetry/every-kind-data/"
METER, TWIN = "M1", "T1"
# Within what the finest tiers keep.
DAYS, EXCLUDED, UNIT, FIXED, SILENT = 5, 0, 1, 2, 3
SILENT_HOURS = range(SILENT * 24 + 6, (SILENT + 1) * 24 + 18)
FIXED_COUNTS = 5_000_000
FIELDS = ("netted", "used", "today")
GIVEN = {FIXED, SILENT, SILENT + 1}


def used_at(hour: int) -> int:
    """What was used in the hour before, in thousandths of a kWh."""
    return 200 + 37 * (hour % 7)


def registers(begin: datetime) -> Iterator[tuple[datetime, dict[str, float]]]:
    """A sample each hour, of one day in Wh, with a day and a half of silence. By day more is fed in than used."""
    netted, today = 900_000, 0
    for hour in range(DAYS * 24):
        used = used_at(hour)
        today = used if hour % 24 == 0 else today + used
        netted += -used if 9 <= hour % 24 < 16 else used
        scale = 1 if hour // 24 == UNIT else 1000
        if hour not in SILENT_HOURS:
            shown = {"netted": netted / scale, "used": used / scale, "today": today / scale}
            yield begin + hour * HOUR, shown


class Site:
    """A meter and its twin, rolled up."""

    def __init__(self, meters: Meters) -> None:
        self.meters = meters
        self.begin = meters.now.replace(hour=0, minute=0, second=0, microsecond=0) - (DAYS + 1) * DAY
        self.end = self.begin + DAYS * DAY
        for device in (METER, TWIN):
            meters.database[EVERY_KIND.collection].insert_many(
                [reading(device, time, payload) for time, payload in registers(self.begin)]
            )
        meters.run_rollups()

    def correct(self) -> list[ObjectId]:
        """One of each, of every field."""
        made = []
        for field in FIELDS:
            made += [
                self._make(field, CorrectionKind.EXCLUSION, EXCLUDED * 24 + 10, EXCLUDED * 24 + 13),
                self._make(field, CorrectionKind.FACTOR, UNIT * 24, (UNIT + 1) * 24, factor=0.001),
                self._make(field, CorrectionKind.FIXED, FIXED * 24, (FIXED + 1) * 24, energy=FIXED_COUNTS),
                self._make(field, CorrectionKind.ESTIMATE, SILENT * 24, (SILENT + 2) * 24, method="evenly"),
            ]
        self.run_job()
        return made

    def _make(self, field: str, kind: CorrectionKind, begin: int, end: int, **more: Any) -> ObjectId:
        new = NewCorrection(
            type=EVERY_KIND.name,
            device_id=METER,
            field=field,
            kind=kind,
            begin=self.begin + begin * HOUR,
            end=self.begin + end * HOUR,
            reason="the modem was broken",
            made_by="ann",
            **more,
        )
        return create(self.meters.database[CORRECTIONS], new)["_id"]

    def run_job(self) -> None:
        """What the job and the next runs of the rollups do."""
        invalidate_changed_corrections(self.meters.database, self.meters.types, self.meters.settings)
        self.meters.run_rollups()

    def ask(self, field: str, bucket: str, device: str = METER) -> Document:
        return self.meters.body(
            URL + "consumption/",
            field=field,
            device_id=device,
            bucket=bucket,
            tz="UTC",
            start_time=self.begin.isoformat(),
            end_time=self.end.isoformat(),
        )

    def exported(self, device: str) -> list[Document]:
        response = self.meters.get(f"{URL}export/", device_id=device, resolution="6h", format="ndjson")
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]

    def listed(self, device: str) -> list[Document]:
        asked = {"device_id": device, "resolution": "6h", "stats": "true", "order": "asc", "page_size": 1000}
        rows: list[Document] = self.meters.body(URL, **asked)["results"]
        return rows

    def day(self, number: int) -> datetime:
        return self.begin + number * DAY

    def all_said(self) -> list[Any]:
        """All that is said of the meter."""
        return [[self.ask(field, "hour") for field in FIELDS], self.exported(METER)]


def reading(device: str, time: datetime, payload: Document) -> Document:
    stamps = {"timestamp": time, "received_at": time, "updated_at": time}
    return {"device_id": device, "topic": "EVERY_KIND", **stamps, "payload": payload, "complete": True}


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    app, meters = make_meters(tmp_path_factory.mktemp("kinds"), mongod.uri, "test_corrected_kinds", (EVERY_KIND,))
    meters.clear()
    yield Site(meters)
    close_app(app)


def sent(field: str, day: int) -> int:
    """What was counted on a day, as far as it was sent in time and in kWh: counts."""
    hours = [hour for hour in range(day * 24, (day + 1) * 24) if hour not in SILENT_HOURS]
    if field == "netted":
        return 1000 * sum(-used_at(hour) if 9 <= hour % 24 < 16 else used_at(hour) for hour in hours)
    return 1000 * sum(map(used_at, hours))


def registered(field: str, rows: list[Document]) -> dict[datetime, int]:
    """What a list of buckets says was counted, by day: counts."""
    found: dict[datetime, int] = {}
    last = None
    for row in rows:
        state, start = row["stats"][field], datetime.fromisoformat(row["timestamp"])
        day = start.replace(hour=0)
        energy = to_counts(state["energy"]) or 0
        if field == "netted" and last is not None:
            energy += round((state["first"] - last) * 10**6)
        elif field == "today":
            # A day's register begins at 0.
            energy += round((state["first"] - (0 if start == day else last or 0)) * 10**6)
        found[day] = found.get(day, 0) + energy
        last = state.get("last")
    return found


def by_day(hours: dict[datetime, int | None]) -> dict[datetime, int | None]:
    """The sums of days; None where nothing is known of any hour."""
    found: dict[datetime, int | None] = {}
    for start, value in hours.items():
        day = start.replace(hour=0)
        known = found.setdefault(day, None)
        if value is not None:
            found[day] = (known or 0) + value
    return found


def check_corrected(
    site: Site, field: str, days: dict[datetime, int | None], other: dict[datetime, int | None]
) -> None:
    """What each correction did. other: of the twin."""
    assert days[site.day(FIXED)] == FIXED_COUNTS
    assert days[site.day(UNIT)] == sent(field, UNIT) != other[site.day(UNIT)]
    left_out = 1000 * sum(used_at(EXCLUDED * 24 + hour) for hour in (10, 11, 12)) if field == "used" else 0
    assert days[site.day(EXCLUDED)] == (other[site.day(EXCLUDED)] or 0) - left_out
    silent = [site.day(SILENT), site.day(SILENT + 1)]
    assert days[silent[0]] != other[silent[0]]
    assert sum(days[day] or 0 for day in silent) == sum(other[day] or 0 for day in silent)


def test_bills_charts_and_exports_agree_and_name_their_reasons(site: Site) -> None:
    before = site.all_said()
    made = site.correct()
    rows, listed = site.exported(METER), site.listed(METER)
    twins = {row["timestamp"]: row for row in site.exported(TWIN)}
    keys = ("timestamp", "payload", "corrections")
    assert [{key: row.get(key) for key in keys} for row in rows] == [
        {key: row.get(key) for key in keys} for row in listed
    ]
    assert all(row["corrections"] for row in rows if row["payload"] != twins[row["timestamp"]]["payload"])

    for field in FIELDS:
        bill, chart, hours = (site.ask(field, bucket) for bucket in ("month", "day", "hour"))
        plain, days = counts(site.ask(field, "hour", TWIN)), counts(chart)
        assert to_counts(bill["total"]) == to_counts(chart["total"]) == sum(value or 0 for value in days.values())
        assert by_day(counts(hours)) == days
        check_corrected(site, field, days, by_day(plain))

        # The registers that are exported counted what the chart shows, but for what was given as energy.
        for start, energy in registered(field, listed).items():
            number = (start - site.begin).days
            if number and number not in GIVEN:
                assert energy == days[start], (field, number)

        # Every number that is not the twin's names its reason.
        for answer, twin in ((hours, plain), (chart, by_day(plain))):
            for row in answer["devices"][0]["results"]:
                start = datetime.fromisoformat(row["bucket"]).astimezone(UTC)
                assert to_counts(row["energy"]) == twin[start] or row.get("corrections"), (field, start)
            assert all(item["reason"] and item["made_by"] and item["made_at"] for item in answer["corrections"])
            assert len(answer["corrections"]) == 4

    for one in made:
        withdraw(site.meters, one)
    site.run_job()
    assert site.all_said() == before
