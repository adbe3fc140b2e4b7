"""Commands about the database's layout."""

from __future__ import annotations

import click

from greenpower.catalog.registry import get_registry
from greenpower.config import ConfigError, load_settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.compression import ZSTD, otherwise_compressed
from greenpower.mongo.schema.layout import ensure_indexes as bring_up_to_date
from greenpower.mongo.schema.layout import layout
from greenpower.mongo.schema.sharding import apply as split
from greenpower.mongo.schema.sharding import is_router, script
from greenpower.mongo.schema.version import check_version


@click.command("ensure-indexes")
def ensure_indexes() -> None:
    """Make missing indexes and apply changed retentions.

    Can be repeated. Lists collections whose compression differs from that of new ones.
    """
    settings = load_settings()
    # An index of what is there already takes as long as it takes.
    with sync_client(settings, socketTimeoutMS=0) as client:
        db = client[settings.mongo_db_name]
        check_version(db)
        changes = bring_up_to_date(db, get_registry(), settings)
        others = otherwise_compressed(db, (name for name, _ in layout(get_registry(), settings)))
    for change in changes:
        click.echo(change)
    for name, compressor in others:
        click.echo(f"{name}: stays compressed by {compressor}; a collection that is made now gets {ZSTD}")
    click.echo(f"{len(changes)} changes")


@click.command()
@click.option("--apply", "applied", is_flag=True, help="Apply the sharding through the router in MONGO_DB_URI.")
def shard(applied: bool) -> None:
    """Print the sharding of the collections, for mongosh.

    Readings and tiers are sharded by device and time, which is their unique index; events by device and arrival.
    Needs a sharded cluster. --apply first does what `greenpower ensure-indexes` does, and can be repeated.
    """
    settings = load_settings()
    if not applied:
        for line in script(settings.mongo_db_name, get_registry()):
            click.echo(line)
        return
    with sync_client(settings, socketTimeoutMS=0) as client:
        if not is_router(client):
            raise ConfigError("MONGO_DB_URI is not a router (mongos) of a sharded cluster")
        check_version(client[settings.mongo_db_name])
        bring_up_to_date(client[settings.mongo_db_name], get_registry(), settings)
        changes = split(client, get_registry(), settings)
    for change in changes:
        click.echo(change)
    click.echo(f"{len(changes)} changes")
