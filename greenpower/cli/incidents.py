"""`greenpower incidents`: incidents of counters, and decisions on them.

For administrators of the machine. The rules are those of the API, but nobody logs in: the user is `console`.
"""

from __future__ import annotations

import click
from bson import ObjectId

from greenpower.api.energy.correction_audit import decision_change
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.cli.sample_corrections import corrections_database
from greenpower.cli.table import print_table, shown_time
from greenpower.cli.tell import CONSOLE
from greenpower.config import ConfigError
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.late_decision import decide_at_any_time
from greenpower.mongo.rollups.decisions import NotDecidableError, kind_of
from greenpower.mongo.rollups.incident_changes import invalidate_changed_incidents
from greenpower.mongo.rollups.incidents import CONFIRMED, NOTED, OPEN, REJECTED
from greenpower.mongo.rollups.tier_view import read_tier_views
from greenpower.mongo.schema.layout import INCIDENTS

MAX_LISTED_INCIDENTS = 1_000
HEADINGS = ("id", "type", "device", "field", "time", "incident", "status", "before", "value", "decided by", "reason")


@click.group()
def incidents() -> None:
    """List incidents of counters and decide on them."""


@incidents.command("list")
@click.option("--status", type=click.Choice((NOTED, OPEN, CONFIRMED, REJECTED)), default=None, help="Only these.")
@click.option("--type", "name", default=None, help="Only this data type.")
@click.option("--device", "device_id", default=None, help="Only this device.")
def list_(status: str | None, name: str | None, device_id: str | None) -> None:
    """List incidents, newest first, 1000 at most."""
    given = (("status", status), ("type", name), ("device_id", device_id))
    query: Document = {"current": True, **{key: value for key, value in given if value is not None}}
    with corrections_database() as (db, _):
        found = db[INCIDENTS].find(query).sort("at", -1).limit(MAX_LISTED_INCIDENTS)
        rows = [_row(document) for document in found]
    print_table(HEADINGS, rows)


@incidents.command()
@click.argument("incident")
@click.option("--reason", default="", help="Why.")
def confirm(incident: str, reason: str) -> None:
    """Decide that an incident is as it says."""
    _decide(incident, CONFIRMED, reason)


@incidents.command()
@click.argument("incident")
@click.option("--reason", default="", help="Why.")
def reject(incident: str, reason: str) -> None:
    """Decide that an incident is a reading error."""
    _decide(incident, REJECTED, reason)


@incidents.command()
@click.argument("incident")
@click.option("--reason", default="", help="Why.")
def withdraw(incident: str, reason: str) -> None:
    """Withdraw the decision on an incident."""
    _decide(incident, OPEN, reason)


def _decide(incident: str, status: str, reason: str) -> None:
    with corrections_database() as (db, settings), console_audit(settings):
        found = db[INCIDENTS].find_one({"_id": ObjectId(incident)}) if ObjectId.is_valid(incident) else None
        if found is None:
            raise ConfigError(f"unknown incident {incident}; `greenpower incidents list` shows them")
        datatype = get_registry().get(found["type"])
        whole_from = None if datatype is None else read_tier_views(db, datatype, settings)[0].whole_from
        change = decision_change(found, status, reason)
        entry = unaudited(change, found["_id"])
        try:
            decided = decide_at_any_time(db, datatype, whole_from, found, status, CONSOLE, reason, entry)
        except NotDecidableError as error:
            raise ConfigError(str(error)) from None
        finish_change(db, change, found["_id"])
        invalidate_changed_incidents(db, get_registry(), settings, [found["_id"]])
    click.echo(f"{incident} is {decided['status']}")


def _row(document: Document) -> tuple[str, ...]:
    return (
        str(document["_id"]),
        *(document[key] for key in ("type", "device_id", "field")),
        shown_time(document["at"]),
        kind_of(document).value,
        document["status"],
        *("" if document.get(key) is None else f"{document[key]}" for key in ("before", "value")),
        document.get("decided_by") or "",
        document.get("reason") or "",
    )
