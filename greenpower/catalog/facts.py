"""Names and addresses that follow from the declaration of a data type. Pure.

What belongs here: names that several parts of the system share, and reserved names. What does not: objects built from a
declaration, such as schemas and the resource (`greenpower.api.telemetry.resource`).
"""

from __future__ import annotations

from collections.abc import Iterator

from greenpower.datatype import DataType, Kind, Tier

TELEMETRY_PATH = "/api/telemetry/"
EVENTS_ENDPOINT = "events"
RESERVED_ENDPOINTS = frozenset({EVENTS_ENDPOINT})
# The collections of `greenpower.mongo.schema.layout`; a test compares the two.
RESERVED_COLLECTIONS = frozenset(
    {
        "telemetry_events",
        "device_clocks",
        "reading_parts",
        "devices_seen",
        "ingest_watch",
        "device_settings",
        "rollup_marks",
        "rollup_mark_reads",
        "rollup_watermarks",
        "rollup_fields",
        "rollup_attempts",
        "counter_incidents",
        "command_answers",
        "schema",
    }
)


def endpoint_path(endpoint: str) -> str:
    """The address of an endpoint: `/api/telemetry/<endpoint>/`."""
    return f"{TELEMETRY_PATH}{endpoint}/"


def resource_path(datatype: DataType) -> str | None:
    """The address of a data type's resource; None if it has none."""
    return None if datatype.endpoint is None else endpoint_path(datatype.endpoint)


def room_name(datatype: DataType) -> str:
    """The Socket.IO room of a type's readings."""
    return f"type:{datatype.name}"


def job_name(datatype: DataType, tier: Tier) -> str:
    """The name of a tier's rollup job."""
    return f"{datatype.name}/{tier.prefix}"


def job_names(datatype: DataType) -> tuple[str, ...]:
    """The rollup jobs of a type, finest tier first."""
    return tuple(job_name(datatype, tier) for tier in datatype.tiers)


def counters(datatype: DataType) -> tuple[str, ...]:
    """The counters of a data type, anchors first."""
    names = [field.name for field in datatype.fields if field.kind is Kind.COUNTER]
    return tuple(sorted(names, key=lambda name: name not in datatype.anchors))


def name_problems(datatype: DataType) -> Iterator[str]:
    """One line for each name in a declaration that is reserved for the system."""
    if datatype.endpoint in RESERVED_ENDPOINTS:
        yield f"data type {datatype.name!r}: the endpoint {datatype.endpoint!r} is reserved for the system"
    for name in datatype.collections:
        if name in RESERVED_COLLECTIONS:
            yield f"data type {datatype.name!r}: the collection {name!r} is reserved for the system"
