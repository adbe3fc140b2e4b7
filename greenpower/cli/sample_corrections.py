"""`greenpower corrections list|exclude|factor|withdraw`: what people put right in what devices sent.

For administrators of the machine. The rules are those of the API, but nobody logs in: the user is `console`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from bson import ObjectId
from pymongo.database import Database

from greenpower.api.energy.correction_audit import correction_change
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.archive.database import open_database
from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.cli.table import print_table, shown_time
from greenpower.cli.tell import CONSOLE
from greenpower.cli.time_option import TimeOption
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.corrections.check import expired, sample_problems
from greenpower.mongo.corrections.document import OF_SAMPLES, CorrectionDocument, CorrectionKind
from greenpower.mongo.corrections.store import (
    NewCorrection,
    NotRevocableError,
    OverlapError,
    create,
    revoke,
)
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.schema.layout import CORRECTIONS, ensure_indexes
from greenpower.mongo.schema.version import check_version
from greenpower.sql import AuditAction

HEADINGS = ("id", "type", "device", "field", "kind", "begin", "end", "value", "made by", "withdrawn by", "reason")


@click.command("list")
@click.option("--type", "name", default=None, help="Only this data type.")
@click.option("--device", "device_id", default=None, help="Only this device.")
@click.option("--all", "every", is_flag=True, help="Withdrawn ones, too.")
def list_(name: str | None, device_id: str | None, every: bool) -> None:
    """List corrections, newest begin first."""
    query: Document = {} if every else {"revoked_at": None}
    query |= {key: value for key, value in (("type", name), ("device_id", device_id)) if value is not None}
    with corrections_database() as (db, _):
        rows = [_row(document) for document in db[CORRECTIONS].find(query).sort([("begin", -1), ("_id", -1)])]
    print_table(HEADINGS, rows)


@click.command()
@click.argument("device_id")
@click.argument("field")
@click.option("--type", "name", required=True, help="Data type.")
@click.option("--since", type=TimeOption(), required=True, help="First time, ISO 8601, UTC if no offset is given.")
@click.option("--until", type=TimeOption(), default=None, help="First time after it. Default: no end yet.")
@click.option("--reason", default="", help="Why.")
def exclude(device_id: str, field: str, name: str, since: datetime, until: datetime | None, reason: str) -> None:
    """Leave the samples of a field out, from a time on.

    Example: greenpower corrections exclude 33B1225950027 ua --type TYPE --since 2026-11-20 --until 2026-11-21
    """
    _make(device_id, field, name, CorrectionKind.EXCLUSION, since, until, reason)


@click.command()
@click.argument("device_id")
@click.argument("field")
@click.argument("factor", type=float)
@click.option("--type", "name", required=True, help="Data type.")
@click.option("--since", type=TimeOption(), required=True, help="First time, ISO 8601, UTC if no offset is given.")
@click.option("--until", type=TimeOption(), default=None, help="First time after it. Default: no end yet.")
@click.option("--reason", default="", help="Why.")
def factor(
    device_id: str, field: str, factor: float, name: str, since: datetime, until: datetime | None, reason: str
) -> None:
    """Multiply the samples of a field, from a time on.

    Example: greenpower corrections factor 33B1225950027 zygsz 0.001 --type TYPE --since 2026-11-20T00:45
    """
    _make(device_id, field, name, CorrectionKind.FACTOR, since, until, reason, factor)


@click.command()
@click.argument("correction")
@click.option("--reason", default="", help="Why.")
def withdraw(correction: str, reason: str) -> None:
    """Withdraw a correction."""
    with corrections_database() as (db, settings), console_audit(settings):
        found = db[CORRECTIONS].find_one({"_id": ObjectId(correction)}) if ObjectId.is_valid(correction) else None
        if found is None:
            raise ConfigError(f"unknown correction {correction}; `greenpower corrections list` shows them")
        if found.get("group") is not None:
            raise ConfigError("it belongs to a meter exchange: withdraw that")
        datatype = get_registry().get(found["type"])
        if found["kind"] in OF_SAMPLES and datatype is not None:
            _refuse(expired(db, datatype, settings, found["begin"]))
        change = correction_change(AuditAction.REVOKE, found, withdrawn=True, reason=reason)
        try:
            revoke(db[CORRECTIONS], found["_id"], CONSOLE, reason, unaudited(change))
        except NotRevocableError:
            raise ConfigError(f"correction {correction} is withdrawn already") from None
        finish_change(db, change, found["_id"])
        invalidate_changed_corrections(db, get_registry(), settings, [found["_id"]])
    click.echo(f"withdrawn: {correction}")


def _make(
    device_id: str,
    field: str,
    name: str,
    kind: CorrectionKind,
    begin: datetime,
    end: datetime | None,
    reason: str,
    value: float | None = None,
) -> None:
    datatype = get_registry().get(name)
    if datatype is None:
        raise ConfigError(f"no data type {name!r}; there are {', '.join(item.name for item in get_registry())}")
    problems = sample_problems(datatype, field, kind, begin, end, value)
    if problems:
        raise ConfigError("\n".join(f"{key}: {' '.join(texts)}" for key, texts in sorted(problems.items())))
    new = NewCorrection(
        type=name,
        device_id=device_id,
        field=field,
        kind=kind,
        begin=begin.astimezone(UTC),
        end=end,
        factor=value,
        reason=reason,
        made_by=CONSOLE,
    )
    with corrections_database() as (db, settings), console_audit(settings):
        _refuse(expired(db, datatype, settings, begin))
        change = correction_change(AuditAction.CREATE, new.content())
        try:
            made = create(db[CORRECTIONS], new, unaudited(change))
        except OverlapError as error:
            raise ConfigError(f"correction {error.other['_id']} of this kind overlaps") from None
        finish_change(db, change, made["_id"])
        invalidate_changed_corrections(db, get_registry(), settings, [made["_id"]])
    click.echo(f"correction {made['_id']} is in force")


def _refuse(problem: str | None) -> None:
    if problem is not None:
        raise ConfigError(problem)


def _row(document: Document | CorrectionDocument) -> tuple[str, ...]:
    value = document.get("factor") or document.get("method") or document.get("register")
    shown = "" if value is None else f"{value}"
    return (
        str(document["_id"]),
        *(document[key] for key in ("type", "device_id", "field", "kind")),
        *(shown_time(document[key]) for key in ("begin", "end")),
        shown,
        document["made_by"],
        document.get("revoked_by") or "",
        document["reason"],
    )


@contextmanager
def corrections_database() -> Iterator[tuple[Database[Document], Settings]]:
    """The database, ready for what is decided in it."""
    settings = load_settings()
    with sync_client(settings) as client:
        held = client[settings.mongo_db_name]
        check_version(held)
        ensure_indexes(held, get_registry(), settings)
        yield open_database(client, settings), settings
