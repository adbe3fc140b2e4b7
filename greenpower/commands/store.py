"""Commands about the database's layout."""

from __future__ import annotations

import click

from greenpower.config import load_settings
from greenpower.registry import get_registry
from greenpower.store.client import sync_client
from greenpower.store.compression import ZSTD, otherwise_compressed
from greenpower.store.layout import ensure_indexes as bring_up_to_date
from greenpower.store.layout import layout


@click.command("ensure-indexes")
def ensure_indexes() -> None:
    """Make missing indexes and set changed retentions. Safe to repeat.

    Says which collections are compressed otherwise than those that are made now.
    """
    settings = load_settings()
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        changes = bring_up_to_date(db, get_registry(), settings)
        others = otherwise_compressed(db, (name for name, _ in layout(get_registry(), settings)))
    for change in changes:
        click.echo(change)
    for name, compressor in others:
        click.echo(f"{name}: stays compressed by {compressor}; a collection that is made now gets {ZSTD}")
    click.echo(f"{len(changes)} changes")
