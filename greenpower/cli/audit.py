"""`greenpower audit`: who changed what, for an administrator of the machine."""

from __future__ import annotations

from datetime import datetime

import click
import orjson

from greenpower.api.system.audit_file import CSV, NDJSON, audit_file
from greenpower.cli.sql import sql_database
from greenpower.cli.table import print_table, shown_time
from greenpower.cli.time_option import EndOption, TimeOption
from greenpower.config import load_settings
from greenpower.sql import AuditAction, AuditEntry, AuditObject
from greenpower.sql.audit_read import AuditFilter, audit_batches, matching
from greenpower.sql.extensions import db

HEADINGS = ("number", "time", "who", "from", "action", "what", "id", "name", "before", "after")
TABLE = "table"
MAX_LISTED_ENTRIES = 1_000


@click.command()
@click.option("--who", "actor", default=None, help="Only this user, key (key-…) or console user (cli:…).")
@click.option("--action", type=click.Choice([action.value for action in AuditAction]), default=None, help="Only these.")
@click.option("--what", type=click.Choice([kind.value for kind in AuditObject]), default=None, help="Only these.")
@click.option("--id", "object_id", default=None, help="Only changes of the object with this id.")
@click.option("--name", default=None, help="Only changes of the object with this name, or of this device.")
@click.option("--since", type=TimeOption(), default=None, help="From this time on, ISO 8601, UTC.")
@click.option("--until", type=EndOption(included=True), default=None, help="Up to this time; of a date, all of it.")
@click.option(
    "--format",
    "form",
    type=click.Choice((TABLE, CSV, NDJSON)),
    default=TABLE,
    show_default=True,
    help=f"A table of the newest {MAX_LISTED_ENTRIES}, newest first; or all, oldest first.",
)
def audit(
    actor: str | None,
    action: str | None,
    what: str | None,
    object_id: str | None,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
    form: str,
) -> None:
    """Show who changed what, and who sent which command.

    Users, keys, devices, zones, corrections, incidents and meters, with the values before and after.
    """
    wanted = AuditFilter(
        actor=actor,
        action=action,
        object_type=what,
        object_id=object_id,
        object_name=name,
        start_time=since,
        end_time=until,
    )
    with sql_database(load_settings()):
        statement = matching(wanted)
        if form != TABLE:
            for part in audit_file(audit_batches(db.engine, statement), form):
                click.echo(part, nl=False)
            return
        newest = statement.order_by(AuditEntry.id.desc()).limit(MAX_LISTED_ENTRIES)
        print_table(HEADINGS, [_row(entry) for entry in db.session.scalars(newest)])


def _row(entry: AuditEntry) -> tuple[str, ...]:
    what = (entry.action, entry.object_type, entry.object_id, entry.object_name)
    values = ("" if side is None else orjson.dumps(side).decode() for side in (entry.before, entry.after))
    return str(entry.id), shown_time(entry.at), entry.actor, entry.address or "", *what, *values
