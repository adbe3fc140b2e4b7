"""`greenpower outbound`: targets that readings and buckets are sent to, for an administrator of the
machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from redis import Redis
from sqlalchemy import select

from greenpower.api.outbound.target_rules import (
    OutboundTargetError,
    add_target,
    ask_test,
    delete_target,
    wake_for,
)
from greenpower.api.outbound.target_schema import NEW_DEFAULTS
from greenpower.api.outbound.targets import settled_until
from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.cli.table import print_table, shown_time
from greenpower.cli.time_option import TimeOption
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.outbound.positions import lag_of, read_positions
from greenpower.mongo.schema.layout import OUTBOUND_POSITIONS
from greenpower.sql import OutboundContent, OutboundKind, OutboundTarget
from greenpower.sql.extensions import db

TARGET_HEADINGS = ("id", "name", "kind", "content", "zone", "enabled")
STATUS_HEADINGS = ("id", "name", "lag s", "deliveries", "rows", "failures", "gaps", "succeeded", "error", "test")


@click.group()
def outbound() -> None:
    """Outbound targets: list, add, remove, test, status."""


@outbound.command("list")
def list_targets() -> None:
    """List targets, by name."""
    with console_audit(load_settings()):
        found = db.session.scalars(select(OutboundTarget).order_by(OutboundTarget.name))
        rows = [
            (
                str(target.id),
                target.name,
                target.kind,
                target.content if target.resolution is None else f"{target.content} {target.resolution}",
                "site" if target.zone_id is None else str(target.zone_id),
                "yes" if target.enabled else "no",
            )
            for target in found
        ]
    print_table(TARGET_HEADINGS, rows)


@outbound.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in OutboundKind]),
    default="webhook",
    show_default=True,
    help="How it is reached.",
)
@click.option("--address", prompt="Address", hide_input=True, help="Address; asked for if not given.")
@click.option(
    "--content",
    type=click.Choice([content.value for content in OutboundContent]),
    default="readings",
    show_default=True,
    help="What it gets.",
)
@click.option("--resolution", help="Of buckets.")
@click.option("--type", "types", multiple=True, help="Only this data type; may be given several times.")
@click.option("--device", "devices", multiple=True, help="Only this device; may be given several times.")
@click.option("--field", "fields", multiple=True, help="Only this field; may be given several times.")
@click.option("--zone", "zone_id", type=int, help="Only what is in this service zone.")
@click.option("--topic-prefix", help="Of MQTT.")
@click.option("--retain", is_flag=True, help="Let the broker retain the messages.")
@click.option("--from", "begin_at", type=TimeOption(), help="Also what was written since then. Default: now.")
def add(name: str, address: str, **given: object) -> None:
    """Add a target NAME, and print its signing secret. Neither it nor the address is shown again."""
    values = {**NEW_DEFAULTS, "name": name, "address": address}
    values |= {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    settings = load_settings()
    with _refused(), console_audit(settings), sync_client(settings) as client, _redis(settings) as redis:
        made = add_target(values, get_registry(), settings)
        wake_for(client[settings.mongo_db_name], redis, made)
        click.echo(f"target {made.id} is {made.name}; its signing secret is {made.secret}")


@outbound.command()
@click.argument("number", type=int)
def remove(number: int) -> None:
    """Remove target NUMBER and its position."""
    settings = load_settings()
    with console_audit(settings), sync_client(settings) as client:
        target = _find(number)
        name = target.name
        delete_target(client[settings.mongo_db_name], target)
    click.echo(f"removed {name}")


@outbound.command()
@click.argument("number", type=int)
def test(number: int) -> None:
    """Send a test to target NUMBER. The worker sends it; `greenpower outbound status` says what became of it."""
    settings = load_settings()
    with console_audit(settings), sync_client(settings) as client, _redis(settings) as redis:
        ask_test(client[settings.mongo_db_name], redis, _find(number), datetime.now(UTC))
    click.echo("a test waits for the worker; see `greenpower outbound status`")


@outbound.command()
def status() -> None:
    """Show how far each target was served."""
    settings = load_settings()
    with console_audit(settings), sync_client(settings) as client:
        targets = list(db.session.scalars(select(OutboundTarget).order_by(OutboundTarget.name)))
        positions = client[settings.mongo_db_name][OUTBOUND_POSITIONS]
        found = read_positions(positions, [target.id for target in targets])
        until, rows = settled_until(settings, datetime.now(UTC)), []
        for target in targets:
            place = found.get(target.id)
            if place is None:
                rows.append((str(target.id), target.name, *[""] * (len(STATUS_HEADINGS) - 2)))
                continue
            succeeded, tried = place.get("succeeded_at"), place.get("test")
            rows.append(
                (
                    str(target.id),
                    target.name,
                    f"{lag_of(place, until):.0f}",
                    str(place["deliveries"]),
                    str(place["rows"]),
                    str(place["failures"]),
                    str(place["gaps"]),
                    "" if succeeded is None else shown_time(succeeded),
                    place.get("error", ""),
                    "" if tried is None else tried.get("said", "waits"),
                )
            )
    print_table(STATUS_HEADINGS, rows)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except OutboundTargetError as error:
        raise ConfigError(str(error)) from None


@contextmanager
def _redis(settings: Settings) -> Iterator[Redis | None]:
    if not settings.redis_address:
        yield None
        return
    with Redis.from_url(settings.redis_address, socket_connect_timeout=2, socket_timeout=2) as redis:
        yield redis


def _find(number: int) -> OutboundTarget:
    found = db.session.get(OutboundTarget, number)
    if found is None:
        raise ConfigError(f"there is no outbound target {number}: see `greenpower outbound list`")
    return found
