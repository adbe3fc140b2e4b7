"""`greenpower notify`: channels to people and the log of what went to them, for an administrator of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
import pymongo
from redis import Redis
from sqlalchemy import select

from greenpower.api.notifications.channel_rules import ChannelError, add_channel, channel_names, find_owner, put_test
from greenpower.cli.console import console_audit
from greenpower.cli.table import print_table, shown_time
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.notifications.document import NoticeState
from greenpower.mongo.notifications.outbox import WITHOUT_FILES
from greenpower.mongo.schema.layout import NOTIFICATIONS
from greenpower.sql import NotificationChannel
from greenpower.sql.extensions import db

CHANNEL_HEADINGS = ("id", "name", "kind", "owner", "enabled")
NOTICE_HEADINGS = ("put", "channel", "state", "tries", "subject", "said")
SHOWN_SAID_LENGTH = 80


@click.group()
def notify() -> None:
    """Notification channels: list, add, test; what was sent."""


@notify.command()
def channels() -> None:
    """List channels, by name."""
    with console_audit(load_settings()):
        found = db.session.scalars(select(NotificationChannel).order_by(NotificationChannel.name))
        rows = [
            (
                str(channel.id),
                channel.name,
                channel.schema,
                "shared" if channel.owner is None else channel.owner.username,
                "yes" if channel.enabled else "no",
            )
            for channel in found
        ]
    print_table(CHANNEL_HEADINGS, rows)


@notify.command()
@click.argument("name")
@click.option("--url", prompt="Address", hide_input=True, help="Address as apprise reads it; asked for if not given.")
@click.option("--owner", help="User whose channel it is. Default: shared.")
def add(name: str, url: str, owner: str | None) -> None:
    """Add a channel NAME. Its address is never shown again."""
    with _refused(), console_audit(load_settings()):
        user = None if owner is None else find_owner(owner)
        made = add_channel(name=name, url=url, owner=user, enabled=True)
        click.echo(f"channel {made.id} is {made.name} ({made.schema})")


@notify.command()
@click.argument("number", type=int)
def remove(number: int) -> None:
    """Remove channel NUMBER. What waits for it is given up."""
    with console_audit(load_settings()):
        channel = _find(number)
        name = channel.name
        db.session.delete(channel)
        db.session.commit()
    click.echo(f"removed {name}")


@notify.command()
@click.argument("number", type=int)
def test(number: int) -> None:
    """Send a test to channel NUMBER. The worker sends it; `greenpower notify log` says what became of it."""
    settings = load_settings()
    with console_audit(settings), sync_client(settings) as client, _redis(settings) as redis:
        put_test(client[settings.mongo_db_name], redis, _find(number), datetime.now(UTC))
    click.echo("a test waits to be sent; see `greenpower notify log`")


@notify.command()
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many at most.")
@click.option("--state", type=click.Choice([state.value for state in NoticeState]), help="Only those that are so far.")
def log(limit: int, state: str | None) -> None:
    """List notices, the newest first."""
    settings = load_settings()
    with console_audit(settings), sync_client(settings) as client:
        names = channel_names()
        where = {} if state is None else {"state": state}
        newest = client[settings.mongo_db_name][NOTIFICATIONS].find(where, WITHOUT_FILES)
        rows = [
            (
                shown_time(row["created_at"]),
                names.get(row["channel_id"], f"({row['channel_id']})"),
                row["state"],
                str(row["attempts"]),
                row["subject"],
                " ".join(row.get("said", "").split())[:SHOWN_SAID_LENGTH],
            )
            for row in newest.sort([("created_at", pymongo.DESCENDING), ("_id", pymongo.DESCENDING)]).limit(limit)
        ]
    print_table(NOTICE_HEADINGS, rows)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except ChannelError as error:
        raise ConfigError(str(error)) from None


@contextmanager
def _redis(settings: Settings) -> Iterator[Redis | None]:
    if not settings.redis_address:
        yield None
        return
    with Redis.from_url(settings.redis_address, socket_connect_timeout=2, socket_timeout=2) as redis:
        yield redis


def _find(number: int) -> NotificationChannel:
    found = db.session.get(NotificationChannel, number)
    if found is None:
        raise ConfigError(f"there is no channel {number}: see `greenpower notify channels`")
    return found
