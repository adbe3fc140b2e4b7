"""The API as a Postman collection (v2.1), made from the OpenAPI text. Logging in there stores the tokens."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from greenpower.api.http.openapi import Schema, body_schema, operations, resolve, sample

COLLECTION_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
LOGIN_PATH = "/api/users/token/"
EXAMPLE_BODIES = {
    LOGIN_PATH: {"username": "{{username}}", "password": "{{password}}"},
    f"{LOGIN_PATH}refresh/": {"refresh": "{{refresh}}"},
    f"{LOGIN_PATH}logout/": {"refresh": "{{refresh}}"},
    "/api/api-keys/token/": {"key": "{{key}}"},
}
STORE_TOKENS_SCRIPT = [
    "const tokens = pm.response.json();",
    "if (tokens.access) { pm.collectionVariables.set('access', tokens.access); }",
    "if (tokens.refresh) { pm.collectionVariables.set('refresh', tokens.refresh); }",
]
VARIABLES = {
    "baseUrl": "http://127.0.0.1:8000",
    "username": "admin",
    "password": "",
    "key": "",
    "access": "",
    "refresh": "",
}


def collection(schema: Schema) -> dict[str, Any]:
    """The collection: one folder per tag, one request per operation."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, method, operation in operations(schema):
        folders.setdefault(operation["tags"][0], []).append(_request(schema, path, method, operation))
    titles = {tag["name"]: tag.get("description") or tag["name"] for tag in schema["tags"]}
    return {
        "info": {
            "_postman_id": str(uuid5(NAMESPACE_URL, "greenpower")),
            "name": f"{schema['info']['title']} Backend",
            "description": schema["info"]["description"],
            "schema": COLLECTION_SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{access}}", "type": "string"}]},
        "variable": [{"key": name, "value": value} for name, value in VARIABLES.items()],
        "item": [{"name": titles[name], "item": items} for name, items in folders.items()],
    }


def collection_text(schema: Schema) -> str:
    """The text of the collection's file."""
    return orjson.dumps(collection(schema), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _request(schema: Schema, path: str, method: str, operation: Schema) -> dict[str, Any]:
    parameters = [resolve(schema, item) for item in operation.get("parameters", ())]
    places = [resolve(schema, item) for item in schema["paths"][path].get("parameters", ())]
    shown = path.replace("{", ":").replace("}", "")
    url: dict[str, Any] = {
        "raw": "{{baseUrl}}" + shown,
        "host": ["{{baseUrl}}"],
        "path": [*shown.strip("/").split("/"), ""],
    }
    if query := [_parameter(item) for item in parameters if item["in"] == "query"]:
        url["query"] = query
    if variables := [
        {"key": item["name"], "value": "1", "description": item.get("description", "")}
        for item in [*places, *parameters]
        if item["in"] == "path"
    ]:
        url["variable"] = variables
    request: dict[str, Any] = {"method": method.upper(), "header": [], "url": url}
    request["description"] = operation["description"]
    if "security" not in operation:
        request["auth"] = {"type": "noauth"}
    body = body_schema(schema, operation)
    if body is not None:
        content = EXAMPLE_BODIES.get(path) or sample(schema, body)
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        text = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
        request["body"] = {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
    item: dict[str, Any] = {"name": operation["summary"], "request": request, "response": []}
    if path in EXAMPLE_BODIES and "logout" not in path:
        item["event"] = [{"listen": "test", "script": {"type": "text/javascript", "exec": STORE_TOKENS_SCRIPT}}]
    return item


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """A query parameter, disabled if it is optional."""
    value = parameter["schema"].get("default", parameter["schema"].get("example", ""))
    return {
        "key": parameter["name"],
        "value": "" if value is None or isinstance(value, list) else str(value),
        "description": parameter.get("description", ""),
        "disabled": not parameter.get("required", False),
    }
