"""Making the OpenAPI text fit for what generates clients from it.

Generated code has one namespace for all schemas, and a class for each enumeration that it meets. So schemas get names
that say of what they are, enumerations are shared under a name of their own, and answers may get further keys in later
versions. What does not belong here: what the text says of roles and limits (`greenpower.api.http.openapi`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/"
# What a schema is called to clients, where the name that it has here says too little.
CLIENT_NAMES = {
    "Change": "StatusChange",
    "Coverage": "BucketCoverage",
    "Error": "ApiError",
    "Event": "TelemetryEvent",
    "Field": "TelemetryField",
    "FlatRow": "FlatValue",
    "Key": "ApiKey",
    "KeyPage": "ApiKeyPage",
    "Login": "LoginRequest",
    "Moved": "MovedBoundary",
    "NewKey": "NewApiKey",
    "Parameter": "CommandParameter",
    "Part": "HealthCheck",
    "Progress": "RollupProgress",
    "ProgressList": "RollupProgressList",
    "Refresh": "RefreshRequest",
    "Register": "RegisterReading",
    "Stats": "FieldStats",
    "Step": "CommandStep",
    "Tier": "TelemetryTier",
    "Tokens": "LoginTokens",
}
# Enumerations of parameters that are the same wherever they are.
ENUMERATION_NAMES = {"bucket": "CalendarBucket", "count": "CountMode", "format": "FileFormat", "order": "RowOrder"}
# Of several enumerations under one such name, those that are not what it says.
NAMES_BY_VALUES = {("json", "csv"): "SeriesFormat"}


def fit_for_clients(schema: Schema) -> Schema:
    """Name, share and open the schemas of an OpenAPI document. Changes and returns it."""
    components: Schema = schema["components"]["schemas"]
    components.pop("PaginationMetadata", None)  # of flask-smorest's own paging, which nothing uses
    for old, new in CLIENT_NAMES.items():
        if old in components:
            components[new] = components.pop(old)
    for node in _nodes(schema):
        name = node.get("$ref", "").removeprefix(REFERENCE)
        if name in CLIENT_NAMES:
            node["$ref"] = REFERENCE + CLIENT_NAMES[name]
    for name in set(components) - _of_requests(schema):
        if components[name].get("additionalProperties") is False:
            del components[name]["additionalProperties"]
    _share_enumerations(schema)
    return schema


def _nodes(node: Any) -> Iterator[Schema]:
    """All objects of a document."""
    if isinstance(node, dict):
        yield node
        for child in list(node.values()):
            yield from _nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from _nodes(child)


def _of_requests(schema: Schema) -> set[str]:
    """The components that bodies of requests consist of: what is unknown there is refused."""
    found: set[str] = set()
    waiting = [
        operation["requestBody"]
        for item in schema["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "requestBody" in operation
    ]
    while waiting:
        for node in _nodes(waiting.pop()):
            name = node.get("$ref", "").removeprefix(REFERENCE)
            if name in schema["components"]["schemas"] and name not in found:
                found.add(name)
                waiting.append(schema["components"]["schemas"][name])
    return found


def _share_enumerations(schema: Schema) -> None:
    """Give each enumeration of texts a component of its own, once for all places that have the same values."""
    components: Schema = schema["components"]["schemas"]
    names: dict[tuple[str, ...], str] = {}
    for wanted, node in _enumerations(schema):
        values = tuple(value for value in node["enum"] if value is not None)
        if values not in names:
            name = next(name for name in wanted if name not in components)
            names[values] = name
            components[name] = {"type": "string", "enum": list(values)}
        reference: Schema = {"$ref": REFERENCE + names[values]}
        kept: Schema = {key: node[key] for key in ("description", "default", "example") if key in node}
        if None in node["enum"]:
            node.clear()
            node.update({"anyOf": [reference, {"type": "null"}], **kept})
        else:
            node.clear()
            node.update({"allOf": [reference], **kept} if kept else reference)


def _enumerations(schema: Schema) -> Iterator[tuple[list[str], Schema]]:
    """The enumerations of texts, each with the names that it may get, the best first."""
    for owner, component in list(schema["components"]["schemas"].items()):
        for name, node in component.get("properties", {}).items():
            for place in (node, node.get("items", {})):
                if _is_enumeration(place):
                    yield [owner + _camel(name)], place
    for path, item in schema["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", ()) if isinstance(operation, dict) else ():
                node = parameter.get("schema", {})
                if _is_enumeration(node):
                    name = _camel(parameter["name"])
                    own = _camel(path.split("/")[3]) + name
                    best = NAMES_BY_VALUES.get(tuple(node["enum"])) or ENUMERATION_NAMES.get(parameter["name"], own)
                    yield [best, own, _camel(operation["operationId"]) + name], node


def _is_enumeration(node: Schema) -> bool:
    values = [value for value in node.get("enum", ()) if value is not None]
    return len(values) > 0 and all(isinstance(value, str) for value in values)


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))
