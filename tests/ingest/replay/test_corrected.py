"""A correction of samples holds after a replay: tiers are what a fresh ingest and the same correction give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import Settings
from greenpower.datatype import Frame, Reading
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.schema.layout import CORRECTIONS, INTERVALS, INVALIDATIONS
from tests.ingest.conftest import Document, stamp
from tests.ingest.replay.test_replay import START, run_replay, the_same
from tests.ingest.steps.test_clock import through_pipelines
from tests.rollups.world import run_all

METER, MINUTE = "33B0000000001", timedelta(minutes=1)
FACTOR = 10
TIER = "last_30_days_grid_eny_now_data"
TRAFFIC: list[tuple[Document, datetime]] = [
    (
        {"topic": "MQTT_ENY_NOW", "id": METER, "zygsz": 100 + n / 8, "time": stamp(START + n * MINUTE), "isend": "1"},
        START + n * MINUTE,
    )
    for n in range(120)
]


def double(reading: Reading) -> Reading:
    """As a later version of a parser may read the register."""
    reading.values = {key: 2 * value if key == "zygsz" else value for key, value in reading.values.items()}
    return reading


def with_parser(change: Callable[[Reading], Reading]) -> Registry:
    """Today's registry, the parser of eny_now changed."""
    eny_now = get_registry()["eny_now"]

    def parse(frame: Frame) -> Any:
        result = eny_now.parse(frame)
        for reading in result:
            change(reading)
        return result

    return Registry.of(*(replace(item, parse=parse) if item is eny_now else item for item in get_registry()))


def correct(db: Database[Document], settings: Settings) -> None:
    """Multiply the register from the second hour on."""
    new = NewCorrection(
        type="eny_now",
        device_id=METER,
        field="zygsz",
        kind=CorrectionKind.FACTOR,
        begin=START + 60 * MINUTE,
        end=None,
        factor=FACTOR,
        reason="transformers",
        made_by="ann",
    )
    create(db[CORRECTIONS], new)
    assert invalidate_changed_corrections(db, get_registry(), settings) == 1


def rolled(db: Database[Document], settings: Settings) -> list[Document]:
    """The register in a tier, and its quarter-hours, brought up to date."""
    while True:
        run_all(db, (get_registry()["eny_now"],), settings)
        if db[INVALIDATIONS].find_one() is None:
            break
    found = [
        {"at": bucket["timestamp"], "value": bucket["payload"]["zygsz"], "state": bucket["stats"]["zygsz"]}
        for bucket in db[TIER].find().sort("timestamp")
    ]
    return [*found, *db[INTERVALS].find({"field": "zygsz"}, {"_id": 0, "day": 1, "slots": 1}).sort("day")]


@pytest.mark.parametrize("change", [the_same, double])
def test_a_correction_holds_after_a_replay(
    settings: Settings, db: Database[Document], change: Callable[[Reading], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = with_parser(change)
    through_pipelines(settings, TRAFFIC)
    sent = rolled(db, settings)
    correct(db, settings)
    corrected = rolled(db, settings)
    assert corrected != sent
    # One that is missing comes back with it.
    db.grid_eny_now_data.delete_one({"timestamp": START + 90 * MINUTE})
    assert run_replay(settings, registry, name="eny_now").changes.total == (1 if change is the_same else len(TRAFFIC))
    replayed = rolled(db, settings)
    assert (replayed == corrected) is (change is the_same)

    db.client.drop_database(db.name)
    monkeypatch.setattr("tests.ingest.steps.test_clock.get_registry", lambda: registry)
    through_pipelines(settings, TRAFFIC)
    correct(db, settings)
    assert rolled(db, settings) == replayed
