"""`greenpower report`: a report of a week or a month as a file, for an administrator of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from sqlalchemy import select
from werkzeug.exceptions import HTTPException

from greenpower.api.energy.report import find_report
from greenpower.api.http.context import get_context
from greenpower.app import create_app
from greenpower.cli.atomic_file import write_whole
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.datatype.carrier import Carrier
from greenpower.energy.calendar import Unit
from greenpower.reports.form import FONTS_FOLDER, ReportForm, render_report
from greenpower.reports.period import REPORT_UNITS
from greenpower.reports.report import Report
from greenpower.sql import ServiceZone
from greenpower.sql.extensions import db


@click.command()
@click.option(
    "--period", "unit", type=click.Choice([unit.value for unit in REPORT_UNITS]), default=Unit.MONTH.value,
    show_default=True, help="Length of what is reported.",
)  # fmt: skip
@click.option("--start", help="Which one: 2026-10, 2026-W44, or a day in it. Default: the newest that has ended.")
@click.option("--zone", help="Name of a service zone. Default: the whole site.")
@click.option(
    "--carrier", type=click.Choice([carrier.value for carrier in Carrier]), default=Carrier.ELECTRICITY.value,
    show_default=True, help="What the meter points measure.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), required=True,
    help="File to write: .html, .pdf, .xlsx or .json.",
)  # fmt: skip
def report(unit: str, start: str | None, zone: str | None, carrier: str, output: Path) -> None:
    """Write a report of a week or a month.

    The form follows from the ending of the file's name.
    """
    try:
        form = ReportForm(output.suffix.lower().lstrip("."))
    except ValueError:
        raise ConfigError(
            f"--output: give a name that ends with {', '.join(f'.{form}' for form in ReportForm)}"
        ) from None
    settings = load_settings()
    found = ask_report(settings, Unit(unit), start, Carrier(carrier), ZoneInfo(settings.device_timezone), zone)
    file = render_report(found, form, fonts=settings.greenpower_home / FONTS_FOLDER)
    write_whole(output, file.data)
    click.echo(f"{output}: {found.title}")


def ask_report(
    settings: Settings, unit: Unit, start: str | None, carrier: Carrier, tz: ZoneInfo, zone: str | int | None
) -> Report:
    """A report as the API makes it. zone: name or id of a service zone; None: the site. Raises ConfigError."""
    query: dict[str, Any] = {"period": unit, "tz": tz, "carrier": carrier}
    if start is not None:
        query["start"] = start
    with api_context(settings):
        if zone is not None:
            column = ServiceZone.id if isinstance(zone, int) else ServiceZone.name
            query["zone_id"] = db.session.scalar(select(ServiceZone.id).where(column == zone))
            if query["zone_id"] is None:
                raise ConfigError(f"--zone: there is none of the name {zone!r}")
        return find_report(query)


@contextmanager
def api_context(settings: Settings) -> Iterator[None]:
    """Within it, what the API finds out can be asked. What it refuses becomes a ConfigError."""
    app = create_app(settings)
    with app.app_context():
        try:
            yield
        except HTTPException as error:
            errors = getattr(error, "data", {}).get("errors")
            raise ConfigError(str(error.description) if not errors else str(errors)) from None
        finally:
            get_context().mongo.close()
            db.session.remove()
            db.engine.dispose()
