"""`greenpower export`: write the rows of a span to a file."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from greenpower.api.telemetry.export_format import FORMATS, NDJSON, SHAPES, columns_of, make_writer
from greenpower.api.telemetry.parameters import unknown_field
from greenpower.archive.database import open_database
from greenpower.catalog.registry import get_registry
from greenpower.cli.time_option import EndOption, TimeOption
from greenpower.config import load_settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.devices.known import known_devices
from greenpower.mongo.rollups.export import stream
from greenpower.mongo.rollups.named_corrections import naming
from greenpower.mongo.rollups.present import presenter, row_projection
from greenpower.mongo.rollups.rows import RowQuery, Rows
from greenpower.mongo.rollups.tier_view import RAW, read_tier_views


@click.command()
@click.option("--type", "name", required=True, help="Data type.")
@click.option(
    "--since", type=TimeOption(), default=None, help="First time, ISO 8601, UTC if no offset is given. Default: all."
)
@click.option(
    "--until",
    type=EndOption(included=True),
    default=None,
    help="Last time, included; a date alone: to the end of that day. Default: all.",
)
@click.option("--device", "devices", multiple=True, help="Only this device. Can be repeated.")
@click.option("--field", "fields", multiple=True, help="Only this field. Can be repeated.")
@click.option("--resolution", default=RAW, show_default=True, help="raw, or the resolution of a tier.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default=NDJSON, show_default=True, help="Format of the file."
)
@click.option("--corrections", is_flag=True, help="In CSV and Parquet a last column with the corrections of a row.")
@click.option(
    "--shape",
    type=click.Choice(SHAPES),
    default=None,
    help="CSV: a line per row (wide) or per value (narrow). Default: wide with --field, or for a type with few fields.",
)
@click.option("--units/--no-units", default=True, help="CSV: tell the units.  [default: units]")
@click.option("--gzip", is_flag=True, help="Compress with gzip.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    help="File to write. Default: standard output.",
)
def export(
    name: str,
    since: datetime | None,
    until: datetime | None,
    devices: tuple[str, ...],
    fields: tuple[str, ...],
    resolution: str,
    form: str,
    corrections: bool,
    shape: str | None,
    units: bool,
    gzip: bool,
    output: str,
) -> None:
    """Write readings or buckets to a file.

    The file is the same as that of the API's export.
    """
    settings, registry = load_settings(), get_registry()
    datatype = registry.get(name)
    if datatype is None:
        raise click.BadParameter(f"no data type {name!r}; there are {', '.join(item.name for item in registry)}")
    if since is not None and until is not None and until < since:
        raise click.BadParameter("--since must not be after --until")
    if problem := unknown_field(datatype, fields):
        raise click.BadParameter(problem)
    question = RowQuery(start=since, end=until, devices=devices, ascending=True)
    with sync_client(settings) as client:
        db = open_database(client, settings, registry)
        known = known_devices(db, registry, devices)
        if unknown := [device for device in devices if device not in known]:
            raise click.BadParameter(f"nothing is stored of {', '.join(map(repr, unknown))}")
        tier_views = read_tier_views(db, datatype, settings)
        tier_view = next((tier_view for tier_view in tier_views if tier_view.resolution == resolution), None)
        if tier_view is None:
            names = ", ".join(tier_view.resolution for tier_view in tier_views)
            raise click.BadParameter(f"{name} has no resolution {resolution!r}; it has {names}")
        series = Rows(db, datatype, tier_views, tier_view, question, datetime.now(UTC), zone=settings.device_zone)
        buckets = tier_view.window is not None
        columns = columns_of(datatype, fields, buckets=buckets, corrections=corrections, shape=shape, with_units=units)
        writer = make_writer(form, columns, gzip=gzip)
        projection = row_projection(tier_view, fields)
        present = naming(
            presenter(tier_view, fields), db, name, tier_view, names=fields, devices=devices, start=since, end=until
        )
        bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        # The bar is for a person; stdout may be the file.
        with (
            Progress(*bars, transient=True, console=Console(stderr=True)) as progress,
            click.open_file(output, "wb") as sink,
        ):
            task = progress.add_task("rows", total=series.count(exact=False))
            written = 0
            for batch in stream(series, projection):
                sink.write(writer.write([present(row) for row in batch]))
                written += len(batch)
                progress.update(task, completed=written, total=max(written, progress.tasks[task].total or 0))
            sink.write(writer.finish())
    click.echo(f"{written} rows written", err=True)
