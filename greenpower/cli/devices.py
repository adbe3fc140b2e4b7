"""`greenpower devices`: the devices, their clocks and frames, and commands to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from greenpower.cli.check import check
from greenpower.cli.exchange import exchange
from greenpower.cli.listen import listen
from greenpower.cli.table import print_table, shown_time
from greenpower.cli.tell import commands, tell
from greenpower.cli.unconfirmed import confirm, delete, unconfirmed
from greenpower.config import load_settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.devices.document import SeenDocument
from greenpower.mongo.devices.powers import read_powers
from greenpower.mongo.devices.seen import read_seen
from greenpower.mongo.events.books import Account, read_ledger
from greenpower.mongo.events.store import Outcome
from greenpower.mongo.schema.layout import CLOCKS, EVENTS, SEEN

CLOCK_HEADINGS = ("device", "offset", "usual lag", "stuck")
LEDGER_HEADINGS = ("type", "device", "received", *Outcome, "reasons")
SEEN_HEADINGS = ("type", "device", "first message", "last message", "last reading", "greatest power")


@click.group()
def devices() -> None:
    """List devices and send them commands."""


devices.add_command(check)
devices.add_command(commands)
devices.add_command(exchange)
devices.add_command(listen)
devices.add_command(tell)
devices.add_command(unconfirmed)
devices.add_command(confirm)
devices.add_command(delete)


@devices.command()
def clocks() -> None:
    """Show the clock of each device.

    Shows the offset of a wrong clock, the usual lag, and the timestamp at which a clock is stuck.
    """
    settings = load_settings()
    with sync_client(settings) as client:
        rows = [_clock_row(document) for document in client[settings.mongo_db_name][CLOCKS].find().sort("_id")]
    print_table(CLOCK_HEADINGS, rows)


@devices.command("list")
@click.option("--type", "name", default=None, help="Only this data type.")
def list_(name: str | None) -> None:
    """List devices with first and last message, and greatest power."""
    settings = load_settings()
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        powers = read_powers(db)
        rows = [_seen_row(document, powers.get(document["device_id"])) for document in read_seen(db[SEEN], name)]
    print_table(SEEN_HEADINGS, rows)


@devices.command()
@click.option("--device", "device_id", default=None, help="Only this device.")
@click.option(
    "--hours", type=click.FloatRange(min=0, min_open=True), default=24.0, show_default=True, help="How many hours back."
)
def ledger(device_id: str | None, hours: float) -> None:
    """Count the frames of each device by outcome."""
    settings = load_settings()
    since = datetime.now(UTC) - timedelta(hours=hours)
    with sync_client(settings) as client:
        accounts = read_ledger(client[settings.mongo_db_name][EVENTS], since=since, device_id=device_id)
    print_table(LEDGER_HEADINGS, [_ledger_row(account) for account in accounts])


def _ledger_row(account: Account) -> tuple[str, ...]:
    counts = (str(account.outcomes.get(outcome.value, 0)) for outcome in Outcome)
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(account.reasons.items()))
    return account.type_name or "-", account.device_id or "-", str(account.received), *counts, reasons


def _seen_row(document: SeenDocument, power: float | None) -> tuple[str, ...]:
    times = (
        shown_time(time) for time in (document.get("first_seen"), document["last_heard"], document.get("last_reading"))
    )
    return document["type"], document["device_id"], *times, "" if power is None else f"{power:g} kW"


def _clock_row(document: Document) -> tuple[str, ...]:
    stuck = ", ".join(f"{name} at {shown_time(stamp)}" for name, stamp in document.get("stuck", {}).items())
    return document["_id"], _seconds(document.get("offset_ms")), _seconds(document.get("lag_ms")), stuck


def _seconds(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f"{milliseconds / 1000:+.1f} s"
