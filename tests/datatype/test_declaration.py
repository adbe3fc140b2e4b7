"""Declarations: what follows from them, and errors for bad ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from greenpower.datatype import (
    ENERGY_KINDS,
    ENERGY_TIERS,
    NO_TIERS,
    STANDARD_TIERS,
    DataType,
    DeclarationError,
    Field,
    Kind,
    Mqtt,
    Retention,
    Tier,
    json_parser,
    normalise,
)

VOLTS = Field("ua", unit="V")


def declare(**changes: Any) -> DataType:
    given: dict[str, Any] = {
        "name": "test",
        "title": "Test",
        "collection": "test_data",
        "endpoint": "test-data",
        "match": (Mqtt("test"),),
        "fields": (VOLTS,),
        "parse": json_parser(device="id"),
    }
    return DataType(**{**given, **changes})


def test_collections_follow_from_the_tiers() -> None:
    assert declare(tiers=NO_TIERS).collections == ("test_data",)
    assert declare().collections == (
        "test_data",
        "today_test_data",
        "last_7_days_test_data",
        "last_30_days_test_data",
        "last_6_months_test_data",
        "this_year_test_data",
    )


def test_the_tiers_of_the_design() -> None:
    assert [tier.window for tier in STANDARD_TIERS] == [60, 600, 1800, 10_800, 21_600]
    assert [tier.window for tier in ENERGY_TIERS] == [None, None, 1800, 10_800, 21_600]
    assert [tier.resolution for tier in ENERGY_TIERS] == ["raw", "raw", "30m", "3h", "6h"]
    assert {tier.kept.setting for tier in STANDARD_TIERS} == {
        f"MONGO_{name}_TTL_SECONDS" for name in ("TODAY", "LAST_7_DAYS", "LAST_30_DAYS", "LAST_6_MONTHS", "THIS_YEAR")
    }


def tier(prefix: str, window: int | None) -> Tier:
    return Tier(prefix=prefix, window=window, retention=Retention(setting="MONGO_TODAY_TTL_SECONDS"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": "Test"}, "'Test'"),
        ({"name": ""}, "''"),
        ({"title": ""}, "title"),
        ({"collection": "a.b"}, "collection 'a.b'"),
        ({"collection": "system$"}, "collection"),
        ({"endpoint": "a/b"}, "endpoint 'a/b'"),
        ({"match": ()}, "match"),
        ({"parse": None}, "parse=None"),
        ({"stale_after": 0}, "stale_after=0"),
        ({"fields": (VOLTS, VOLTS)}, "ua"),
        ({"fields": (VOLTS, Field("ub", unit="V", source="UA"))}, "ua"),
        ({"anchors": ("ub",)}, "ub"),
        ({"tiers": (tier("a_", 60), tier("b_", 96))}, "'b_'.*96.*60"),
        ({"tiers": (tier("a_", 60), tier("b_", 60))}, "'b_'"),
        ({"tiers": (tier("a_", 600), tier("b_", 60))}, "'b_'"),
        ({"tiers": (tier("a_", 60), tier("b_", None))}, "'b_'"),
        ({"tiers": (tier("a_", 60), tier("a_", 600))}, "'a_'"),
        ({"tiers": (tier("", 60),)}, "tier ''"),
    ],
)
def test_a_bad_declaration_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(DeclarationError, match=named) as caught:
        declare(**changes)
    assert repr(changes.get("name", "test")) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "MONGO_TODAY_TTL",
        "mongo_today_ttl_seconds",
        "MONGO_RAW_TTL_SECONDS",
        "SECRET_KEY",
        3600,
        None,
        timedelta(0),
        timedelta(seconds=-1),
        timedelta(seconds=1.5),
        timedelta(days=30_000),
        timedelta(seconds=600),
    ],
)
def test_a_bad_retention_is_refused_in_the_declaration(value: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        Tier(prefix="own_", window=600, retention=value)
    assert "'own_'" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given", [{}, {"seconds": 1, "setting": "MONGO_TODAY_TTL_SECONDS"}, {"seconds": -1}, {"seconds": True}]
)
def test_a_retention_is_one_of_two(given: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        Retention(**given)


def test_a_retention_may_be_given_in_several_ways() -> None:
    def kept(value: Any) -> Retention:
        return Tier(prefix="own_", window=600, retention=value).kept

    assert kept(timedelta(days=3)) == kept(Retention(seconds=3 * 86_400))
    assert kept(Retention(seconds=0)).seconds == 0
    with pytest.warns(DeprecationWarning) as warned:
        named = Tier(prefix="own_", window=600, retention="MONGO_TODAY_TTL_SECONDS")
    assert named.kept == Retention(setting="MONGO_TODAY_TTL_SECONDS")
    assert warned[0].filename == __file__


@pytest.mark.parametrize("window", [7, 0, -60, 86_400 * 2])
def test_a_window_divides_the_day(window: int) -> None:
    with pytest.raises(DeclarationError, match=f"'a_'.*{window}"):
        tier("a_", window)


@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        ("Ua", {}, "Ua"),
        ("", {}, "''"),
        ("a.b", {}, "a.b"),
        ("x" * 65, {}, "x" * 65),
        ("device_id", {}, "device_id"),
        ("ua", {"unit": "volts"}, "'volts'.* V, .*UnitOfMeasure"),
        ("ua", {"kind": "gauge-ish"}, "'gauge-ish'.* gauge, counter, net, delta, daily, angle, state, enumeration"),
        ("ua", {"low": 5, "high": 5}, "low=5 .*high=5"),
        ("ua", {"low": float("nan")}, "nan"),
        ("ua", {"high": float("inf")}, "inf"),
        ("ua", {"modulus": 10}, "modulus"),
        ("ua", {"greatest_rate": 10}, "greatest_rate"),
        ("ua", {"kind": Kind.COUNTER, "greatest_rate": 0}, "greatest_rate=0"),
        ("ua", {"kind": Kind.COUNTER, "modulus": -1}, "modulus=-1"),
        ("ua", {"kind": Kind.NET, "modulus": 10}, "modulus .*net"),
        ("ua", {"kind": Kind.DELTA, "modulus": 10}, "modulus .*delta"),
        ("ua", {"kind": Kind.STATE, "greatest_rate": 10}, "greatest_rate .*state"),
        ("ua", {"kind": Kind.ENUMERATION}, "codes"),
        ("ua", {"kind": Kind.STATE, "codes": {0: "off"}}, "codes .*state"),
        ("ua", {"bits": True}, "bits .*gauge"),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {"0": "off"}}, "'0'"),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {True: "on"}}, "True"),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {1.5: "on"}}, "1.5"),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {2**53: "on"}}, str(2**53)),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {53: "on"}, "bits": True}, "bit 53"),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {-1: "on"}, "bits": True}, "bit -1"),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {0: " "}}, "' ' of code 0"),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {0: 5}}, "5 of code 0"),
        ("ua", {"kind": Kind.ENUMERATION, "codes": {0: "Off", 1: "off"}}, "off"),
    ],
)
def test_a_bad_field_is_named(name: str, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(DeclarationError, match=named) as caught:
        Field(name, **{"unit": "V", **changes})
    assert f"field {name!r}" in str(caught.value)


def test_what_registers_and_deltas_may_declare() -> None:
    assert {kind for kind in Kind if kind.has_energy} == set(ENERGY_KINDS)
    for kind in ENERGY_KINDS:
        assert Field("e", unit="kWh", kind=kind, greatest_rate=50).greatest_rate == 50
    for kind in (Kind.COUNTER, Kind.DAILY):
        assert Field("e", unit="kWh", kind=kind, modulus=10**6).modulus == 10**6


def test_a_field_with_codes_can_be_told_apart_and_kept_in_sets() -> None:
    field = Field("mode", unit="1", kind=Kind.ENUMERATION, codes={0: "off", 1: "running"})
    assert field == Field("mode", unit="1", kind=Kind.ENUMERATION, codes={1: "running", 0: "off"})
    assert field != Field("mode", unit="1", kind=Kind.ENUMERATION, codes={0: "off"})
    assert len({field, Field("mode", unit="1", kind=Kind.ENUMERATION, codes={0: "off", 1: "running"})}) == 1
    assert not field.bits and Field("faults", unit="1", kind=Kind.ENUMERATION, codes={0: "fan"}, bits=True).bits


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        ("UXJA", "uxja"),
        ("U+", "uplus"),
        ("U-", "uminus"),
        ("pm2_5(ug/m3)", "pm2_5_ug_m3"),
        ("hum(%)", "hum_percent"),
        ("temp_1(*C)", "temp_1_c"),
        ("dp(*C)", "dp_c"),
        ("1", "1"),
    ],
)
def test_keys_are_stored_one_way(key: str, stored: str) -> None:
    assert normalise(key) == stored
    assert normalise(stored) == stored


def test_a_field_may_be_named_by_a_number() -> None:
    assert Field("1", unit="V", source="17").sources == ("1", "17")
