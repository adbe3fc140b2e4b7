"""The docs: whole without the internet, and saying what the API does."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from greenpower.api.http.fields import EXAMPLE_ID
from tests.api.conftest import PATH, Api

METHODS = {"get", "post", "put", "patch", "delete"}
# Words of every program: in the namespace of a client they say nothing.
TOO_GENERAL = {"Change", "Error", "Event", "Field", "Key", "Part", "Register", "Stats", "Step", "Tier", "Type", "Value"}


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
    assert schema["openapi"] == "3.1.0" and schema["info"]["title"] == "Green Power"
    system = {path for path in schema["paths"] if path.startswith("/api/health/")}
    assert system >= {"/api/health/", "/api/health/mqtt/", "/api/health/tcp/"}
    assert set(schema["paths"]) - system == {
        "/api/alarms/",
        "/api/alarms/kinds/",
        "/api/alarms/rules/",
        "/api/alarms/rules/{rule_id}/",
        "/api/alarms/silences/",
        "/api/alarms/silences/{silence_id}/",
        "/api/alarms/{alarm_id}/",
        "/api/alarms/{alarm_id}/acknowledge/",
        "/api/api-keys/",
        "/api/api-keys/client-credentials/",
        "/api/api-keys/token/",
        "/api/api-keys/{key_id}/",
        "/api/corrections/",
        "/api/corrections/changes/",
        "/api/data-types/",
        "/api/devices/",
        "/api/devices/commands/",
        "/api/devices/confirm/",
        "/api/devices/unconfirmed/",
        "/api/devices/{id}/commands/",
        "/api/devices/{id}/commands/{command_id}/",
        "/api/devices/{id}/",
        "/api/devices/{id}/corrections/",
        "/api/devices/{id}/corrections/{correction}/",
        "/api/devices/{id}/incidents/",
        "/api/devices/{id}/incidents/{incident}/",
        "/api/devices/{id}/meter-exchange/",
        "/api/devices/{id}/meter-exchanges/",
        "/api/devices/{id}/meter-exchanges/{exchange}/",
        "/api/devices/{id}/meter-swaps/",
        "/api/devices/{id}/meter-swaps/{incident}/",
        "/api/devices/{id}/status-history/",
        "/api/energy/availability/",
        "/api/energy/balance/",
        "/api/energy/consumption/",
        "/api/energy/consumption/flat/",
        "/api/energy/cost/",
        "/api/energy/cost/flat/",
        "/api/energy/demand/",
        "/api/energy/divisors/",
        "/api/energy/divisors/{divisor_id}/",
        "/api/energy/emission-factors/",
        "/api/energy/emission-factors/{factor_id}/",
        "/api/energy/emissions/",
        "/api/energy/periods/",
        "/api/energy/periods/{period_id}/",
        "/api/energy/periods/{period_id}/reopen/",
        "/api/energy/points/",
        "/api/energy/profile/",
        "/api/energy/report/",
        "/api/energy/report-schedules/",
        "/api/energy/report-schedules/{schedule_id}/",
        "/api/energy/points/proposal/",
        "/api/energy/points/table/",
        "/api/energy/points/{point_id}/",
        "/api/energy/tariffs/",
        "/api/energy/tariffs/{tariff_id}/",
        "/api/energy/tariffs/{tariff_id}/versions/",
        "/api/energy/tariffs/{tariff_id}/versions/{version_id}/",
        "/api/incidents/",
        "/api/notifications/channels/",
        "/api/notifications/channels/{channel_id}/",
        "/api/notifications/channels/{channel_id}/test/",
        "/api/notifications/log/",
        "/api/outbound/targets/",
        "/api/outbound/targets/{target_id}/",
        "/api/outbound/targets/{target_id}/test/",
        "/api/ready/",
        "/api/roles/",
        "/api/rollups/",
        "/api/service-zones/",
        "/api/service-zones/{zone_id}/",
        "/api/push-keys/",
        "/api/push-keys/{push_key}/",
        "/api/ingest/{claim}/",
        "/api/telemetry/events/",
        "/api/telemetry/import/",
        "/api/telemetry/import/{upload_id}/",
        *(
            PATH + view
            for view in (
                "",
                "latest/",
                "devices/",
                "consumption/",
                "export/",
                "changes/",
                "flat/",
                "latest/flat/",
                "consumption/flat/",
            )
        ),
        "/api/devices/findings/",
        "/api/devices/findings/{finding}/dismiss/",
        "/api/audit/",
        "/api/audit/export/",
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
            place = re.sub(
                r"\{\w+\}",
                "1",
                re.sub(r"\{(incident|correction|exchange|push_key|finding|alarm_id)\}", EXAMPLE_ID, path),
            )
            answer = api.client.open(place, method=method, json={} if "requestBody" in operation else None)
            needs_token = answer.get_json().get("code") == 401
            # A form, of which 401 says that it holds no key; and keys of devices, which ingest checks.
            if path not in ("/api/api-keys/client-credentials/", "/api/ingest/{claim}/"):
                assert bool(operation["security"]) == needs_token, path
            assert operation["summary"], path


def test_a_list_is_described_with_parameters_units_and_an_example(schema: dict[str, Any]) -> None:
    operation = schema["paths"][PATH]["get"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    paging = {"page", "page_size", "cursor", "count", "order"}
    assert set(parameters) == paging | {"start_time", "end_time", "device_id", "resolution", "fields", "stats"}
    # With few fields; 1 000 otherwise.
    assert parameters["page_size"]["schema"]["maximum"] == 1500
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
    error = schema["components"]["schemas"]["ApiError"]
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


def test_generators_of_clients_find_names_that_they_can_use(schema: dict[str, Any]) -> None:
    found = [item for operations in schema["paths"].values() for name, item in operations.items() if name in METHODS]
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names) and all(name.isidentifier() for name in names)
    components = schema["components"]["schemas"]
    assert not set(components) & TOO_GENERAL
    for name, component in components.items():
        for key, value in component.get("properties", {}).items():
            assert "enum" not in value, f"{name}.{key} has an enumeration of its own"
    assert components["ProbeReading"].get("additionalProperties") is None, "answers may get further keys"
    assert components["LoginRequest"]["additionalProperties"] is False, "what is unknown in a request is refused"
    assert schema["servers"]


@pytest.mark.parametrize("name", ["zone"])
def test_a_reference_that_may_be_null_says_so(schema: dict[str, Any], name: str) -> None:
    choices = schema["components"]["schemas"]["Device"]["properties"][name]["anyOf"]
    assert {"type": "null"} in choices and any("$ref" in choice for choice in choices)
