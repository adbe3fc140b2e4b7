"""What docs/home-assistant.md prints, done as Home Assistant's `rest` integration does it, against the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
import yaml

from tests.homeassistant.allowed import check_class
from tests.other_tools.conftest import Site

PAGE = Path(__file__).parents[2] / "docs" / "home-assistant.md"
OF_REST = {"resource", "params", "headers", "scan_interval", "sensor"}
OF_REST_SENSOR = {
    "name", "unique_id", "device_class", "state_class", "unit_of_measurement", "value_template", "availability",
}  # fmt: skip


class Secret(str):
    """The name of a line in secrets.yaml."""


class Loader(yaml.SafeLoader):
    """YAML with `!secret`."""


Loader.add_constructor("!secret", lambda loader, node: Secret(node.value))


def blocks() -> list[Any]:
    return [yaml.load(text, Loader) for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)]


def render(template: str, body: Any) -> str:
    """A template as Home Assistant fills it in, with those of its functions that the page uses."""
    given = {"value_json": body, "utcnow": lambda: datetime.now(UTC), "timedelta": timedelta}
    return str(jinja2.Template(template).render(**given)).strip()


def test_the_sensors_of_the_page_have_values(site: Site) -> None:
    secrets, *configurations = blocks()
    keys = dict.fromkeys(secrets, site.key)
    assert len(configurations) == 2
    shown: dict[str, float] = {}
    for configuration in configurations:
        assert set(configuration) == {"rest"}
        for request in configuration["rest"]:
            assert set(request) <= OF_REST, request
            headers = {name: keys[value] for name, value in request["headers"].items() if isinstance(value, Secret)}
            path = urlsplit(request["resource"]).path
            answer = site.client.get(path, query_string=request["params"], headers=headers)
            assert answer.status_code == 200, answer.text
            for sensor in request["sensor"]:
                assert set(sensor) <= OF_REST_SENSOR, sensor
                check_class(sensor["device_class"], sensor["state_class"], sensor["unit_of_measurement"])
                shown[sensor["name"]] = float(render(sensor["value_template"], answer.get_json()))
                if "availability" in sensor:
                    assert render(sensor["availability"], answer.get_json()) == "True"
    today = shown.pop("Energy today")
    assert shown == {"Power": 1.5, "Voltage, phase A": 230.25, "Energy": 12.0}
    assert 0 <= today <= 24


def test_a_sensor_of_a_silent_device_is_not_available() -> None:
    (_, configuration, _) = blocks()
    sensor = configuration["rest"][0]["sensor"][0]
    old = [{"field": "zyggl", "value": 1.5, "timestamp": "2026-01-01T00:00:00.000Z"}]
    assert render(sensor["availability"], {"results": old}) == "False"
    assert render(sensor["availability"], {"results": []}) == "False"
