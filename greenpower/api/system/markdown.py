"""docs/api.md, made from the OpenAPI text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from greenpower.api.http.openapi import Schema, body_schema, operations, resolve
from greenpower.catalog.facts import EVENTS_ENDPOINT, TELEMETRY_PATH, endpoint_path

ENDPOINT_PLACEHOLDER = "<endpoint>"
PAGE_HEAD = """# The API

Generated from the schema at `/api/schema/` by `greenpower docs routes --write`; do not edit.

Log in at `/api/users/token/` (or exchange an API key at `/api/api-keys/token/`) and send the access token with every
request: `Authorization: Bearer <token>`. To read, an API key needs no exchange: send it in the same header, or as
`X-API-Key: <key>`. Times are UTC, ISO 8601. All errors have the same shape:
`{"code", "status", "message", "errors"}`. Every answer has an `X-Request-ID`, which is also in the log; send your own
(8 to 64 characters of `A-Z a-z 0-9 . _ -`) to trace a request. Lists of devices, zones, users and keys, and this
schema, have an `ETag`: send it as `If-None-Match` and get 304 while nothing has changed. Too many requests get 429 with
`Retry-After`.
"""


def api_page(schema: Schema) -> str:
    """The page."""
    tags: dict[str, list[str]] = {}
    served: dict[str, list[str]] = {}
    for path, method, operation in operations(schema):
        name, shown = operation["tags"][0], path
        if path.startswith(TELEMETRY_PATH) and path != endpoint_path(EVENTS_ENDPOINT):
            endpoint, _, rest = path.removeprefix(TELEMETRY_PATH).partition("/")
            name, shown = "telemetry", f"{TELEMETRY_PATH}{ENDPOINT_PLACEHOLDER}/{rest}"
            key = f"{method} {shown}"
            served.setdefault(key, []).append(endpoint)
            if len(served[key]) > 1:
                continue
            operation = {**operation, "summary": operation["summary"].split(":")[0]}
        tags.setdefault(name, []).append("\n".join(_operation(schema, shown, method, operation)))
    titles = {tag["name"]: tag.get("description", "") for tag in schema["tags"]}
    titles["telemetry"] = "Telemetry, for each data type"
    parts = [PAGE_HEAD]
    for name, texts in tags.items():
        parts.append(f"## {titles[name]}\n")
        if name == "telemetry":
            parts.append(_types(served))
        parts += texts
    return "\n".join(parts).rstrip() + "\n"


def _types(served: dict[str, list[str]]) -> str:
    """Which endpoints there are, and which of them have the paths that not all have."""
    everywhere = max(served.values(), key=len)
    lines = [f"`{ENDPOINT_PLACEHOLDER}` is one of {', '.join(f'`{name}`' for name in everywhere)}."]
    for key, names in served.items():
        if len(names) < len(everywhere):
            lines.append(f"`{key.split()[1]}` exists for {', '.join(f'`{name}`' for name in names)}.")
    return "\n".join(lines) + "\n"


def _operation(schema: Schema, path: str, method: str, operation: Schema) -> Iterator[str]:
    yield f"### {method.upper()} `{path}`\n"
    yield f"{operation['summary']}. {operation['description']}\n"
    if parameters := [resolve(schema, item) for item in operation.get("parameters", ())]:
        rows = (
            (
                f"`{item['name']}`",
                _kind(resolve(schema, item["schema"])),
                _yes(item.get("required")),
                item.get("description", ""),
            )
            for item in parameters
        )
        yield _table(("parameter", "type", "needed", "what"), rows)
    if body := body_schema(schema, operation):
        needed = set(body.get("required", ()))
        rows = (
            (f"`{name}`", _kind(resolve(schema, field)), _yes(name in needed), field.get("description", ""))
            for name, field in body.get("properties", {}).items()
        )
        yield _table(("in the body", "type", "needed", "what"), rows)
    codes = sorted(code for code in operation["responses"] if code != "default")
    yield f"Answers: {', '.join(codes)}.\n"


def _kind(field: dict[str, Any]) -> str:
    """A field's type, default and bounds in a few words."""
    kind = field.get("type", "")
    words = [" or ".join(kind) if isinstance(kind, list) else str(kind)]
    if "enum" in field:
        words = [" or ".join(f"`{value}`" for value in field["enum"] if value is not None)]
    if "minimum" in field or "maximum" in field:
        words.append(f"{field.get('minimum', '')} … {field.get('maximum', '')}".strip())
    elif "minLength" in field or "maxLength" in field:
        unit = "entries" if kind == "object" else "characters"
        words.append(f"{field.get('minLength', 0)} … {field.get('maxLength', '')} {unit}")
    if "default" in field and field["default"] not in (None, "", []):
        words.append(f"default `{field['default']}`")
    return ", ".join(word for word in words if word)


def _yes(value: object) -> str:
    return "yes" if value else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"
