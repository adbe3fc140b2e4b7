"""`greenpower devices exchange`: a meter that is replaced by another, as one step.

For administrators of the machine. The rules are those of the API (`greenpower.api.energy.exchange`), but nobody logs
in: the user is `console`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from pymongo.errors import PyMongoError
from sqlalchemy.exc import DBAPIError

from greenpower.api.energy.exchange import ExchangeError, propose, record, revoke
from greenpower.api.http.context import database, get_context
from greenpower.app import create_app
from greenpower.cli.console import console_actor
from greenpower.cli.table import print_table, shown_time
from greenpower.cli.time_option import TimeOption
from greenpower.config import ConfigError, load_settings
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.exchanges import active_exchange
from greenpower.mongo.schema.layout import EXCHANGES
from greenpower.mongo.schema.version import check_at_start
from greenpower.sql.actor import acting
from greenpower.sql.extensions import db
from greenpower.sql.replacement import device_of

CONSOLE = "console"
HEADINGS = ("type", "counter", "last of the old", "first of the new", "the exchange counts")


@click.command()
@click.argument("device_id")
@click.option("--at", required=True, type=TimeOption(), help="When the meter was replaced; UTC if no offset is given.")
@click.option("--new-device", default=None, metavar="ID", help="Id that the new meter sends, if it is another.")
@click.option(
    "--register",
    "registers",
    multiple=True,
    metavar="TYPE.COUNTER=LAST/FIRST",
    help="Registers of the old and the new meter, of one counter; either may be left out. Can be repeated.",
)
@click.option("--reason", default="", help="Why; kept with the exchange.")
@click.option("--revoke", "undo", is_flag=True, help="Revoke the exchange of this time.")
@click.option("--dry-run", is_flag=True, help="Only show what it would be.")
def exchange(
    device_id: str,
    at: datetime,
    new_device: str | None,
    registers: tuple[str, ...],
    reason: str,
    undo: bool,
    dry_run: bool,
) -> None:
    """Replace a meter by another, or revoke that.

    Registers that are not given are those that the meters sent next to the time. Example: greenpower devices exchange
    33B1225950027 --at 2026-11-10T09:30+06:00 --register TYPE.zygsz=48211.7/0.2 --reason "meter worn out"
    """
    if not (dry_run or reason):
        raise ConfigError("give a reason: --reason")
    readings = _read(registers)
    with _app():
        device = device_of(db.session, device_id)
        if device is None:
            raise ConfigError(f"no device {device_id!r}; `greenpower devices list` shows them")
        if undo:
            found = active_exchange(database()[EXCHANGES], device_id, at)
            if found is None:
                raise ConfigError(f"{device_id} has no exchange at {shown_time(at)}")
            revoke(found, CONSOLE, reason)
            click.echo("revoked; the energy is as it was before once the rollups have run")
            return
        proposal = propose(device, at, new_device)
        print_table(HEADINGS, [_row(row, readings) for row in proposal["results"]])
        if not dry_run:
            body = {"at": at, "new_device_id": new_device, "readings": readings, "reason": reason}
            record(device, body, CONSOLE)
            click.echo("recorded; the energy is computed again by the next run of the rollups")


@contextmanager
def _app() -> Iterator[None]:
    """Within it, the functions of the API can be used. Raises ConfigError with one line for what goes wrong."""
    try:
        settings = load_settings()
        check_at_start(settings)
        with create_app(settings).app_context(), acting(console_actor()):
            try:
                yield
            finally:
                get_context().mongo.close()
                db.session.remove()
                db.engine.dispose()
    except ExchangeError as error:
        raise ConfigError("; ".join(_texts(error.errors)) if error.errors else str(error)) from None
    except (PyMongoError, DBAPIError) as error:
        raise ConfigError(" ".join(str(error).split())[:300]) from None


def _texts(errors: Any) -> Iterator[str]:
    """All texts in a tree of errors."""
    if isinstance(errors, str):
        yield errors
    else:
        for part in errors.values() if hasattr(errors, "values") else errors:
            yield from _texts(part)


def _read(registers: tuple[str, ...]) -> dict[str, dict[str, dict[str, float | None]]]:
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for text in registers:
        place, equals, values = text.partition("=")
        name, dot, field = place.partition(".")
        last, slash, first = values.partition("/")
        try:
            pair = {"last": float(last) if last else None, "first": float(first) if first else None}
        except ValueError:
            slash = ""
        if not (equals and dot and slash):
            raise ConfigError(f"--register {text!r} is not of the form TYPE.COUNTER=LAST/FIRST")
        found.setdefault(name, {})[field] = pair
    return found


def _row(row: Document, readings: dict[str, dict[str, dict[str, float | None]]]) -> tuple[str, ...]:
    """A counter as it will be: its registers, and what both meters counted between the readings next to it."""
    given = readings.get(row["type"], {}).get(row["field"], {"last": None, "first": None})
    before, after = (None if row[side] is None else row[side]["value"] for side in ("before", "after"))
    last = before if given["last"] is None else given["last"]
    first = after if given["first"] is None else given["first"]
    counted = 0.0
    if before is not None and last is not None:
        counted += last - before
    if after is not None and first is not None:
        counted += after - first
    shown = ("" if value is None else f"{value:.10g}" for value in (last, first))
    return row["type"], row["field"], *shown, f"{counted:.6g} {row['unit']}"
