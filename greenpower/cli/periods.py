"""`greenpower periods`: closed months, at the console.

For administrators of the machine. The rules are those of the API, but nobody logs in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import select
from werkzeug.exceptions import HTTPException

from greenpower.api.energy.period_changes import close_month, reopen_month
from greenpower.api.energy.periods_schema import MONTH
from greenpower.api.http.context import get_context
from greenpower.app import create_app
from greenpower.cli.console import console_actor, console_audit
from greenpower.cli.table import print_table, shown_time
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.sql import ClosedPeriod, ServiceZone
from greenpower.sql.actor import acting
from greenpower.sql.extensions import db

HEADINGS = ("id", "month", "for", "closed", "by", "reason", "opened again", "by", "why")


@click.group()
def periods() -> None:
    """List months that are closed, close one, open one again."""


@periods.command("list")
def list_() -> None:
    """List closed months, the newest first."""
    with console_audit(load_settings()):
        rows = list(db.session.scalars(select(ClosedPeriod).order_by(ClosedPeriod.id.desc())))
        print_table(HEADINGS, [_row(period) for period in rows])


@periods.command()
@click.argument("month")
@click.option("--zone", help="Name of the service zone that it is closed for; default: the site.")
@click.option("--reason", default="", help="Why it is closed.")
def close(month: str, zone: str | None, reason: str) -> None:
    """Close MONTH, such as 2026-03.

    Energy, cost and CO2 of each meter point are kept as they are now.
    """
    if not MONTH.fullmatch(month):
        raise click.BadParameter("give a month such as 2026-03", param_hint="MONTH")
    with _api(load_settings()):
        number = None
        if zone is not None:
            number = db.session.scalar(select(ServiceZone.id).where(ServiceZone.name == zone))
            if number is None:
                raise ConfigError(f"--zone: there is none of the name {zone!r}")
        period = close_month({"month": month, "zone_id": number, "reason": reason})
        click.echo(f"{month} is closed as number {period.id}, with {len(period.figures)} meter points")


@periods.command()
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why it is opened again.")
def reopen(number: int, reason: str) -> None:
    """Open the closed month NUMBER again.

    Its figures stay to be read.
    """
    with _api(load_settings()):
        period = reopen_month(number, reason)
        click.echo(f"{period.month:%Y-%m} is open again")


@contextmanager
def _api(settings: Settings) -> Iterator[None]:
    """Within it, what the API does can be done. What it refuses becomes a ConfigError."""
    with console_audit(settings):
        pass
    app = create_app(settings)
    with app.app_context(), acting(console_actor()):
        try:
            yield
        except HTTPException as error:
            errors = getattr(error, "data", {}).get("errors")
            raise ConfigError(str(error.description) if not errors else str(errors)) from None
        finally:
            get_context().mongo.close()
            db.session.remove()
            db.engine.dispose()


def _row(period: ClosedPeriod) -> tuple[str, ...]:
    return (
        str(period.id),
        f"{period.month:%Y-%m}",
        period.scope or "site",
        shown_time(period.closed_at),
        period.closed_by or "",
        period.reason,
        shown_time(period.reopened_at),
        period.reopened_by or "",
        period.reopen_reason or "",
    )
