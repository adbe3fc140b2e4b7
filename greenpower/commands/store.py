"""Commands about the database's layout."""

from __future__ import annotations

import click

from greenpower.config import load_settings
from greenpower.registry import get_registry
from greenpower.store.client import sync_client
from greenpower.store.layout import ensure_indexes as bring_up_to_date


@click.command("ensure-indexes")
def ensure_indexes() -> None:
    """Make missing indexes and set changed retentions. Safe to repeat."""
    settings = load_settings()
    with sync_client(settings) as client:
        changes = bring_up_to_date(client[settings.mongo_db_name], get_registry(), settings)
    for change in changes:
        click.echo(change)
    click.echo(f"{len(changes)} changes")
