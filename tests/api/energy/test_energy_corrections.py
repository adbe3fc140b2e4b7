"""Which corrections of energy are possible."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from greenpower.api.energy.energy_corrections import check_energy_correction, energy_counts
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import CORRECTIONS, ensure_indexes
from tests.api.energy.corrected import meter
from tests.api.energy.test_device_incidents import T0, Meter
from tests.command import run_cli
from tests.rollups.world import POWER

__all__ = ["meter"]
FIXED: dict[str, Any] = {
    "field": "c", "kind": "fixed", "begin": T0, "end": T0 + timedelta(days=1), "energy": 5.5, "method": None,
}  # fmt: skip
ESTIMATE: dict[str, Any] = {**FIXED, "kind": "estimate", "energy": None, "method": "weekdays"}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, set()),
        ({"energy": 0}, set()),
        ({"energy": -3}, set()),
        ({"end": T0 + timedelta(days=400)}, set()),
        ({"begin": T0 + timedelta(minutes=45)}, set()),
        ({"energy": None}, {"energy"}),
        ({"energy": float("nan")}, {"energy"}),
        ({"energy": 1e13}, {"energy"}),
        ({"method": "evenly"}, {"method"}),
        ({"field": "g"}, {"field"}),
        ({"field": "nothing"}, {"field"}),
        ({"end": None}, {"end"}),
        ({"end": T0}, {"end"}),
        ({"end": T0 + timedelta(days=400, minutes=15)}, {"end"}),
        ({"begin": T0 + timedelta(minutes=5)}, {"begin"}),
        ({"begin": T0 + timedelta(seconds=1), "end": T0 + timedelta(days=1, seconds=1)}, {"begin", "end"}),
    ],
)
def test_a_fixed_energy(change: dict[str, Any], wrong: set[str]) -> None:
    assert check_energy_correction(POWER, {**FIXED, **change}).keys() == wrong


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, set()),
        ({"method": "evenly"}, set()),
        ({"method": "evenly", "energy": 3.5}, set()),
        ({"energy": 3.5}, {"energy"}),
        ({"method": None}, {"method"}),
        ({"method": None, "energy": 3.5}, {"method", "energy"}),
        ({"field": "s"}, {"field"}),
        ({"end": None}, {"end"}),
    ],
)
def test_an_estimate(change: dict[str, Any], wrong: set[str]) -> None:
    assert check_energy_correction(POWER, {**ESTIMATE, **change}).keys() == wrong


def test_energies_are_counts() -> None:
    assert energy_counts(5.5) == 5_500_000
    assert energy_counts(None) is None


def test_made_listed_and_withdrawn_by_the_api(meter: Meter) -> None:
    meter.registers(*(10 + n for n in range(200)))
    span = {"begin": T0.isoformat(), "end": (T0 + timedelta(hours=1)).isoformat()}
    body = {"type": "power", "field": "c", "reason": "why", **span}

    def hours() -> list[float | None]:
        answer = meter.api.get(
            "/api/telemetry/power-data/consumption/",
            device_id="m1",
            field="c",
            bucket="hour",
            tz="UTC",
            start_time=T0.isoformat(),
            end_time=(T0 + timedelta(hours=3)).isoformat(),
        ).get_json()
        return [row["energy"] for row in answer["results"]]

    assert hours() == [59, 60, 60]
    path = f"/api/devices/{meter.id}/corrections/"
    assert meter.send("POST", path, {**body, "kind": "fixed"}).status_code == 422
    assert meter.send("POST", path, {**body, "kind": "exclusion", "energy": 5}).status_code == 422
    assert meter.send("POST", path, {**body, "kind": "fixed", "energy": 5, "factor": 2}).status_code == 422
    made = meter.send("POST", path, {**body, "kind": "fixed", "energy": 12.5})
    assert made.status_code == 201, made.text
    correction = made.get_json()
    assert (correction["energy"], correction["pending"], correction["status"]) == (12.5, False, "active")
    assert hours() == [12.5, 60, 60]
    assert meter.send("POST", path, {**body, "kind": "fixed", "energy": 1}).status_code == 409
    estimate = meter.send("POST", path, {**body, "kind": "estimate", "method": "weekdays"})
    assert estimate.status_code == 201, estimate.text
    one = f"{path}{correction['id']}/"
    assert meter.send("PATCH", one, {"end": (T0 + timedelta(minutes=30)).isoformat()}).status_code == 409
    assert meter.send("DELETE", one, None).status_code == 200
    assert hours() == [59, 60, 60]


def test_made_by_the_command_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init_sql(settings)  # the audit
    span = ["--type", "eny_now", "--device", "m1", "--field", "zygsz", "--reason", "why", "--by", "ann"]
    span += ["--begin", "2026-03-02T00:00", "--end", "2026-03-03T00:00"]
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (), settings)
        for words, kind in ((["fix", "--energy", "5.5"], "fixed"), (["estimate", "--method", "evenly"], "estimate")):
            command = ["corrections", *words, *span]
            assert run_cli(monkeypatch, tmp_path, *command, settings=settings) == 0
            found = db[CORRECTIONS].find_one({"kind": kind})
            assert found is not None and (found["device_id"], found["made_by"]) == ("m1", "ann")
            assert str(found["_id"]) in capsys.readouterr().out
            assert run_cli(monkeypatch, tmp_path, *command, settings=settings) == 1
        assert run_cli(monkeypatch, tmp_path, "corrections", "fix", *span, "--energy", "nan", settings=settings) == 1
        assert db[CORRECTIONS].count_documents({}) == 2
