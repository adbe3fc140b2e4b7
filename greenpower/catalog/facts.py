"""Names and addresses that follow from the declaration of a data type. Pure.

What belongs here: names that several parts of the system share, and reserved names. What does not: objects built from a
declaration, such as schemas and the resource (`greenpower.api.telemetry.resource`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from greenpower.datatype import DataType, Kind, Tier
from greenpower.datatype.unit import energy_per_hour

HOUR, QUARTER = 3_600, 900
TELEMETRY_PATH = "/api/telemetry/"
EVENTS_ENDPOINT = "events"
RESERVED_ENDPOINTS = frozenset({EVENTS_ENDPOINT})
# The collections of `greenpower.mongo.schema.layout`; a test compares the two.
RESERVED_COLLECTIONS = frozenset(
    {
        "telemetry_events",
        "device_clocks",
        "device_sessions",
        "reading_parts",
        "message_times",
        "devices_seen",
        "ingest_watch",
        "device_settings",
        "rollup_marks",
        "rollup_mark_reads",
        "rollup_watermarks",
        "rollup_fields",
        "rollup_attempts",
        "counter_incidents",
        "corrections",
        "meter_exchanges",
        "energy_adjustments",
        "energy_intervals",
        "energy_days",
        "command_answers",
        "archive_manifest",
        "schema",
        "processes",
        "push_keys",
        "restores",
        "import_uploads",
        "wiring_findings",
        "notifications",
        "alarms",
        "alarm_progress",
        "outbound_positions",
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
    """The fields of a data type that have energy, counters and their kin, anchors first."""
    names = [field.name for field in datatype.fields if field.kind.has_energy]
    return tuple(sorted(names, key=lambda name: name not in datatype.anchors))


def registers(datatype: DataType) -> tuple[str, ...]:
    """Those of the counters that are registers, which show something when a meter is exchanged."""
    kinds = {field.name: field.kind for field in datatype.fields}
    return tuple(name for name in counters(datatype) if kinds[name].is_register)


def gather_seconds(datatypes: Iterable[DataType]) -> dict[str, float]:
    """Of the data types whose values come one by one, within how many seconds they are one reading: {name: seconds}."""
    return {datatype.name: datatype.gather_seconds for datatype in datatypes if datatype.gathers}


def kind_of(datatype: DataType, field: str) -> Kind:
    """The kind of a field; of one that is not declared, that of undeclared fields, which are gauges."""
    return next((item.kind for item in datatype.fields if item.name == field), Kind.GAUGE)


def ledger_tier(datatype: DataType) -> Tier | None:
    """The tier whose runs write the interval ledger of a type: the coarsest of whole quarter-hours, of an hour at most.

    None where the type has no such tier, or no counter: then it has no ledger.
    """
    if not counters(datatype):
        return None
    fitting = [tier for tier in datatype.tiers if tier.window and tier.window <= HOUR and not tier.window % QUARTER]
    return fitting[-1] if fitting else None


def energy_counters(datatype: DataType) -> tuple[str, ...]:
    """The counters of a data type that a greatest power of their device limits: those of energy units."""
    names = {field.name for field in datatype.fields if energy_per_hour(field.unit) is not None}
    return tuple(name for name in counters(datatype) if name in names)


def daily_counters(datatype: DataType) -> tuple[str, ...]:
    """The counters of a data type that begin again each local day of their device."""
    return tuple(field.name for field in datatype.fields if field.kind is Kind.DAILY)


def name_problems(datatype: DataType) -> Iterator[str]:
    """One line for each name in a declaration that is reserved for the system."""
    if datatype.endpoint in RESERVED_ENDPOINTS:
        yield f"data type {datatype.name!r}: the endpoint {datatype.endpoint!r} is reserved for the system"
    for name in datatype.collections:
        if name in RESERVED_COLLECTIONS:
            yield f"data type {datatype.name!r}: the collection {name!r} is reserved for the system"
