"""`greenpower push-keys`: keys with which devices push frames over HTTP, for an administrator of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click
from bson import ObjectId
from pymongo.collection import Collection

from greenpower.api.accounts.push_key_audit import new_push_key_change, revoked_push_key_change
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_actor, console_audit
from greenpower.cli.table import print_table, shown_time
from greenpower.config import ConfigError, load_settings
from greenpower.datatype import is_device_id
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.devices.push_keys import MAX_KEY_NAME_LENGTH, new_push_key, revoke_push_key
from greenpower.mongo.schema.layout import PUSH_KEYS
from greenpower.mongo.schema.version import check_version
from greenpower.mongo.unaudited import held

PUSH_KEY_HEADINGS = ("id", "name", "claims", "devices", "made by", "expires", "last used", "revoked")


@click.group("push-keys")
def push_keys() -> None:
    """Make, list and revoke keys for pushing frames over HTTP."""


@push_keys.command()
@click.argument("name")
@click.option("--claim", "claims", multiple=True, help="Only pushes to this claim; several may be given. Default: all.")
@click.option(
    "--device", "devices", multiple=True, help="Only frames of this device; several may be given. Default: all."
)
@click.option("--days", type=click.IntRange(1), default=None, help="Days until it expires. Default: never.")
def create(name: str, claims: tuple[str, ...], devices: tuple[str, ...], days: int | None) -> None:
    """Make a key and print it. It is shown only once. NAME says what it is for."""
    known = get_registry().pushes
    if unknown := [claim for claim in claims if claim not in known]:
        raise ConfigError(f"no data type takes pushes to {', '.join(unknown)}; choose from {', '.join(known)}")
    if wrong := [device for device in devices if not is_device_id(device)]:
        raise ConfigError(f"not an id of a device: {', '.join(map(repr, wrong))}")
    now = datetime.now(UTC)
    document, key = new_push_key(
        name=name[:MAX_KEY_NAME_LENGTH],
        claims=list(claims),
        devices=list(devices),
        made_by=console_actor().name,
        now=now,
        expires_at=None if days is None else now + timedelta(days=days),
    )
    with _keys() as collection:
        change = new_push_key_change(document)
        collection.insert_one({**document, **held(unaudited(change))})
        finish_change(collection.database, change, document["_id"])
    click.echo(key)


@push_keys.command("list")
def list_() -> None:
    """List keys, newest first, with those that are revoked."""
    settings = load_settings()
    with sync_client(settings) as client:
        found = client[settings.mongo_db_name][PUSH_KEYS].find().sort([("made_at", -1), ("_id", -1)])
        rows = [_row(document) for document in found]
    print_table(PUSH_KEY_HEADINGS, rows)


@push_keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key. KEY_ID: as in the list. Nothing is taken with it from a second later on."""
    if not ObjectId.is_valid(key_id):
        raise ConfigError(f"{key_id!r} is not an id of a key: see `greenpower push-keys list`")
    with _keys() as collection:
        found = collection.find_one({"_id": ObjectId(key_id)})
        if found is None:
            raise ConfigError(f"there is no key {key_id}")
        now = datetime.now(UTC)
        change = revoked_push_key_change(found, now)
        if revoke_push_key(collection, found["_id"], console_actor().name, now, unaudited(change)):
            finish_change(collection.database, change, found["_id"])
    click.echo(f"revoked {found['name']}")


@contextmanager
def _keys() -> Iterator[Collection[Document]]:
    """The keys, and an audit that can be written."""
    settings = load_settings()
    with sync_client(settings) as client, console_audit(settings):
        db = client[settings.mongo_db_name]
        check_version(db)
        yield db[PUSH_KEYS]


def _row(document: Document) -> tuple[str, ...]:
    times = (shown_time(document.get(name)) or "" for name in ("expires_at", "last_used_at", "revoked_at"))
    expires, used, revoked = times
    claims, devices = (", ".join(document[name]) or "all" for name in ("claims", "devices"))
    made = document["made_by"]
    return str(document["_id"]), document["name"], claims, devices, made, expires or "never", used or "never", revoked
