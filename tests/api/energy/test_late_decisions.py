"""Incidents that are decided after their readings have expired: one signed correction of energy, revoked with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner

from greenpower.api.telemetry.tier_views import forget_tier_views
from greenpower.catalog.registry import Registry
from greenpower.cli import incidents as incident_commands
from greenpower.cli import sample_corrections
from greenpower.mongo.corrections.late_decision import counted_amount
from greenpower.mongo.rollups.watermarks import key, note_horizon
from greenpower.mongo.schema.layout import CORRECTIONS, INTERVALS, WATERMARKS
from tests.api.energy.corrected import meter
from tests.api.energy.test_device_incidents import MINUTE, T0, Meter
from tests.rollups.world import POWER

__all__ = ["meter"]
DAY = timedelta(days=1)
LATER = [515 + n for n in range(40)]


def expire(meter: Meter) -> None:
    """Retention takes the readings of the first day."""
    until = T0 + timedelta(hours=6)
    for prefix in ("", "today_", "last_7_days_"):
        meter.db[prefix + POWER.collection].delete_many({"timestamp": {"$lt": until}})
        meter.db[WATERMARKS].update_one({"_id": key("power", prefix)}, {"$max": {"complete_from": until}})
        note_horizon(meter.db[WATERMARKS], "power", prefix, meter.now, 0, at_least=until)
    forget_tier_views(meter.api.app)


def consumption(meter: Meter, bucket: str = "hour") -> dict[str, Any]:
    answer: dict[str, Any] = meter.api.get(
        "/api/telemetry/power-data/consumption/",
        device_id="m1",
        field="c",
        bucket=bucket,
        tz="UTC",
        start_time=T0.isoformat(),
        end_time=(T0 + timedelta(hours=3)).isoformat(),
    ).get_json()
    return answer


@pytest.mark.parametrize(
    ("registers", "kind", "energies"),
    [
        # energies: open or as found, confirmed, rejected
        ((10, 11, 511, 512, 513, 514, *LATER), "suspect_step", (44, 544, 44)),
        ((5423.5, 5424, 31, 32, 33, 34, 35), "suspect_restart", (4.5, 35.5, 4.5)),
        ((6, 7, 0.5, 1, 1.5, 2, 2.5), "reset", (3.5, 3.5, 3)),
    ],
)
def test_a_decision_adds_what_it_counts(
    meter: Meter, registers: tuple[float, ...], kind: str, energies: tuple[float, ...]
) -> None:
    meter.registers(*registers)
    [found] = [item for item in meter.incidents() if item["incident"] == kind]
    path = f"/api/devices/{meter.id}/incidents/{found['id']}/"
    before = [consumption(meter, bucket) for bucket in ("hour", "day")]
    base = list(meter.db[INTERVALS].find())
    assert before[0]["total"] == energies[0]
    expire(meter)
    for status, counted in (
        ("confirmed", energies[1]),
        ("rejected", energies[2]),
        ("confirmed", energies[1]),
        ("open", energies[0]),
        ("rejected", energies[2]),
        ("open", energies[0]),
    ):
        response = meter.send("PATCH", path, {"status": status, "reason": "looked it up"})
        assert response.status_code == 200, response.text
        for ran in (False, True):
            if ran:
                meter.roll()
            answer = consumption(meter)
            assert answer["total"] == counted
            assert answer["undecided"] == (status == "open" and before[0]["undecided"])
            active = meter.db[CORRECTIONS].count_documents({"revoked_at": None})
            assert active == len(answer["corrections"]) <= 1
            assert active or counted == energies[0]
            if status == "open" and ran:
                assert [consumption(meter, bucket) for bucket in ("hour", "day")] == before
            elif status != "open":
                assert all(item["reason"] == "looked it up" for item in answer["corrections"])
        assert list(meter.db[INTERVALS].find()) == base


def test_a_decision_of_before_is_the_base_of_one_after(meter: Meter) -> None:
    """It was confirmed while the readings were there, so that is what the ledger holds."""
    meter.registers(10, 11, 511, 512, 513, 514, *LATER)
    [found] = meter.incidents()
    path = f"/api/devices/{meter.id}/incidents/{found['id']}/"
    assert meter.send("PATCH", path, {"status": "confirmed"}).status_code == 200
    meter.roll()
    assert consumption(meter)["total"] == 544
    expire(meter)
    for status, total in (("rejected", 44), ("open", 44), ("confirmed", 544)):
        assert meter.send("PATCH", path, {"status": status}).status_code == 200
        assert consumption(meter)["total"] == total
    assert consumption(meter)["corrections"] == []


def test_the_commands_do_the_same(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    meter.registers(10, 11, 511, 512, 513, 514, *LATER)
    [found] = meter.incidents()
    expire(meter)
    monkeypatch.setattr(sample_corrections, "load_settings", lambda: meter.settings)
    monkeypatch.setattr(incident_commands, "get_registry", lambda: Registry.of(POWER))
    for command, total in (("confirm", 544), ("reject", 44), ("confirm", 544), ("withdraw", 44)):
        assert CliRunner().invoke(incident_commands.incidents, [command, found["id"]]).exit_code == 0
        answer = consumption(meter)
        assert answer["total"] == total and len(answer["corrections"]) == (command != "withdraw")
        assert answer["undecided"] == (command == "withdraw")


@pytest.mark.parametrize(
    ("kind", "status", "value", "before", "counted"),
    [
        ("suspect_step", "confirmed", 511, 11, 500_000_000),
        ("suspect_step", "open", 511, 11, 0),
        ("suspect_step", "confirmed", 3, 11, -8_000_000),
        ("fall", "confirmed", 2, 11, 2_000_000),
        ("fall", "open", 2, 11, 0),
        ("fall", "confirmed", -1, 11, 0),
        ("reset", "noted", 2, 11, 2_000_000),
        ("reset", "rejected", 2, 11, 0),
        ("suspect_restart", "confirmed", 31.2, 5423.9, 31_200_000),
        ("rollover", "noted", 1, 9_999, 2_000_000),
        ("rollover", "rejected", 1, 9_999, 0),
        ("small_fall", "confirmed", 10.5, 11, 0),
    ],
)
def test_what_the_sample_of_an_incident_counts(
    kind: str, status: str, value: float, before: float, counted: int
) -> None:
    incident = {
        "_id": ObjectId(),
        "incident": kind,
        "swap": False,
        "at": datetime(2026, 11, 1, tzinfo=UTC) + MINUTE,
        "value": value,
        "before": before,
    }
    assert counted_amount(incident, status, 10_000) == counted
    if kind == "suspect_step" and counted:
        assert counted_amount(incident, status, None, delta=True) == value * 10**6
