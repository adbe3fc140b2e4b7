"""Corrections of energy for tests: making and withdrawing them, and what an answer says by quarter-hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.measure.slot import COUNTS_PER_UNIT
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create, revoke
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import ADJUSTMENTS, CORRECTIONS, INVALIDATIONS, ensure_indexes
from tests.api.conftest import Api, close_app
from tests.api.energy.meter import METER, Meters
from tests.api.energy.test_device_incidents import Meter
from tests.rollups.world import POWER

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def correct(
    meters: Meters,
    kind: CorrectionKind,
    begin: datetime,
    end: datetime | None,
    device: str = "M1",
    field: str = "energy",
    **more: Any,
) -> ObjectId:
    """Make a correction of a meter."""
    new = NewCorrection(
        type="meter",
        device_id=device,
        field=field,
        kind=kind,
        begin=begin,
        end=end,
        reason="the modem was broken",
        made_by="ann",
        **more,
    )
    return create(meters.database[CORRECTIONS], new)["_id"]


def withdraw(meters: Meters, correction: ObjectId) -> None:
    revoke(meters.database[CORRECTIONS], correction, "bob", "was wrong")


def touch(meters: Meters, times: Iterable[datetime], device: str = "M1") -> None:
    """Invalidate the hours of readings that came late, as ingest does."""
    prefix = METER.tiers[0].prefix
    invalidate(meters.database[INVALIDATIONS], {Place.of(METER.name, prefix, device, time) for time in times})


def is_evaluated(meters: Meters, correction: ObjectId) -> bool:
    """Whether what a correction does is kept and up to date."""
    found = meters.database[ADJUSTMENTS].find_one({"_id": correction})
    return found is not None and found["stale"] is None


def consumption(meters: Meters, begin: datetime, end: datetime, bucket: str = "hour", **more: Any) -> dict[str, Any]:
    """The answer for one device."""
    answer: dict[str, Any] = meters.body(
        "/api/telemetry/meter-data/consumption/",
        start_time=begin.isoformat(),
        end_time=end.isoformat(),
        bucket=bucket,
        **{"tz": "UTC", "device_id": "M1", **more},
    )
    return answer


def counts(answer: dict[str, Any]) -> dict[datetime, int | None]:
    """The counts of each bucket, by its start in UTC."""
    return {datetime.fromisoformat(row["start"]).astimezone(UTC): to_counts(row["energy"]) for row in answer["results"]}


def to_counts(energy: float | None) -> int | None:
    return None if energy is None else round(energy * COUNTS_PER_UNIT)


@pytest.fixture
def meter(settings: Settings) -> Iterator[Meter]:
    """A meter of the small world whose consumption the API shows."""
    init_sql(settings)
    app = create_app(settings, Registry.of(replace(POWER, endpoint="power-data")))
    api = Api(app, settings)
    ensure_indexes(api.database, (POWER,), settings)
    yield Meter(api, settings)
    close_app(app)
