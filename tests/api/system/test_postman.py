"""The Postman collection as it is written: what runs first, what is left out, and no id or password in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenpower.api.http.openapi import operations
from greenpower.api.system.postman import LOGIN_PATH, LOGOUT_PATH, SAFE_POSTS, collection
from greenpower.cli.docs import api_schema

Item = dict[str, Any]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return collection(dict(api_schema()))


@pytest.fixture(scope="module")
def items(found: dict[str, Any]) -> list[Item]:
    return [item for folder in found["item"] for item in folder["item"]]


def address(item: Item) -> str:
    place: str = item["request"]["url"]["raw"].removeprefix("{{baseUrl}}")
    return place


def script(item: Item, listen: str) -> str:
    return "\n".join(
        line for event in item.get("event", ()) if event["listen"] == listen for line in event["script"]["exec"]
    )


def test_it_logs_in_first_and_out_last(items: list[Item]) -> None:
    assert (address(items[0]), address(items[-1])) == (LOGIN_PATH, LOGOUT_PATH)


def test_no_variable_but_names_has_a_value(found: dict[str, Any]) -> None:
    values = {item["key"]: item["value"] for item in found["variable"]}
    assert {name for name, value in values.items() if value} == {"baseUrl", "username", "allow_changes"}
    assert values["allow_changes"] == "no"


def test_every_id_in_an_address_is_a_variable_without_which_it_is_left_out(
    found: dict[str, Any], items: list[Item]
) -> None:
    known = {item["key"] for item in found["variable"]}
    seen = 0
    for item in items:
        for place in item["request"]["url"].get("variable", ()):
            name = place["value"].strip("{}")
            assert name in known and place["value"] == f"{{{{{name}}}}}", address(item)
            assert f'"{name}"' in script(item, "prerequest"), address(item)
            seen += 1
    assert seen > 20


def test_what_changes_anything_is_left_out_until_it_is_allowed(items: list[Item]) -> None:
    changing = [
        item
        for item in items
        if (item["request"]["method"] != "GET" or address(item).startswith("/api/ingest/"))
        and address(item) not in SAFE_POSTS
    ]
    # A frame can be pushed by a GET, too.
    assert {item["request"]["method"] for item in changing} == {"GET", "POST", "PATCH", "DELETE"}
    assert len(changing) > 15
    for item in changing:
        assert "allow_changes" in script(item, "prerequest") and "skipRequest" in script(item, "prerequest")
    for item in items:
        assert item in changing or "allow_changes" not in script(item, "prerequest"), address(item)


def test_every_request_tests_its_status(items: list[Item]) -> None:
    schema: dict[str, Any] = dict(api_schema())
    codes = {
        (method.upper(), path.replace("{", ":").replace("}", "")): [
            code for code in operation["responses"] if code[0] == "2"
        ]
        for path, method, operation in operations(schema)
    }
    for item in items:
        (test,) = [event for event in item["event"] if event["listen"] == "test"]
        first = test["script"]["exec"][0]
        assert all(code in first for code in codes[item["request"]["method"], address(item)]), address(item)


def test_a_body_has_no_password_that_everybody_knows_and_sets_nothing_by_chance(items: list[Item]) -> None:
    for item in items:
        body = item["request"].get("body", {})
        given = json.loads(body["raw"]) if body.get("mode") == "raw" else {}
        assert item["request"]["method"] != "PATCH" or given == {}, address(item)
        for name, value in given.items():
            secret = name in ("password", "old", "new", "key", "refresh")
            assert not secret or str(value).startswith("{{"), address(item)
            assert not name.endswith("_id") or name == "device_id" or value is None, address(item)


def test_only_public_operations_carry_no_token(items: list[Item]) -> None:
    public = {address(item) for item in items if item["request"].get("auth") == {"type": "noauth"}}
    assert public >= {LOGIN_PATH, LOGOUT_PATH, "/api/ready/", "/api/health/", *SAFE_POSTS}
    assert all(
        place.startswith(("/api/health/", "/api/ready/", "/api/users/token/", "/api/api-keys/")) for place in public
    )
