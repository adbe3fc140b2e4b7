"""`greenpower import`: store the readings of a file.

For administrators of the machine. What belongs here: options, the bar, the report. What does not: the import itself
(`greenpower.importing`), uploads (`greenpower.api.telemetry.imports`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from greenpower.archive.errors import ArchiveFileError
from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.config import Settings, load_settings
from greenpower.datatype import DataType
from greenpower.importing.audit import note_import
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.known_devices import ImportDevices
from greenpower.importing.mapping import Mapping, make_mapping, read_mapping
from greenpower.importing.run import OpenedFile, open_file, run_import
from greenpower.importing.source_file import FILE_FORMATS
from greenpower.importing.tally import Tally
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.schema.version import check_at_start
from greenpower.sql.actor import current_actor
from greenpower.sql.extensions import db


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--type", "name", required=True, help="Data type.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FILE_FORMATS),
    default=None,
    help="Format of the file. Default: by its content.",
)
@click.option(
    "--map",
    "map_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="TOML file that says what the columns are.",
)
@click.option("--device", "device_id", default=None, help="Device of all rows.")
@click.option("--timezone", default=None, help="Time zone of times without an offset, such as Europe/Berlin.")
@click.option("--ignore-unknown", is_flag=True, help="Skip columns that match no field.")
@click.option(
    "--new-devices/--known-devices",
    default=False,
    help="Register devices that are not in the registry, or refuse their rows.  [default: known-devices]",
)
@click.option("--dry-run", is_flag=True, help="Check the file and count, without storing anything.")
def import_(
    file: Path,
    name: str,
    form: Any,
    map_file: Path | None,
    device_id: str | None,
    timezone: str | None,
    ignore_unknown: bool,
    new_devices: bool,
    dry_run: bool,
) -> None:
    """Store readings from a file, of any age.

    CSV, NDJSON and Parquet, also as .gz; a file of `greenpower export` can be given as it is. Columns are found by the
    names of fields, with the unit behind them (`energy [Wh]`), or by --map. Interrupted, it can be run again: what is
    stored already is a duplicate. Exits with status 1 if anything was refused.
    """
    settings, registry = load_settings(), get_registry()
    datatype = registry.get(name)
    if datatype is None:
        raise click.BadParameter(f"no data type {name!r}; there are {', '.join(item.name for item in registry)}")
    try:
        mapping = _mapping(map_file, device_id, timezone, ignore_unknown)
        with file.open("rb") as data:
            opened = open_file(data, datatype, mapping, form)
            check_at_start(settings)
            with running(settings, "import"), console_audit(settings):
                tally = _run(opened, datatype, settings, file.name, new_devices=new_devices, dry_run=dry_run)
    except (ImportFileError, ArchiveFileError) as error:
        raise click.ClickException(str(error)) from None
    except PyMongoError as error:
        text = (
            f"MongoDB: {' '.join(str(error).split())[:200]}; run it again: what is stored already is a duplicate then"
        )
        raise click.ClickException(text) from None
    _print(tally, dry_run)
    if not tally.is_clean:
        raise SystemExit(1)


def _mapping(map_file: Path | None, device_id: str | None, timezone: str | None, ignore_unknown: bool) -> Mapping:
    try:
        mapping = make_mapping({}) if map_file is None else read_mapping(map_file.read_text("utf-8"))
    except UnicodeDecodeError:
        raise ImportFileError("mapping: it is not UTF-8") from None
    changes = {"device_id": device_id, "timezone": timezone, "ignore_unknown": True if ignore_unknown else None}
    return mapping.changed(**changes)


def _run(
    opened: OpenedFile, datatype: DataType, settings: Settings, file_name: str, *, new_devices: bool, dry_run: bool
) -> Tally:
    actor = current_actor()
    by = actor.name if actor is not None else "import"
    devices = ImportDevices(db.session, settings, datatype.name, registers=new_devices, by=by)
    tally = Tally()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    # The bar is for a person; the report is on stdout.
    try:
        with Progress(*columns, transient=True, console=Console(stderr=True)) as progress:
            task = progress.add_task("rows", total=1.0)
            for tally in run_import(opened, datatype, settings, devices, dry_run=dry_run):
                progress.update(task, completed=opened.progress, description=f"{tally.rows} rows")
    finally:
        if not dry_run:
            note_import(db.session, datatype.name, file_name, opened.form, tally)
    return tally


def _print(tally: Tally, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    refused = tally.refused.total()
    click.echo(
        f"{tally.rows} rows: {tally.stored} {would}stored, {tally.duplicate} duplicates, {refused} {would}refused"
    )
    for title, counts in (("refused", tally.refused), ("values left out", tally.left_out)):
        for reason, count in sorted(counts.items()):
            click.echo(f"  {title}: {count} {reason}")
    if tally.conflicts:
        click.echo(f"  {tally.conflicts} rows have another value than is stored; what was there first stays")
    if tally.repeated_hour:
        click.echo(f"  {tally.repeated_hour} rows lie in an hour that the zone repeats, told apart by their order")
    if tally.registered:
        click.echo(f"  registered: {', '.join(tally.registered)}")
    if tally.unknown:
        click.echo(f"  not in the registry: {', '.join(tally.unknown)} (--new-devices registers them)")
    for problem in tally.problems:
        click.echo(problem.text, err=True)
    if tally.error:
        click.echo(f"the file breaks off: {tally.error}", err=True)
