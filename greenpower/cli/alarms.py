"""`greenpower alarms`: what was raised, rules and their kinds, silences, and trials of rules.

For administrators of the machine. Rules are made over the API or the dashboard; here they are shown, tried, and
alarms are acknowledged and silenced.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from bson import ObjectId
from pymongo.database import Database
from sqlalchemy import select

from greenpower.alarms.kind_table import alarm_kinds
from greenpower.alarms.rule import AlarmRule, AlarmRuleError
from greenpower.alarms.trial import try_rule
from greenpower.api.alarms.occurrences import acknowledgement_change
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.archive.database import open_database
from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_actor, console_audit
from greenpower.cli.sql import sql_database
from greenpower.cli.table import print_table, shown_time
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.ingest.transports import sources_of
from greenpower.mongo.alarms.document import AlarmState
from greenpower.mongo.alarms.find import SHOWN_STATES, listed
from greenpower.mongo.alarms.progress import read_statuses
from greenpower.mongo.alarms.store import OPEN_STATES, acknowledge_alarm
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import ALARM_PROGRESS, ALARMS
from greenpower.mongo.schema.version import check_version
from greenpower.sql import AlarmSilence, StoredAlarmRule
from greenpower.sql.extensions import db as sql
from greenpower.sql.session import sql_session
from greenpower.sql.time import now

MAX_LISTED_ALARMS = 1_000
OPEN = "open"
ALARM_HEADINGS = ("id", "rule", "severity", "subject", "state", "raised", "value", "late", "cleared", "acknowledged by")
RULE_HEADINGS = ("id", "name", "kind", "severity", "enabled", "subjects", "problem")


@click.group()
def alarms() -> None:
    """List alarms and rules, acknowledge, silence, try a rule."""


@contextmanager
def alarm_database() -> Iterator[tuple[Database[Document], Settings]]:
    """The telemetry database, of a schema that this version knows."""
    settings = load_settings()
    with sync_client(settings, appname="greenpower-cli") as client:
        db = client[settings.mongo_db_name]
        check_version(db)
        yield open_database(client, settings), settings


@alarms.command("list")
@click.option("--state", type=click.Choice((OPEN, *SHOWN_STATES)), default=OPEN, show_default=True, help="Only these.")
@click.option("--all", "every", is_flag=True, help="In any state.")
@click.option("--device", "device_id", default=None, help="Only of this device.")
def list_(state: str, every: bool, device_id: str | None) -> None:
    """List alarms, newest first, 1000 at most."""
    states = () if every else OPEN_STATES if state == OPEN else (state,)
    with alarm_database() as (db, _):
        found = db[ALARMS].find(listed(states=states, device_id=device_id)).sort("begin", -1).limit(MAX_LISTED_ALARMS)
        rows = [_row(document) for document in found]
    print_table(ALARM_HEADINGS, rows)


@alarms.command()
def kinds() -> None:
    """List the kinds of rules with their parameters."""
    for kind in alarm_kinds().values():
        click.echo(f"{kind.name}: {kind.title}. {kind.text}")
        for item in kind.params:
            default = "required" if item.required else f"default: {item.default}"
            choices = f", one of {', '.join(item.choices)}" if item.choices else ""
            click.echo(f"    {item.name}: {item.text} ({default}{choices})")


@alarms.command()
def rules() -> None:
    """List rules, and why one cannot be judged."""
    with alarm_database() as (db, settings), sql_database(settings):
        found = sql.session.scalars(select(StoredAlarmRule).order_by(StoredAlarmRule.name)).all()
        known = read_statuses(db[ALARM_PROGRESS], [rule.id for rule in found])
        rows = [
            (
                str(rule.id),
                rule.name,
                rule.kind,
                rule.severity,
                "yes" if rule.enabled else "no",
                str(known[rule.id]["subjects"]) if rule.id in known else "",
                known[rule.id]["problem"] if rule.id in known else "",
            )
            for rule in found
        ]
    print_table(RULE_HEADINGS, rows)


@alarms.command()
@click.argument("alarm")
@click.option("--note", default="", help="What was found, or will be done.")
def ack(alarm: str, note: str) -> None:
    """Acknowledge an active alarm."""
    with alarm_database() as (db, settings), console_audit(settings):
        found = db[ALARMS].find_one({"_id": ObjectId(alarm)}) if ObjectId.is_valid(alarm) else None
        if found is None:
            raise ConfigError(f"unknown alarm {alarm}; `greenpower alarms list` shows them")
        change = acknowledgement_change(found, note)
        by = console_actor().name
        if acknowledge_alarm(db[ALARMS], found["_id"], by, note, unaudited(change, found["_id"])) is None:
            raise ConfigError(f"the alarm {alarm} is not active: it is {found['state']}")
        finish_change(db, change, found["_id"])
    click.echo(f"{alarm} is {AlarmState.ACKNOWLEDGED.value}")


@alarms.command()
@click.option("--rule", "rule_id", type=int, default=None, help="Only alarms of this rule.")
@click.option("--subject", default=None, help="Only alarms about this: TYPE|DEVICE, point|5 or zone|2.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=None, help="For how long; default: until "
              "it is ended.")  # fmt: skip
@click.option("--reason", default="", help="Why.")
@click.option("--end", "silence_id", type=int, default=None, help="End this silence instead.")
def silence(rule_id: int | None, subject: str | None, hours: float | None, reason: str, silence_id: int | None) -> None:
    """Tell nobody of alarms for a time, or end that."""
    settings = load_settings()
    with console_audit(settings):
        if silence_id is not None:
            found = sql.session.get(AlarmSilence, silence_id)
            if found is None:
                raise ConfigError(f"there is no silence {silence_id}")
            sql.session.delete(found)
            sql.session.commit()
            click.echo(f"silence {silence_id} is over")
            return
        if rule_id is not None and sql.session.get(StoredAlarmRule, rule_id) is None:
            raise ConfigError(f"there is no rule {rule_id}; `greenpower alarms rules` shows them")
        begin = now()
        made = AlarmSilence(
            rule_id=rule_id,
            subject=subject,
            begins_at=begin,
            ends_at=None if hours is None else begin + timedelta(hours=hours),
            reason=reason,
            created_by=console_actor().name,
        )
        sql.session.add(made)
        sql.session.commit()
        click.echo(f"silence {made.id}{'' if made.ends_at is None else f' until {shown_time(made.ends_at)}'}")


@alarms.command()
@click.argument("rule_id", type=int)
@click.option(
    "--days", type=click.FloatRange(0, 366, min_open=True), default=7.0, show_default=True, help="So far back."
)
def test(rule_id: int, days: float) -> None:
    """Say what a rule would have raised, without raising it."""
    with alarm_database() as (db, settings), sql_session(settings) as session:
        row = session.get(StoredAlarmRule, rule_id)
        if row is None:
            raise ConfigError(f"there is no rule {rule_id}; `greenpower alarms rules` shows them")
        try:
            result = try_rule(
                AlarmRule.of(row),
                days,
                db=db,
                session=session,
                registry=get_registry(),
                settings=settings,
                sources=sources_of,
            )
        except AlarmRuleError as error:
            raise ConfigError(f"rule {rule_id} cannot be judged: {error}") from None
    rows = [
        (subject.name, shown_time(item.raised_at), _number(item.raised_value), shown_time(item.ended_at))
        for subject, item in result.found
    ]
    print_table(("subject", "raised", "value", "cleared"), rows)
    span = f"in {days:g} days" if result.past else "as of now: this kind cannot tell the past"
    click.echo(f"{len(rows)} alarms of {result.subjects} subjects, {span}")


def _row(document: Document) -> tuple[str, ...]:
    return (
        str(document["_id"]),
        document["rule_name"],
        document["severity"],
        document["subject_name"],
        document["state"],
        shown_time(document["raised_at"]),
        _number(document["value"]),
        "yes" if document["late"] else "",
        shown_time(document["cleared_at"]),
        document["acknowledged_by"] or "",
    )


def _number(value: Any) -> str:
    return "" if value is None else f"{value:g}"
