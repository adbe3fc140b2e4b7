"""The docs: whole without the internet, and saying what the API does."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from greenpower.api.http.fields import EXAMPLE_ID
from tests.api.conftest import PATH, Api


class References(HTMLParser):
    """What a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline = ""
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href", "data", "action") and value]
        self._script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._script:
            self.inline += data


@pytest.fixture
def page(api: Api) -> References:
    response = api.client.get("/api/docs/", headers={"Host": "evil.example"})
    assert response.status_code == 200 and response.mimetype == "text/html"
    page = References()
    page.feed(response.text)
    return page


def test_the_page_loads_nothing_from_elsewhere(api: Api, page: References) -> None:
    assert len(page.found) >= 5
    for reference in page.found:
        assert not urlsplit(reference).netloc, reference
        with api.client.get(urljoin("/api/docs/", reference)) as response:
            assert response.status_code == 200 and response.data, reference
            if reference.endswith(".css"):
                for target in re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", response.data.decode()):
                    assert "".join(target).strip("\"'").startswith("data:"), target
    assert not re.search(r"https?://|//[a-z]", page.inline)


def test_the_page_shows_our_schema_and_asks_no_validator(api: Api, page: References) -> None:
    assert '"url": "/api/schema/"' in page.inline and '"validatorUrl": null' in page.inline
    assert api.client.get("/api/schema/").content_type == "application/json"


@pytest.fixture
def schema(api: Api) -> dict[str, Any]:
    schema: dict[str, Any] = api.client.get("/api/schema/").get_json()
    return schema


def test_the_schema_names_every_resource(schema: dict[str, Any]) -> None:
    assert schema["openapi"] == "3.0.3" and schema["info"]["title"] == "Green Power"
    system = {path for path in schema["paths"] if path.startswith("/api/health/")}
    assert system >= {"/api/health/", "/api/health/mqtt/", "/api/health/tcp/"}
    assert set(schema["paths"]) - system == {
        "/api/api-keys/",
        "/api/api-keys/token/",
        "/api/api-keys/{key_id}/",
        "/api/data-types/",
        "/api/devices/",
        "/api/devices/commands/",
        "/api/devices/{id}/commands/",
        "/api/devices/{id}/commands/{command_id}/",
        "/api/devices/{id}/",
        "/api/devices/{id}/incidents/",
        "/api/devices/{id}/incidents/{incident}/",
        "/api/devices/{id}/meter-swaps/",
        "/api/devices/{id}/status-history/",
        "/api/incidents/",
        "/api/ready/",
        "/api/roles/",
        "/api/rollups/",
        "/api/service-zones/",
        "/api/service-zones/{zone_id}/",
        "/api/telemetry/events/",
        *(PATH + view for view in ("", "latest/", "devices/", "consumption/", "export/", "changes/")),
        "/api/users/",
        "/api/users/me/",
        "/api/users/me/password/",
        "/api/users/{user_id}/",
        "/api/users/token/",
        "/api/users/token/logout/",
        "/api/users/token/refresh/",
    }


def test_what_needs_a_token_says_so_and_what_does_not_does_not(api: Api, schema: dict[str, Any]) -> None:
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            place = re.sub(r"\{\w+\}", "1", path.replace("{incident}", EXAMPLE_ID))
            answer = api.client.open(place, method=method, json={} if "requestBody" in operation else None)
            needs_token = answer.get_json().get("code") == 401
            assert ("security" in operation) == needs_token, path
            assert operation["summary"], path


def test_a_list_is_described_with_parameters_units_and_an_example(schema: dict[str, Any]) -> None:
    operation = schema["paths"][PATH]["get"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    paging = {"page", "page_size", "cursor", "count", "order"}
    assert set(parameters) == paging | {"start_time", "end_time", "device_id", "resolution", "fields", "stats"}
    assert parameters["page_size"]["schema"]["maximum"] == 1000
    assert all(parameter["description"] for parameter in parameters.values())
    assert {"200", "401", "422", "503"} <= set(operation["responses"])
    content = operation["responses"]["200"]["content"]["application/json"]
    assert content["example"]["results"][0]["payload"] == {"volts": 229.097, "energy": 31.057}
    payload = schema["components"]["schemas"]["ProbePayload"]
    assert payload["properties"]["volts"]["description"] == "voltage, V, 0 to 500"
    assert payload["properties"]["energy"] == {
        "type": "number",
        "description": "import energy, kWh",
        "x-unit": "kWh",
        "x-kind": "counter",
    }
    assert payload["additionalProperties"] is True


def test_the_error_is_described_as_it_is(api: Api, schema: dict[str, Any]) -> None:
    error = schema["components"]["schemas"]["Error"]
    assert set(error["properties"]) == set(error["required"]) == set(api.client.get("/nothing/").get_json())


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if reference := node.get("$ref"):
                target: Any = schema
                for part in reference.removeprefix("#/").split("/"):
                    target = target[part]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(schema)


def test_an_answer_has_the_keys_of_its_schema(api: Api, schema: dict[str, Any]) -> None:
    schemas = schema["components"]["schemas"]
    body = api.get("/api/telemetry/events/").get_json()
    assert set(body) == set(schemas["EventPage"]["required"]) == set(schemas["EventPage"]["properties"])
