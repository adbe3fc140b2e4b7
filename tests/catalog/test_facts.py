"""Names and addresses that follow from a declaration, and reserved names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from greenpower.catalog.facts import (
    counters,
    energy_counters,
    job_names,
    ledger_tier,
    name_problems,
    resource_path,
    room_name,
)
from greenpower.catalog.registry import Registry, RegistryError, load_registry
from greenpower.datatype import ENERGY_TIERS, NO_TIERS, STANDARD_TIERS, DataType, Field, Kind, Tier
from tests.api.conftest import PROBE, SILENT

SHIPPED = tuple(load_registry(None))


@pytest.mark.parametrize("datatype", SHIPPED, ids=lambda datatype: datatype.name)
def test_names_follow_from_the_declaration(datatype: DataType) -> None:
    assert room_name(datatype) == f"type:{datatype.name}"
    assert job_names(datatype) == tuple(f"{datatype.name}/{tier.prefix}" for tier in datatype.tiers)
    assert resource_path(datatype) == (f"/api/telemetry/{datatype.endpoint}/" if datatype.endpoint else None)
    assert not [*name_problems(datatype)]


def test_the_shipped_types_have_the_documented_addresses() -> None:
    paths = {resource_path(datatype) for datatype in SHIPPED}
    assert {f"/api/telemetry/{name}-data/" for name in ("rt", "eny-now", "environment", "solar", "generator")} <= paths


def test_a_type_without_an_endpoint_has_no_address() -> None:
    assert resource_path(SILENT) is None


def test_the_counter_that_is_an_anchor_comes_first() -> None:
    for datatype in SHIPPED:
        names = counters(datatype)
        assert [name in datatype.anchors for name in names] == sorted(
            (name in datatype.anchors for name in names), reverse=True
        )


@pytest.mark.parametrize(
    ("unit", "limited"), [("kWh", True), ("Wh", True), ("kvarh", True), ("L", False), ("h", False)]
)
def test_a_greatest_power_limits_the_counters_of_energy(unit: str, limited: bool) -> None:
    gauge, counter = Field("power", unit="kWh"), Field("total", unit=unit, kind=Kind.COUNTER)
    datatype = replace(SILENT, fields=(gauge, counter))
    assert counters(datatype) == ("total",)
    assert energy_counters(datatype) == (("total",) if limited else ())


def test_reserved_names_are_refused() -> None:
    events = replace(PROBE, endpoint="events")
    with pytest.raises(RegistryError, match=r"'probe'.*'events'"):
        Registry.of(events)
    with pytest.raises(RegistryError, match=r"'probe'.*'telemetry_events'"):
        Registry.of(replace(PROBE, collection="telemetry_events"))
    with pytest.raises(RegistryError, match=r"(?s)'probe'.*\n.*'silent'"):
        Registry.of(events, replace(SILENT, collection="device_clocks", tiers=STANDARD_TIERS))


def test_the_interval_ledger_is_written_by_the_coarsest_tier_of_quarter_hours_within_the_hour() -> None:
    def prefix(tiers: tuple[Tier, ...], datatype: DataType = PROBE) -> str | None:
        tier = ledger_tier(replace(datatype, tiers=tiers))
        return None if tier is None else tier.prefix

    assert prefix(STANDARD_TIERS) == prefix(ENERGY_TIERS) == "last_30_days_"
    assert prefix(NO_TIERS) is None
    assert prefix(STANDARD_TIERS, SILENT) is None, "it has no counter"
    assert prefix(STANDARD_TIERS[:2]) is None and prefix(STANDARD_TIERS[3:]) is None
    hourly = Tier(prefix="hourly_", window=3_600, retention=timedelta(days=1))
    assert prefix((*STANDARD_TIERS[:3], hourly, *STANDARD_TIERS[3:])) == "hourly_"
