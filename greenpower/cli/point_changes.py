"""`greenpower points add`, `change`, `remove` and `table`: meter points, made and changed at the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.cli.time_option import EndOption, TimeOption
from greenpower.config import ConfigError, load_settings
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.onboarding import Onboarded, Onboarding
from greenpower.energy.point import PointPart
from greenpower.energy.point_change import PointChangeError, PointChanger, remove_point
from greenpower.energy.point_table import TableError, read_table
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.devices.known import known_devices
from greenpower.sql import Device, MeterPoint, ServiceZone, Tariff
from greenpower.sql.extensions import db

Counter = tuple[str, str, str]
NONE = "-"
ROLES = [role.value for role in PointRole]
CARRIERS = [carrier.value for carrier in Carrier]
#: option → column and model of what it names
REFERENCES: dict[str, tuple[str, type[MeterPoint] | type[ServiceZone] | type[Tariff]]] = {
    "zone": ("zone_id", ServiceZone),
    "below": ("parent_id", MeterPoint),
    "tariff": ("tariff_id", Tariff),
}


def _value_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of both commands."""
    counter = ("TYPE", "DEVICE", "FIELD")
    for option in (
        click.option("--until", type=EndOption(), help="Until when the given counters count, on a quarter-hour; UTC."),
        click.option("--from", "since", type=TimeOption(), help="From when they count, on a quarter-hour; UTC."),
        click.option(
            "--minus", nargs=3, multiple=True, metavar=" ".join(counter), help="A counter that is subtracted."
        ),
        click.option("--part", nargs=3, multiple=True, metavar=" ".join(counter), help="A counter that is added."),
        click.option("--tariff", help=f"Name of its tariff; {NONE} for none."),
        click.option("--below", help=f"Name of the point that measures what it measures, and more; {NONE} for none."),
        click.option("--zone", help=f"Name of its service zone; {NONE} for none."),
        click.option("--carrier", type=click.Choice(CARRIERS), help="What it measures."),
        click.option("--description", help="Description, for people."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(ROLES), help="The part that it plays in the site.")
@_value_options
def add(name: str, **options: Any) -> None:
    """Make a meter point of counters of devices."""
    with _changer() as changer:
        point = MeterPoint(name=name, parts=[], proposed=False)
        options["carrier"] = options["carrier"] or Carrier.ELECTRICITY
        _change(changer, point, options, _parts(options))
        db.session.add(point)
        _commit(name)
        click.echo(f"meter point {point.id} {name} made")


@click.command()
@click.argument("name")
@click.option("--rename", help="Its new name.")
@click.option("--role", type=click.Choice(ROLES), help="The part that it plays in the site.")
@click.option("--end", nargs=3, multiple=True, metavar="TYPE DEVICE FIELD", help="A counter that ends at --until.")
@click.option("--drop", nargs=3, multiple=True, metavar="TYPE DEVICE FIELD", help="A counter that is taken away.")
@_value_options
def change(name: str, rename: str | None, end: Sequence[Counter], drop: Sequence[Counter], **options: Any) -> None:
    """Change a meter point. Counters that are given are added to those that it has.

    When a meter was exchanged: --end with the old counter and --until; then --part with the new one and --from.
    """
    if end and (options["until"] is None or options["part"] or options["minus"]):
        raise click.UsageError("--end needs --until, and no --part and --minus beside it")
    with _changer() as changer:
        point = _find(name)
        parts = [PointPart.read(part) for part in point.parts]
        if missing := {*end, *drop} - {part.counter for part in parts}:
            raise ConfigError(f"{name} has no counter {', '.join(map(' '.join, sorted(missing)))}")
        kept = [part for part in parts if part.counter not in drop]
        kept = [
            replace(part, ends_at=options["until"]) if part.counter in end and part.ends_at is None else part
            for part in kept
        ]
        added = [] if end else _parts(options)
        if rename is not None:
            options["name"] = rename
        _change(changer, point, options, [*kept, *added] if end or drop or added else None)
        point.proposed = False
        _commit(point.name)
        click.echo(f"meter point {point.id} {point.name} changed")


@click.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete a meter point. Nothing that was measured is deleted."""
    with console_audit(load_settings()):
        point = _find(name)
        remove_point(db.session, point)
        db.session.commit()
    click.echo(f"meter point {name} removed")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only check it, and say what it would make and change.")
def table(file: Path, dry_run: bool) -> None:
    """Make devices, zones and points from a CSV file.

    Headings are device, name, zone, role, point, type, field, carrier and below; only device must be there. All rows
    are checked before anything is written. It can be run again: what is there is changed as the table says, counters
    are added, and none is taken away.
    """
    with console_audit(load_settings()):
        try:
            text = file.read_text("utf-8")
            done = Onboarding(db.session, get_registry()).run(read_table(text), dry=dry_run)
        except UnicodeDecodeError:
            raise ConfigError(f"{file} is not UTF-8: save it as CSV in UTF-8") from None
        except TableError as error:
            raise ConfigError("\n".join(f"{file}, {problem}" for problem in error.problems)) from None
        except IntegrityError:
            raise ConfigError("something of the same name was made meanwhile; run it again") from None
    _say(done)
    if dry_run:
        click.echo("Nothing was written.")


def _say(done: Onboarded) -> None:
    for what, names in (
        ("zones made", done.zones),
        ("devices registered", done.devices_made),
        ("devices changed", done.devices_changed),
        ("points made", done.points_made),
        ("points changed", done.points_changed),
    ):
        click.echo(f"{what}: {len(names)}" + (f" ({', '.join(names)})" if names else ""))
    click.echo(f"points as they were: {done.unchanged}")


@contextmanager
def _changer() -> Iterator[PointChanger]:
    """Within it, points can be changed, by who is at the console."""
    settings = load_settings()
    registry = get_registry()
    with sync_client(settings) as client, console_audit(settings):
        mongo: Database[Document] = client[settings.mongo_db_name]

        def unknown(devices: Sequence[str]) -> set[str]:
            registered = db.session.scalars(select(Device.device_id).where(Device.device_id.in_(devices)))
            left = {*devices} - {*registered}
            return left - known_devices(mongo, registry, sorted(left)) if left else left

        yield PointChanger(db.session, registry, unknown)


def _parts(options: dict[str, Any]) -> list[PointPart]:
    """The counters that are given."""
    since: datetime | None = options["since"]
    until: datetime | None = options["until"]
    return [
        PointPart(type=type_name, device_id=device, field=field, sign=sign, begins_at=since, ends_at=until)
        for name, sign in (("part", 1), ("minus", -1))
        for type_name, device, field in options[name]
    ]


def _change(changer: PointChanger, point: MeterPoint, options: dict[str, Any], parts: list[PointPart] | None) -> None:
    values: dict[str, Any] = {} if parts is None else {"parts": parts}
    for name, kind in (("role", PointRole), ("carrier", Carrier), ("description", str), ("name", str)):
        if options.get(name) is not None:
            values[name] = kind(options[name])
    for option, (column, model) in REFERENCES.items():
        if (given := options[option]) is not None:
            values[column] = None if given == NONE else _number(option, model, given)
    try:
        changer.change(point, values)
    except PointChangeError as error:
        raise ConfigError(f"{error}") from None


def _number(option: str, model: type[MeterPoint] | type[ServiceZone] | type[Tariff], name: str) -> int:
    found: int | None = db.session.scalar(select(model.id).where(model.name == name))
    if found is None:
        raise ConfigError(f"--{option}: there is none of the name {name!r}")
    return found


def _find(name: str) -> MeterPoint:
    point = db.session.scalar(select(MeterPoint).where(MeterPoint.name == name))
    if point is None:
        raise ConfigError(f"there is no meter point {name!r}; `greenpower points list` shows them")
    return point


def _commit(name: str) -> None:
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise ConfigError(f"there is already a meter point {name!r}") from None
