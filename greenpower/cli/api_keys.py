"""`greenpower api-keys`: API keys of programs, for an administrator of the machine. The API makes and revokes them."""

from __future__ import annotations

import click
from sqlalchemy import select

from greenpower.cli.console import console_audit
from greenpower.cli.sql import sql_database
from greenpower.cli.table import print_table, shown_time
from greenpower.cli.zone_roles import read_zone_roles, restrict_to, zone_option, zones_text
from greenpower.config import ConfigError, load_settings
from greenpower.sql import ApiKey
from greenpower.sql.extensions import db

API_KEY_HEADINGS = ("id", "name", "scopes", "service zones", "expires", "last used", "revoked")


@click.group("api-keys")
def api_keys() -> None:
    """List API keys and restrict them."""


@api_keys.command("list")
def list_() -> None:
    """List keys, the newest first."""
    with sql_database(load_settings()):
        keys = db.session.scalars(select(ApiKey).order_by(ApiKey.id.desc()))
        print_table(API_KEY_HEADINGS, map(_row, keys))


@api_keys.command()
@click.argument("key_id", type=click.IntRange(1))
@zone_option
def restrict(key_id: int, zones: tuple[str, ...]) -> None:
    """Restrict a key to service zones.

    It sees what is in them, and nothing else; it has no more than its scopes allow. What was given before ends.
    """
    with console_audit(load_settings()):
        key = _find(key_id)
        restrict_to(key, read_zone_roles(zones))
        click.echo(f"{key.name} is restricted to {zones_text(key)}")


@api_keys.command()
@click.argument("key_id", type=click.IntRange(1))
def unrestrict(key_id: int) -> None:
    """Let a key see the whole site again."""
    with console_audit(load_settings()):
        key = _find(key_id)
        restrict_to(key, None)
        click.echo(f"{key.name} is for the whole site")


def _find(key_id: int) -> ApiKey:
    key = db.session.get(ApiKey, key_id)
    if key is None:
        raise ConfigError(f"there is no API key {key_id}; `greenpower api-keys list` lists them")
    return key


def _row(key: ApiKey) -> tuple[str, ...]:
    times = (shown_time(key.expires_at), shown_time(key.last_used_at), shown_time(key.revoked_at))
    return (str(key.id), key.name, " ".join(key.scopes), zones_text(key), *times)
