"""Tariffs over the API: versions that never change, the default of a carrier, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import refused
from tests.api.energy.test_points import TARIFF, Site, site  # noqa: F401 - a fixture

PATH = "/api/energy/tariffs/"
FLAT = {"valid_from": "2026-01-01", "rates": [{"name": "flat", "price": "0.4"}]}


@pytest.fixture
def made(site: Site) -> Iterator[dict[str, Any]]:  # noqa: F811
    tariff = site.good("POST", PATH, TARIFF, code=201)
    yield tariff
    site.good("DELETE", f"{PATH}{tariff['id']}/", code=204)


def test_a_tariff_comes_back_as_it_was_given(site: Site, made: dict[str, Any]) -> None:  # noqa: F811
    [version] = made["versions"]
    assert [rate["price"] for rate in version["rates"]] == ["0.18", "0.3125", "0.07"]
    assert version["rates"][0]["begin"] == "22:00" and version["rates"][1]["end"] == "24:00"
    assert version["rates"][1]["days"] == [*range(8)] and version["demand"]["free"] == "5"
    assert site.good("GET", f"{PATH}{made['id']}/") == made
    assert [row["id"] for row in site.get(PATH, carrier="electricity").get_json()["results"]] == [made["id"]]
    assert site.get(PATH, carrier="gas").get_json()["count"] == 0


def test_a_version_is_replaced_and_never_changed(site: Site, made: dict[str, Any]) -> None:  # noqa: F811
    path = f"{PATH}{made['id']}/versions/"
    first = made["versions"][0]
    versions = site.good("POST", path, FLAT, code=201)["versions"]
    assert [version["id"] for version in versions if not version["replaced_at"]] == [versions[1]["id"]]
    assert versions[0] == {**first, "replaced_at": versions[0]["replaced_at"]}
    later = site.good("POST", path, {**FLAT, "valid_from": "2026-05-01"}, code=201)["versions"][-1]
    left = site.good("DELETE", f"{path}{later['id']}/")["versions"]
    assert next(version for version in left if version["id"] == later["id"])["replaced_at"]
    assert refused(site.ask("DELETE", f"{path}{later['id']}/"), 404)
    assert refused(site.ask("DELETE", f"{path}{versions[1]['id']}/"), 409)


def test_one_tariff_of_a_carrier_is_the_default(site: Site, made: dict[str, Any]) -> None:  # noqa: F811
    other = site.good("POST", PATH, {**TARIFF, "name": "other"}, code=201)
    try:
        assert other["is_default"] and not site.good("GET", f"{PATH}{made['id']}/")["is_default"]
        assert site.good("PATCH", f"{PATH}{made['id']}/", {"is_default": True})["is_default"]
        assert not site.good("GET", f"{PATH}{other['id']}/")["is_default"]
        assert refused(site.ask("PATCH", f"{PATH}{other['id']}/", {"name": "business"}), 409)
    finally:
        site.good("DELETE", f"{PATH}{other['id']}/", code=204)


def test_a_tariff_that_a_point_has_stays(site: Site, made: dict[str, Any]) -> None:  # noqa: F811
    number = site.point("own", "load", "hall", tariff_id=made["id"])
    response = site.ask("DELETE", f"{PATH}{made['id']}/")
    assert refused(response, 409) and "own" in response.text
    water = {"name": "w", "role": "load", "carrier": "water", "parts": [], "tariff_id": made["id"]}
    response = site.ask("POST", "/api/energy/points/", water)
    assert refused(response, 422) and "not of water" in response.text
    site.good("DELETE", f"/api/energy/points/{number}/", code=204)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"rates": []}, "Length"),
        ({"rates": [{"name": "a", "price": 0.5}]}, "Not a valid string"),
        ({"rates": [{"name": "a", "price": "0,5"}]}, "such as 0.25"),
        ({"rates": [{"name": "a", "price": "1", "begin": "06:10"}]}, "quarter-hour"),
        ({"rates": [{"name": "a", "price": "1", "begin": "06:00"}]}, "must hold at any time"),
        ({"rates": [{"name": "a", "price": "1", "days": [8]}]}, "out of range"),
        ({"demand": {"name": "d", "price": "1", "minutes": 20}}, "20 is not 15 or 30"),
        ({"standing": [{"name": "flat", "price": "1", "per": "day"}]}, "two parts have the name flat"),
        ({"currency": "Euro"}, "such as EUR"),
        ({"timezone": "Europe/Berln"}, "no time zone"),
        ({"valid_from": "January"}, "not a date such as"),
        ({"valid_from": "0001-01-01"}, "from 1900-01-01"),
        ({"valid_from": "9999-12-31"}, "to 9998-12-31"),
        ({"holidays": ["25.12."]}, "not a date such as"),
    ],
)
def test_a_tariff_that_cannot_be_says_why(site: Site, body: dict[str, Any], said: str) -> None:  # noqa: F811
    response = site.ask("POST", PATH, {"name": "new", "currency": "EUR", **FLAT, **body})
    assert refused(response, 422) and said in response.text, response.text


def test_zones_lie_in_zones_but_not_in_themselves(site: Site) -> None:  # noqa: F811
    path = "/api/service-zones/"
    outer, inner, device = (
        site.good("POST", path, {"name": "outer"}, code=201)["id"],
        site.good("POST", path, {"name": "inner"}, code=201)["id"],
        site.good("POST", "/api/devices/", {"device_id": "hall", "types": ["meter"]}, code=201)["id"],
    )
    site.good("PATCH", f"{path}{inner}/", {"parent_id": outer})
    site.good("PATCH", f"/api/devices/{device}/", {"zone_id": inner})
    body = site.get("/api/telemetry/meter-data/consumption/", zone_id=outer, field="energy").get_json()
    assert [item["device_id"] for item in body["devices"]] == ["hall"]
    response = site.ask("PATCH", f"{path}{outer}/", {"parent_id": inner})
    assert refused(response, 422) and "in itself" in response.text
    assert refused(site.ask("PATCH", f"{path}{outer}/", {"parent_id": 999}), 422)
    number = site.point("zoned", "load", "hall", zone_id=inner)
    found = site.get("/api/energy/points/", zone_id=outer).get_json()["results"]
    assert [row["id"] for row in found] == [number]
    assert [row["point_id"] for row in site.ask_for("consumption", zone_id=outer)["points"]] == [number]
    site.good("DELETE", f"{path}{outer}/", code=204)
    assert site.good("GET", f"{path}{inner}/")["parent_id"] is None
    site.good("DELETE", f"/api/energy/points/{number}/", code=204)
    site.good("DELETE", f"{path}{inner}/", code=204)
    site.good("DELETE", f"/api/devices/{device}/", code=204)
