"""`greenpower devices check`: what the checks of the wiring say of a day, at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from greenpower.catalog.registry import get_registry
from greenpower.cli.table import print_table
from greenpower.config import load_settings
from greenpower.energy.site import read_site
from greenpower.mongo.client import sync_client
from greenpower.sql.session import sql_session
from greenpower.wiring.ask import CheckAnswer
from greenpower.wiring.outcome import Passed, WiringFinding
from greenpower.wiring.run import CheckedSite, check_devices, day_of

CHECK_HEADINGS = ("device", "circuit", "check", "answer")


@click.command()
@click.argument("device", required=False)
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="This local day. Default: the last 24 hours.")
def check(device: str | None, day: datetime | None) -> None:
    """Check the wiring of a device, or of all.

    Prints what each check found, that it found nothing, or why it could not be asked; of all devices only what was
    found. Nothing is stored: the worker does that once a day.
    """
    settings, registry = load_settings(), get_registry()
    with sql_session(settings) as session:
        energy = read_site(session)
    begin, end = day_of(day, settings, datetime.now(UTC))
    rows: list[tuple[str, ...]] = []
    devices = found = 0
    started = time.monotonic()
    with sync_client(settings) as client:
        site = CheckedSite(db=client[settings.mongo_db_name], registry=registry, settings=settings, energy=energy)
        for name, answers in check_devices(site, begin, end, device):
            devices += 1
            for answer in answers:
                is_found = isinstance(answer.outcome, WiringFinding)
                found += is_found
                if is_found or device is not None:
                    rows.append((name, answer.circuit, answer.check.name, shown(answer)))
    if device is not None and not devices:
        raise click.ClickException(f"{device} measured no electrical quantity in that time")
    print_table(CHECK_HEADINGS, rows)
    click.echo(f"{devices} devices checked, {found} findings, {time.monotonic() - started:.1f} s")


def shown(answer: CheckAnswer) -> str:
    """What a check says, in one line."""
    outcome = answer.outcome
    if isinstance(outcome, Passed):
        return f"ok ({outcome.samples} samples)"
    if not isinstance(outcome, WiringFinding):
        return f"not asked: {outcome.reason}"
    follows = f" Follows from {outcome.follows}." if outcome.follows else f" On site: {outcome.fault.look}"
    return (
        f"{outcome.fault.title} ({outcome.name}, {outcome.certainty}). {outcome.saw} "
        f"In {outcome.faulty} of {outcome.samples} samples.{follows}"
    )
