"""Grafana's telemetry dashboard: a form that Grafana loads, and queries that the API answers with rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.blocks import ROOT
from tests.other_tools.conftest import DEVICE, OTHER, Site
from tests.other_tools.infinity import Grafana, is_long_series

DOCKER = ROOT / "docker"
PANELS = {"timeseries", "bargauge", "table", "stat"}
INFINITY = "yesoreyeram-infinity-datasource"


@pytest.fixture(scope="module")
def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCKER / "grafana/telemetry.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    text = (DOCKER / "grafana/provisioning/datasources/greenpower.yml").read_text("utf-8")
    (found,) = yaml.safe_load(text)["datasources"]
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def grafana(site: Site, source: dict[str, Any]) -> Grafana:
    now = datetime.now(UTC)
    return Grafana(site=site, source=source, start=now - timedelta(hours=48), end=now)


def queries(board: dict[str, Any]) -> list[dict[str, Any]]:
    """All queries of a dashboard, of panels and of variables."""
    of_variables = [one["query"]["infinityQuery"] for one in board["templating"]["list"] if one["type"] == "query"]
    return [*of_variables, *(target for panel in board["panels"] for target in panel["targets"])]


def values(board: dict[str, Any]) -> dict[str, Any]:
    """The variables as the dashboard has them at first, with both devices."""
    first = {one["name"]: one["current"]["value"] for one in board["templating"]["list"]}
    return {**first, "device": [DEVICE, OTHER]}


def test_the_dashboard_has_the_form_that_grafana_loads(board: dict[str, Any]) -> None:
    assert board["uid"] == "greenpower-telemetry" and board["title"] and board["schemaVersion"] >= 36
    assert set(board["time"]) == {"from", "to"} and "id" not in board
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 4
    for panel in panels:
        assert panel["type"] in PANELS and panel["title"] and panel["targets"], panel["id"]
        assert set(panel["fieldConfig"]) == {"defaults", "overrides"}
        grid = panel["gridPos"]
        assert grid["x"] >= 0 and grid["x"] + grid["w"] <= 24 and grid["h"] > 0
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    for one, two in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
    names = [one["name"] for one in board["templating"]["list"]]
    assert len(set(names)) == len(names)


def test_its_data_source_is_provisioned_with_a_key_from_the_environment(
    board: dict[str, Any], source: dict[str, Any]
) -> None:
    compose = yaml.safe_load((DOCKER / "docker-compose.yml").read_text("utf-8"))["services"]
    places = {(query["datasource"]["type"], query["datasource"]["uid"]) for query in queries(board)}
    assert places == {(source["type"], source["uid"])} and source["type"] == INFINITY
    assert source["jsonData"]["apiKeyKey"] == "X-API-Key"
    key = source["secureJsonData"]["apiKeyValue"]
    service = compose["grafana"]
    assert key.startswith("$") and key[1:] in service["environment"], "no key is written into the file"
    plugin, version = service["environment"]["GF_INSTALL_PLUGINS"].split()
    assert plugin == INFINITY and version
    host, port = source["url"].removeprefix("http://").split(":")
    assert host in compose and set(compose[host]["networks"]) & set(service["networks"]) and port == "8000"
    assert any(str(volume).startswith("./grafana/telemetry.json:") for volume in service["volumes"])
    boards = json.loads((DOCKER / "grafana/dashboard.json").read_text("utf-8"))
    assert boards["uid"] != board["uid"]


def test_every_panel_has_rows(board: dict[str, Any], grafana: Grafana) -> None:
    for panel in board["panels"]:
        for target in panel["targets"]:
            columns = grafana.rows(target, values(board))
            count = {len(column) for column in columns.values()}
            assert count != {0} and len(count) == 1, panel["title"]
            if target["format"] == "timeseries":
                assert is_long_series(target, columns), panel["title"]
                (texts,) = [columns[one["text"]] for one in target["columns"] if one["type"] == "string"]
                assert set(texts) == {DEVICE, OTHER}, panel["title"]


def test_the_panels_show_power_energy_per_day_and_incidents(board: dict[str, Any], grafana: Grafana) -> None:
    power, days, _, incidents, newest = (grafana.rows(panel["targets"][0], values(board)) for panel in board["panels"])
    assert 80 < len(power["Value"]) <= 200 and set(power["Value"]) == {1.5, 2.5, 3.5}
    for device in (DEVICE, OTHER):
        energies = [value for value, name in zip(days["Value"], days["device"], strict=True) if name == device]
        assert len(energies) in (2, 3, 4) and 20 < sum(value or 0 for value in energies) <= 60
    assert set(incidents["Incident"]) == {"reset"} and set(incidents["Device"]) == {DEVICE, OTHER}
    assert newest["Unit"] == ["kW", "kW"] and newest["Value"] == [1.5, 1.5]


def test_the_variables_offer_what_there_is(board: dict[str, Any], grafana: Grafana) -> None:
    chosen = values(board)
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        assert variable["query"]["queryType"] == "infinity"
        shown = grafana.rows(variable["query"]["infinityQuery"], chosen)
        assert set(shown) == {"__text", "__value"}
        if variable["multi"]:
            assert shown["__value"] == [DEVICE, OTHER]
        else:
            assert variable["current"]["value"] in shown["__value"]
            place = shown["__value"].index(variable["current"]["value"])
            assert shown["__text"][place] == variable["current"]["text"]
