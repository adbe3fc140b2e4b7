"""`greenpower corrections`: what people put right. Here: energy; the other commands are in `sample_corrections`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from greenpower.api.energy.correction_audit import correction_change
from greenpower.api.energy.energy_corrections import check_energy_correction, energy_counts
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.cli.sample_corrections import exclude, factor, list_, withdraw
from greenpower.cli.time_option import EndOption, TimeOption
from greenpower.config import load_settings
from greenpower.measure.adjustment.estimate import EstimateMethod
from greenpower.mongo.client import sync_client
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, OverlapError, create
from greenpower.mongo.schema.layout import CORRECTIONS
from greenpower.mongo.schema.version import check_version
from greenpower.sql import AuditAction

# Who made it, where nobody is named.
COMMAND_LINE = "command line"
METHODS = [method.value for method in EstimateMethod]


@click.group()
def corrections() -> None:
    """List corrections, make and withdraw them."""


for command in (list_, exclude, factor, withdraw):
    corrections.add_command(command)


def _span_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of both commands."""
    for option in (
        click.option("--by", default=COMMAND_LINE, show_default=True, help="Who makes it."),
        click.option("--reason", required=True, help="Why it is made; it is kept with it."),
        click.option("--end", required=True, type=EndOption(), help="End of the span, on a quarter-hour; UTC."),
        click.option("--begin", required=True, type=TimeOption(), help="Begin of the span, on a quarter-hour; UTC."),
        click.option("--field", required=True, help="The counter."),
        click.option("--device", required=True, help="Id that the device sends."),
        click.option("--type", "type_name", required=True, help="Name of the data type."),
    ):
        command = option(command)
    return command


@corrections.command()
@_span_options
@click.option("--energy", required=True, type=float, help="Energy of the span, in the field's unit.")
def fix(energy: float, **span: Any) -> None:
    """Put a fixed energy in the place of what was counted in a span."""
    _make(CorrectionKind.FIXED, energy, None, **span)


@corrections.command()
@_span_options
@click.option("--method", required=True, type=click.Choice(METHODS), help="How the energy is spread.")
@click.option("--energy", type=float, help="Of a silence that goes on, to be spread evenly, in the field's unit.")
def estimate(method: str, energy: float | None, **span: Any) -> None:
    """Spread the energy of silences over them."""
    _make(CorrectionKind.ESTIMATE, energy, method, **span)


def _make(
    kind: CorrectionKind,
    energy: float | None,
    method: str | None,
    *,
    type_name: str,
    device: str,
    field: str,
    begin: datetime,
    end: datetime,
    reason: str,
    by: str,
) -> None:
    """Make a correction, and say its id. Raises ClickException for one that is impossible."""
    datatype = get_registry().get(type_name)
    if datatype is None:
        raise click.ClickException(f"There is no data type {type_name!r}.")
    body = {"field": field, "kind": kind, "begin": begin, "end": end, "energy": energy, "method": method}
    if errors := check_energy_correction(datatype, body):
        raise click.ClickException(" ".join(f"{name}: {' '.join(texts)}" for name, texts in errors.items()))
    new = NewCorrection(
        type=type_name,
        device_id=device,
        field=field,
        kind=kind,
        begin=begin,
        end=end,
        energy=energy_counts(energy),
        method=method,
        reason=reason,
        made_by=by,
    )
    settings = load_settings()
    with sync_client(settings) as client, console_audit(settings):
        db = client[settings.mongo_db_name]
        check_version(db)
        change = correction_change(AuditAction.CREATE, new.content())
        try:
            made = create(db[CORRECTIONS], new, unaudited(change))
        except OverlapError as error:
            raise click.ClickException(f"Correction {error.other['_id']} of this kind overlaps.") from None
        finish_change(db, change, made["_id"])
    click.echo(f"{made['_id']} {kind.value} {device} {field} {begin:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ}")
