"""`greenpower devices unconfirmed`, `confirm` and `delete`: devices that were only heard, many at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from pymongo.database import Database
from pymongo.errors import PyMongoError
from sqlalchemy import select

from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_actor, console_audit
from greenpower.cli.table import print_table, shown_time
from greenpower.config import ConfigError, load_settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.devices.seen import forget_devices, read_heard
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, SEEN
from greenpower.sql import Device
from greenpower.sql.confirmation import confirm_devices, delete_unconfirmed
from greenpower.sql.confirmation import unconfirmed as unconfirmed_ids
from greenpower.sql.extensions import db
from greenpower.sql.time import now

HEADINGS = ("device", "types", "first message", "last message")


@click.command()
@click.option("--type", "type_name", default=None, help="Only devices that send this data type.")
@click.option("--prefix", default="", help="Only devices whose id begins so.")
def unconfirmed(type_name: str | None, prefix: str) -> None:
    """List devices that were only heard."""
    with _databases() as mongo:
        heard = read_heard(mongo[SEEN])
        rows = []
        for device_id in db.session.scalars(unconfirmed_ids(type_name=type_name, prefix=prefix)):
            found = heard.get(device_id)
            times = ("", "") if found is None else (shown_time(found.since), shown_time(found.until))
            rows.append((device_id, ", ".join(sorted(found.types)) if found else "", *times))
    print_table(HEADINGS, rows)


@click.command()
@click.argument("device_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everyone", is_flag=True, help="All unconfirmed devices, or those of the other options.")
@click.option("--type", "type_name", default=None, help="With --all: only devices that send this data type.")
@click.option("--prefix", default="", help="With --all: only devices whose id begins so.")
def confirm(device_ids: tuple[str, ...], everyone: bool, type_name: str | None, prefix: str) -> None:
    """Confirm devices that were only heard.

    They do not expire then, and DEVICE_POLICY=registered stores them. Ingest knows of it after the next device job.
    """
    _check(device_ids, everyone)
    with _databases():
        query = unconfirmed_ids(type_name=type_name, prefix=prefix)
        wanted = list(db.session.scalars(query)) if everyone else list(device_ids)
        if not everyone:
            known = set(db.session.scalars(select(Device.device_id).where(Device.device_id.in_(wanted))))
            if missing := [device_id for device_id in wanted if device_id not in known]:
                raise ConfigError(f"not in the registry: {', '.join(missing)}")
        done = confirm_devices(db.session, wanted, console_actor().name)
    click.echo(f"{done} confirmed")


@click.command()
@click.argument("device_ids", nargs=-1, metavar="[ID]...")
@click.option("--unconfirmed", "everyone", is_flag=True, help="All unconfirmed devices, or those of the other options.")
@click.option("--type", "type_name", default=None, help="With --unconfirmed: only devices that send this data type.")
@click.option("--prefix", default="", help="With --unconfirmed: only devices whose id begins so.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
def delete(device_ids: tuple[str, ...], everyone: bool, type_name: str | None, prefix: str, dry_run: bool) -> None:
    """Delete devices that nobody confirmed.

    Their readings are kept. A device that sends again is registered again, as unconfirmed.
    """
    _check(device_ids, everyone)
    with _databases() as mongo:
        query = unconfirmed_ids(type_name=type_name, prefix=prefix)
        wanted = list(db.session.scalars(query if everyone else query.where(Device.device_id.in_(device_ids))))
        db.session.rollback()
        if dry_run:
            click.echo(f"{len(wanted)} would be deleted")
            return
        # First, so that the job that registers devices does not bring them back.
        forget_devices(mongo, wanted, [datatype.name for datatype in get_registry()])
        deleted = delete_unconfirmed(db.session, wanted)
        gone = [DeviceSettings(device_id=device_id, updated_at=now(), registered=False) for device_id in deleted]
        write_settings(mongo[DEVICE_SETTINGS], gone)
    click.echo(f"{len(deleted)} deleted")


def _check(device_ids: tuple[str, ...], everyone: bool) -> None:
    if bool(device_ids) == everyone:
        raise click.UsageError("name devices, or give the option for all of them")


@contextmanager
def _databases() -> Iterator[Database[Document]]:
    """MongoDB, with SQL and the audit ready. Raises ConfigError."""
    settings = load_settings()
    try:
        with sync_client(settings) as client, console_audit(settings):
            yield client[settings.mongo_db_name]
    except PyMongoError as error:
        raise ConfigError(f"MONGO_DB_URI: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from None
