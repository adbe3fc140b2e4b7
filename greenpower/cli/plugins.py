"""`greenpower plugins`: the loaded data types with everything derived from them; commands for new plugins."""

from __future__ import annotations

from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from greenpower.api.telemetry.schema import make_schemas
from greenpower.catalog.conflict import Loaded
from greenpower.catalog.facts import job_names, resource_path, room_name
from greenpower.catalog.registry import load_registry
from greenpower.catalog.retention import raw_retention, tier_retention
from greenpower.cli.kit import check, new, try_frame
from greenpower.config import Settings, load_settings
from greenpower.datatype import Field
from greenpower.mongo.schema.layout import Index, reading_indexes

TABLE_WIDTH = 120
DAY, HOUR, MINUTE = 86_400, 3_600, 60


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--fields/--no-fields", default=True, help="Include the fields.")
@click.pass_context
def plugins(context: click.Context, as_json: bool, fields: bool) -> None:
    """List the loaded data types; create, check and try plugins.

    The list shows everything that is derived from a declaration: collections, indexes, endpoint, jobs, fields.
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()
    registry = load_registry(settings.greenpower_site, settings.greenpower_plugins)
    summaries = [summary(loaded, settings) for loaded in registry.loaded]
    summaries += [
        {"name": item.loaded.datatype.name, "plugin": item.loaded.origin, "stopped": item.why}
        for item in (registry.stopped if as_json else ())
    ]
    if as_json:
        click.echo(orjson.dumps(summaries, option=orjson.OPT_INDENT_2))
        return
    for text in registry.warnings:
        click.echo(f"{text}\n")
    for item in summaries:
        click.echo(_text(item))
        if fields and item["fields"]:
            click.echo(_field_table(item["fields"]))


for _command in (new, check, try_frame):
    plugins.add_command(_command)


def summary(loaded: Loaded, settings: Settings) -> dict[str, Any]:
    """A data type and everything derived from it, as it is printed."""
    datatype = loaded.datatype
    schemas = make_schemas(datatype)
    tiers = {tier.prefix + datatype.collection: tier for tier in datatype.tiers}
    return {
        "name": datatype.name,
        "title": datatype.title,
        "plugin": loaded.origin,
        "topics": [claim.topic for claim in datatype.topics],
        "gathered_seconds": max((claim.gather for claim in datatype.topics if claim.gather is not None), default=None),
        "noted_topics": {claim.topic: claim.noted for claim in datatype.topics if claim.noted},
        "gateways": [claim.registration for claim in datatype.gateways],
        "dialled": [f"{claim.device or claim.protocol} at {claim.address}" for claim in datatype.dialled],
        "pushes": [claim.name for claim in datatype.pushes],
        "endpoint": resource_path(datatype),
        "collections": [
            {
                "name": name,
                "resolution": tiers[name].resolution if name in tiers else "raw",
                "kept_seconds": (tier_retention(tiers[name], settings) if name in tiers else raw_retention(settings)),
            }
            for name in datatype.collections
        ],
        "indexes": [_index(index) for index in reading_indexes(0)],
        "schemas": [schemas.page.__name__, schemas.reading.__name__, schemas.payload.__name__],
        "room": room_name(datatype),
        "jobs": list(job_names(datatype)),
        "stale_after_seconds": datatype.stale_after,
        "undeclared_numbers": "kept" if datatype.open else "left out",
        "fields": [_field(field) for field in datatype.fields],
    }


def _field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "sources": list(field.sources[1:]),
        "unit": field.unit,
        "kind": field.kind.value,
        "low": field.low,
        "high": field.high,
        "title": field.title,
    }


def _index(index: Index) -> str:
    return ", ".join(index.keys) + (" (unique)" if index.unique else "")


def _text(item: dict[str, Any]) -> str:
    notes = item["noted_topics"]
    rows = {
        "plugin": item["plugin"],
        "topics": ", ".join(
            f"{topic} (noted: {notes[topic]})" if topic in notes else topic for topic in item["topics"]
        ),
        "gathered": f"values within {item['gathered_seconds']:g} s" if item["gathered_seconds"] else "",
        "gateways": ", ".join(item["gateways"]),
        "dialled": ", ".join(item["dialled"]),
        "pushes": ", ".join(item["pushes"]),
        "endpoint": item["endpoint"] or "none",
        "collections": "\n".join(
            f"{collection['name']}, {collection['resolution']}, kept {_duration(collection['kept_seconds'])}"
            for collection in item["collections"]
        ),
        "indexes": "\n".join(item["indexes"]),
        "schemas": ", ".join(item["schemas"]),
        "room": item["room"],
        "jobs": ", ".join(item["jobs"]) or "none",
        "offline after": f"{item['stale_after_seconds']} s without a message",
        "undeclared": f"numbers are {item['undeclared_numbers']}",
    }
    lines = [f"{item['name']}: {item['title']}"]
    for name, text in rows.items():
        for number, line in enumerate(text.splitlines()):
            lines.append(f"  {name if number == 0 else '':<14}{line}")
    return "\n".join(lines)


def _field_table(fields: list[dict[str, Any]]) -> str:
    table = Table("field", "unit", "kind", "range", "what", "sent as", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for field in fields:
        low, high = ("" if limit is None else f"{limit:g}" for limit in (field["low"], field["high"]))
        limits = f"{low} … {high}" if low or high else ""
        sent = " ".join(field["sources"])
        table.add_row(field["name"], field["unit"], field["kind"], limits, field["title"], sent)
    console = Console(width=TABLE_WIDTH, color_system=None, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(f"  {line}".rstrip() for line in capture.get().splitlines()) + "\n"


def _duration(seconds: int) -> str:
    """A retention in its largest whole unit."""
    if seconds == 0:
        return "for ever"
    for length, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds % length == 0:
            return f"{seconds // length} {name if seconds > length else name.removesuffix('s')}"
    return f"{seconds} s"
