"""Targets: what one must be, and making, changing and deleting them. For the API and the console.

What does not belong here: the routes (`targets`), the row (`greenpower.sql.outbound_target`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pymongo.database import Database
from redis import Redis
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.outbound.positions import ask_for_test, forget_target, try_at_once
from greenpower.mongo.schema.layout import OUTBOUND_POSITIONS
from greenpower.outbound.address import OutboundAddressError, check_host, read_address
from greenpower.outbound.feeds import resolutions
from greenpower.outbound.sign import new_secret
from greenpower.outbound.wake import wake_outbound_worker
from greenpower.sql import AuditAction, AuditObject, OutboundContent, OutboundKind, OutboundTarget, ServiceZone
from greenpower.sql.actor import current_actor
from greenpower.sql.audit import AuditedChange, note_change
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from greenpower.sql.visible_zones import visible_zones

TOPIC_FORBIDDEN = frozenset("+#\0")


class OutboundTargetError(Exception):
    """A target that cannot be. field: which value is at fault; "" for a name that is taken."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def add_target(values: Mapping[str, Any], registry: Registry, settings: Settings) -> OutboundTarget:
    """Make a target with a new signing secret, and commit. Raises OutboundTargetError."""
    actor = current_actor()
    target = OutboundTarget(
        **{**values, "begin_at": values.get("begin_at") or now()},
        secret=new_secret(),
        created_by=None if actor is None else actor.name,
    )
    _check(target, registry, settings)
    db.session.add(target)
    _commit(target.name)
    return target


def change_target(target: OutboundTarget, changes: Mapping[str, Any], registry: Registry, settings: Settings) -> None:
    """Change a target, and commit. Raises OutboundTargetError."""
    for key, value in changes.items():
        setattr(target, key, value)
    try:
        _check(target, registry, settings)
    except OutboundTargetError:
        db.session.rollback()
        raise
    _commit(target.name)


def wake_for(database: Database[Document], redis: Redis | None, target: OutboundTarget) -> None:
    """Let a worker serve a target that was made or changed at once. Raises PyMongoError."""
    try_at_once(database[OUTBOUND_POSITIONS], target.id)
    wake_outbound_worker(redis)


def delete_target(database: Database[Document], target: OutboundTarget) -> None:
    """Delete a target and its position, and commit. Raises PyMongoError, SQLAlchemyError."""
    number = target.id
    db.session.delete(target)
    db.session.commit()
    forget_target(database[OUTBOUND_POSITIONS], number)


def ask_test(database: Database[Document], redis: Redis | None, target: OutboundTarget, at: datetime) -> None:
    """Ask the worker for a test of a target, with an entry of the audit. Raises PyMongoError."""
    change = AuditedChange.begin(
        action=AuditAction.CHANGE,
        object_type=AuditObject.OUTBOUND_TARGET,
        object_name=target.name,
        before={"test": None},
        after={"test": at.isoformat()},
    )
    note_change(db.session, change, target.id)
    ask_for_test(database[OUTBOUND_POSITIONS], target.id, at)
    wake_outbound_worker(redis)


def _check(target: OutboundTarget, registry: Registry, settings: Settings) -> None:
    kind, content = OutboundKind(target.kind), OutboundContent(target.content)
    try:
        address = read_address(kind, target.address)
        if address is not None:
            check_host(address, settings.networks_of_outbound)
    except OutboundAddressError as error:
        raise OutboundTargetError("address", str(error)) from None
    _check_topics(target, kind, registry)
    unknown = [name for name in target.types if registry.get(name) is None]
    if unknown:
        raise OutboundTargetError("types", f"There is no data type {unknown[0]!r}.")
    _check_resolution(target, content, registry)
    if target.zone_id is None:
        if visible_zones() is not None:
            raise OutboundTargetError("zone_id", "Your targets are of a service zone: name one.")
    elif db.session.scalar(select(ServiceZone.id).where(ServiceZone.id == target.zone_id)) is None:
        raise OutboundTargetError("zone_id", f"There is no service zone {target.zone_id}.")


def _check_topics(target: OutboundTarget, kind: OutboundKind, registry: Registry) -> None:
    prefix = target.topic_prefix
    if kind is not OutboundKind.MQTT:
        if prefix is not None or target.retain:
            raise OutboundTargetError("topic_prefix", "Only targets of the kind mqtt have topics.")
        return
    if not prefix:
        raise OutboundTargetError("topic_prefix", "Targets of the kind mqtt need a prefix of their topics.")
    levels = prefix.split("/")
    if TOPIC_FORBIDDEN & set(prefix) or not prefix.isprintable() or prefix.startswith("$") or not all(levels):
        raise OutboundTargetError("topic_prefix", "A prefix is levels such as site/out, without +, # and a first $.")
    from greenpower.outbound.mqtt import claimed_topics

    if claimed := claimed_topics(prefix, registry.topics):
        raise OutboundTargetError(
            "topic_prefix", f"This site takes messages on {claimed[0]}: they would come in again."
        )


def _check_resolution(target: OutboundTarget, content: OutboundContent, registry: Registry) -> None:
    if content is not OutboundContent.BUCKETS:
        if target.resolution is not None:
            raise OutboundTargetError("resolution", "Only buckets have a resolution.")
        return
    wanted = [datatype for datatype in registry if not target.types or datatype.name in target.types]
    known = dict.fromkeys(name for datatype in wanted for name in resolutions(datatype))
    if target.resolution not in known:
        raise OutboundTargetError("resolution", f"Buckets have a resolution of {', '.join(known) or '(none)'}.")


def _commit(name: str) -> None:
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise OutboundTargetError("", f"There is already an outbound target {name!r}.") from None
