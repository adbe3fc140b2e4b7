"""The API as a Postman collection (v2.1), made from the OpenAPI text.

It can be run as a whole, by newman too: it logs in first and renews its token, and what changes or deletes anything is
left out until the variable `allow_changes` says `yes`. Ids and passwords are variables of the collection, empty at
first: a request without one that it needs is left out too.
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from greenpower.api.http.openapi import Schema, operations, resolve, sample
from greenpower.api.system.postman_scripts import CHANGES, check_status, leave_out, renew

COLLECTION_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
LOGIN_PATH = "/api/users/token/"
LOGOUT_PATH = f"{LOGIN_PATH}logout/"
LOGGING_OUT = "Logging out"
# Requests that change nothing for anybody, though they are POST. The value: the variables in their bodies.
SAFE_POSTS = {
    LOGIN_PATH: ("username", "password"),
    f"{LOGIN_PATH}refresh/": ("refresh",),
    "/api/api-keys/token/": ("key",),
    "/api/api-keys/client-credentials/": ("client_id", "key"),
}
STORING_PATHS = (LOGIN_PATH, f"{LOGIN_PATH}refresh/")
# Where a GET stores something, too: a device that can send nothing but an address.
PUSH_PATH = "/api/ingest/{claim}/"
# 503 says that a part of the system is down: an answer as it should be.
HEALTH_PATH = "/api/health/"
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", LOGIN_PATH): {"username": "{{username}}", "password": "{{password}}"},
    ("post", f"{LOGIN_PATH}refresh/"): {"refresh": "{{refresh}}"},
    ("post", LOGOUT_PATH): {"refresh": "{{refresh}}"},
    ("post", "/api/users/me/password/"): {"old": "{{password}}", "new": "{{new_password}}"},
    ("post", "/api/api-keys/token/"): {"key": "{{key}}"},
    ("post", "/api/api-keys/client-credentials/"): {
        "grant_type": "client_credentials",
        "client_id": "{{client_id}}",
        "client_secret": "{{key}}",
    },
}
HOW_TO_USE = """

Set the variable `password` and send the first request, or run the whole collection: it logs in first and renews its
token by itself. Requests that change or delete anything are left out until the variable `allow_changes` says `yes`,
and those that need an id until its variable has one; the console says which. Every request tests its status."""
VARIABLES = {
    "baseUrl": "http://127.0.0.1:8000",
    "username": "admin",
    "password": "",
    "access": "",
    "refresh": "",
    "key": "",
    "client_id": "",
    "new_password": "",
    CHANGES: "no",
}


def collection(schema: Schema) -> dict[str, Any]:
    """The collection: one folder per tag, one request per operation. Logging in is first, logging out last."""
    titles = {tag["name"]: tag.get("description") or tag["name"] for tag in schema["tags"]}
    folders: dict[str, list[dict[str, Any]]] = {}
    found = list(operations(schema))
    login = next((operation["tags"][0] for path, _, operation in found if path == LOGIN_PATH), "")
    for path, method, operation in found:
        folder = LOGGING_OUT if path == LOGOUT_PATH else titles[operation["tags"][0]]
        folders.setdefault(folder, []).append(_item(schema, path, method, operation))
    order = [titles.get(login, ""), *(name for name in folders if name not in (titles.get(login), LOGGING_OUT))]
    return {
        "info": {
            "_postman_id": str(uuid5(NAMESPACE_URL, "greenpower")),
            "name": f"{schema['info']['title']} Backend",
            "description": schema["info"]["description"] + HOW_TO_USE,
            "schema": COLLECTION_SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{access}}", "type": "string"}]},
        "event": [renew()],
        "variable": [{"key": name, "value": value} for name, value in (VARIABLES | _places(schema)).items()],
        "item": [{"name": name, "item": folders[name]} for name in (*order, LOGGING_OUT) if name in folders],
    }


def collection_text(schema: Schema) -> str:
    """The text of the collection's file."""
    return orjson.dumps(collection(schema), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _places(schema: Schema) -> dict[str, str]:
    """The variables for what stands in paths, and for what a query must have: all empty."""
    needed = (name for path, _, operation in operations(schema) for name in _needed(schema, path, operation))
    return dict.fromkeys(needed, "")


def _parameters(schema: Schema, path: str, operation: Schema) -> list[dict[str, Any]]:
    shared = schema["paths"][path].get("parameters", ())
    return [resolve(schema, item) for item in (*shared, *operation.get("parameters", ()))]


def _needed(schema: Schema, path: str, operation: Schema) -> list[str]:
    """The variables that the address needs."""
    found = _parameters(schema, path, operation)
    places = [_variable(item["name"]) for item in found if item["in"] == "path"]
    return places + [item["name"] for item in found if item["in"] == "query" and _is_asked(item)]


def _variable(place: str) -> str:
    """The variable of a part of a path. The one that is called `id` alone is a device's."""
    return "device" if place == "id" else place


def _is_asked(parameter: dict[str, Any]) -> bool:
    """Whether a person has to give a value: a query without it is refused, and no default could be right."""
    return bool(parameter.get("required"))


def _item(schema: Schema, path: str, method: str, operation: Schema) -> dict[str, Any]:
    request = _request(schema, path, method, operation)
    needed = _needed(schema, path, operation)
    safe = (method == "get" and path != PUSH_PATH) or path in SAFE_POSTS
    needed += SAFE_POSTS.get(path, ()) if safe else ()
    if "{{new_password}}" in request.get("body", {}).get("raw", ""):
        needed.append("new_password")
    codes = sorted(int(code) for code in operation["responses"] if code.startswith("2"))
    if path.startswith(HEALTH_PATH):
        codes.append(503)
    events = [check_status(codes, store=path in STORING_PATHS, forget=path == LOGOUT_PATH)]
    if needed or not safe:
        events.insert(0, leave_out(needed, changes=not safe))
    return {"name": operation["summary"], "request": request, "response": [], "event": events}


def _request(schema: Schema, path: str, method: str, operation: Schema) -> dict[str, Any]:
    parameters = _parameters(schema, path, operation)
    shown = path.replace("{", ":").replace("}", "")
    url: dict[str, Any] = {
        "raw": "{{baseUrl}}" + shown,
        "host": ["{{baseUrl}}"],
        "path": [*shown.strip("/").split("/"), ""],
    }
    if query := [_parameter(item) for item in parameters if item["in"] == "query"]:
        url["query"] = query
    if places := [item for item in parameters if item["in"] == "path"]:
        url["variable"] = [
            {
                "key": item["name"],
                "value": f"{{{{{_variable(item['name'])}}}}}",
                "description": item.get("description", ""),
            }
            for item in places
        ]
    request: dict[str, Any] = {"method": method.upper(), "header": [], "url": url}
    request["description"] = operation["description"]
    if not operation.get("security"):
        request["auth"] = {"type": "noauth"}
    _add_body(request, schema, path, method, operation)
    return request


def _add_body(request: dict[str, Any], schema: Schema, path: str, method: str, operation: Schema) -> None:
    """The body. That of PATCH is empty, so that nothing is set by chance; its description has the fields."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return
    kind, described = next(iter(content.items()))
    fields = resolve(schema, described["schema"])
    given = BODIES.get((method, path))
    if fields.get("format") == "binary":
        request["header"].append({"key": "Content-Type", "value": kind})
        request["body"] = {"mode": "file", "file": {"src": None}}
        return
    if kind == FORM:
        request["body"] = {
            "mode": "urlencoded",
            "urlencoded": [{"key": name, "value": value, "type": "text"} for name, value in (given or {}).items()],
        }
        return
    if given is None and method == "patch":
        given = {}
        request["description"] += f"\n\nFields: {', '.join(fields.get('properties', ()))}."
    elif given is None:
        given = {name: _value(name, value) for name, value in sample(schema, fields).items()}
    request["header"].append({"key": "Content-Type", "value": JSON})
    text = orjson.dumps(given, option=orjson.OPT_INDENT_2).decode()
    request["body"] = {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}


def _value(name: str, value: Any) -> Any:
    """An example of a field, but no password that everybody knows, and no id of something that is there by chance."""
    if name == "password":
        return "{{new_password}}"
    return None if name.endswith("_id") and name != "device_id" else value


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """A query parameter, disabled if it is optional."""
    value = parameter["schema"].get("default", parameter["schema"].get("example", ""))
    if _is_asked(parameter):
        value = f"{{{{{parameter['name']}}}}}"
    return {
        "key": parameter["name"],
        "value": "" if value is None or isinstance(value, list) else str(value),
        "description": parameter.get("description", ""),
        "disabled": not parameter.get("required", False),
    }
