"""The OpenAPI text: what it says of every operation (role, scope, rate limit), and reading it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from greenpower.api.http.blueprint import area_of, scope_of
from greenpower.api.http.key_auth import KEY_HEADER
from greenpower.api.http.openapi_clients import fit_for_clients
from greenpower.sql import Scope

METHODS = ("get", "post", "put", "patch", "delete")
SCOPES = frozenset(scope.value for scope in Scope)
UNLIMITED_PATHS = ("/api/health/", "/api/ready/")
TOO_MANY = "TOO_MANY_REQUESTS"
SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an access token, or for reading an API key"},
    "api_key": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "an API key, for reading"},
    "push_key": {"type": "http", "scheme": "bearer", "description": "a key for pushing frames"},
    "push_key_in_address": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "a key for pushing frames, where no header can be set",
    },
}

Schema = dict[str, Any]

IN_ZONES = "Those who are restricted to service zones see nothing else."
WHOLE_SITE = "Not for those who are restricted to service zones."


def operations(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Path, method and operation object of each operation."""
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def complete(schema: Schema) -> Schema:
    """Add roles, scopes, rate limits and servers to the schema, and make it fit for clients. Changes and returns it."""
    for path, method, operation in operations(schema):
        if not path.startswith(UNLIMITED_PATHS):
            operation["responses"].setdefault("429", {"$ref": f"#/components/responses/{TOO_MANY}"})
        if role := operation.get("x-role"):
            scope = scope_of(area_of(path), method)
            if scope in SCOPES:
                operation["x-scope"] = scope
                who = f"Needs the role `{role}`; an API key needs the scope `{scope}`."
                if method == "get":
                    operation["security"] = [{"bearer": []}, {"api_key": []}]
            else:
                who = f"Needs the role `{role}`; not for API keys."
            who += " " + (IN_ZONES if operation.get("x-in-zones") else WHOLE_SITE)
        elif operation.get("security"):
            who = ""  # it has keys of its own, and says so
        else:
            operation["security"] = []
            who = "Needs no token."
        operation["description"] = "\n\n".join(filter(None, (operation.get("description", "").strip(), who)))
    schema["servers"] = [{"url": "/", "description": "the address that this text came from"}]
    return fit_for_clients(schema)


def resolve(schema: Schema, node: Schema) -> Schema:
    """The node that a reference points to, with what stands beside the reference; a node that is none, unchanged."""
    for key in ("allOf", "anyOf"):
        choices = [choice for choice in node.get(key, ()) if choice != {"type": "null"}]
        if len(choices) == 1:
            return {**resolve(schema, choices[0]), **{name: node[name] for name in node if name != key}}
    while "$ref" in node:
        target: Any = schema
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def body_schema(schema: Schema, operation: Schema) -> Schema | None:
    """The schema of an operation's body; None if it has none."""
    content = operation.get("requestBody", {}).get("content", {})
    found = content.get("application/json", {}).get("schema")
    return None if found is None else resolve(schema, found)


def sample(schema: Schema, node: Schema) -> Any:
    """An example of a value of a schema, from its examples, defaults and bounds."""
    node = resolve(schema, node)
    for key in ("example", "default"):
        if key in node:
            return node[key]
    if "enum" in node:
        return node["enum"][0]
    kind = node.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), None)
    if kind == "object":
        return {name: sample(schema, child) for name, child in node.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema, node.get("items", {}))]
    if kind in ("integer", "number"):
        return node.get("minimum", 1)
    if kind == "boolean":
        return True
    return "string"
