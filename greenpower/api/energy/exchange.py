"""Exchanging a meter in one step: proposing, recording, moving and revoking an exchange, for the API and the console.

The functions need the context of an app. What belongs here: which exchange is possible, and the order in which the
databases are changed: the document first, since all else follows from it and can be done again. What does not: what
follows from it (`greenpower.mongo.rollups.exchanges`, `greenpower.sql.replacement`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from greenpower.api.devices.settings_cache import cache_settings
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.api.http.context import database, get_context
from greenpower.api.http.visible_devices import is_visible
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.catalog.facts import registers
from greenpower.datatype import DataType, Kind
from greenpower.measure.slot import COUNTS_PER_UNIT
from greenpower.mongo.client import Document
from greenpower.mongo.energy.exchange_proposal import propose_registers, sent_counters
from greenpower.mongo.rollups.exchanges import (
    ExchangeChangedError,
    active_exchange,
    apply_exchange,
    devices_of,
    keep_exchange,
    move_exchange,
    revoke_exchange,
)
from greenpower.mongo.rollups.incidents import CONFIRMED
from greenpower.mongo.schema.layout import EXCHANGES, INCIDENTS
from greenpower.sql import AuditAction, AuditObject, Device
from greenpower.sql.audit import AuditedChange
from greenpower.sql.extensions import db
from greenpower.sql.replacement import device_of, end_take_over, replacement_problem, take_over

# What the audit keeps of an exchange.
AUDITED_KEYS = ("device_id", "new_device_id", "at", "readings", "reason")
JUST_CHANGED = "Somebody has just changed this exchange: look at it once more."


class ExchangeError(Exception):
    """An exchange that cannot be. errors: what is wrong by name, where a value is; else the text says it."""

    def __init__(self, text: str = "", errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.errors = errors or {}


def propose(device: Device, at: datetime, new_id: str | None) -> Document:
    """What an exchange would be. Raises ExchangeError, PyMongoError."""
    at, old, new_id = _milliseconds(at), device.device_id, _other(device, new_id)
    types, now, results = _types(device), datetime.now(UTC), []
    zone = get_context().settings.device_zone
    _check_time(at, [datatype.name for datatype in types])
    if new_id is not None and (problem := replacement_problem(db.session, device, new_id)):
        raise ExchangeError(errors={"new_device_id": [problem]})
    for datatype in types:
        units = {field.name: field.unit for field in datatype.fields}
        for found in propose_registers(database(), datatype, old, new_id or old, at, now, zone=zone):
            sent = {
                side: None if register is None else {"value": register.value, "at": register.at}
                for side, register in (("before", found.before), ("after", found.after))
            }
            change = found.change / COUNTS_PER_UNIT
            place = {"type": datatype.name, "field": found.field, "unit": units[found.field]}
            results.append({**place, **sent, "change": change})
    earliest = _whole_from([datatype.name for datatype in types])
    return {"at": at, "whole_from": earliest, "new_device_id": new_id, "results": results}


def record(device: Device, body: Mapping[str, Any], by: str) -> Document:
    """Record an exchange and apply it. body: a `NewExchange`; the same one again replaces it.

    Raises ExchangeError, PyMongoError, SQLAlchemyError.
    """
    context, collection = get_context(), database()[EXCHANGES]
    at, old, new_id = _milliseconds(body["at"]), device.device_id, _other(device, body["new_device_id"])
    readings = _registers(device, new_id, at, body["readings"])
    there = active_exchange(collection, old, at)
    if there is not None and there["new_device_id"] != new_id:
        raise ExchangeError("There is another exchange of this device at that time. Revoke it first.")
    _check_free(at, [old, *([new_id] if new_id else [])], there)
    took: dict[str, object] = dict(there["took"]) if there else {}
    if new_id is not None:
        if problem := replacement_problem(db.session, device, new_id):
            raise ExchangeError(problem)
        took |= take_over(db.session, device, new_id)
    wanted = {"device_id": old, "new_device_id": new_id, "at": at, "readings": readings, "reason": body["reason"]}
    change = _change(AuditAction.CREATE if there is None else AuditAction.CHANGE, there, wanted)
    kept = keep_exchange(
        collection,
        device=old,
        new_device=new_id,
        at=at,
        readings=readings,
        took=took,
        by=by,
        reason=body["reason"],
        entry=unaudited(change),
    )
    _note(change, kept)
    if new_id is not None:
        cache_settings([found for name in (old, new_id) if (found := device_of(db.session, name)) is not None])
    apply_exchange(database(), context.registry, context.settings, kept)
    return {**kept, "applied": True}


def move(exchange: Document, at: datetime, by: str, reason: str) -> Document:
    """Move an exchange to another time and apply it. Raises ExchangeError, PyMongoError."""
    at = _milliseconds(at)
    _check_in_force(exchange)
    _check_time(at, [*exchange["readings"]])
    _check_whole(exchange)
    _check_free(at, devices_of(exchange), exchange)
    other = active_exchange(database()[EXCHANGES], exchange["device_id"], at)
    if other is not None and other["_id"] != exchange["_id"]:
        raise ExchangeError("There is another exchange of this device at that time. Revoke it first.")
    change = _change(AuditAction.MOVE, exchange, {**exchange, "at": at, "reason": reason})
    try:
        kept = move_exchange(database()[EXCHANGES], exchange, at, by, reason, unaudited(change))
    except ExchangeChangedError:
        raise ExchangeError(JUST_CHANGED) from None
    _note(change, kept)
    return _applied(kept)


def revoke(exchange: Document, by: str, reason: str) -> Document:
    """Revoke an exchange: all of it is undone. Raises ExchangeError, PyMongoError, SQLAlchemyError."""
    _check_in_force(exchange)
    _check_whole(exchange)
    change = _change(AuditAction.REVOKE, exchange, {**exchange, "reason": reason})
    try:
        kept = revoke_exchange(database()[EXCHANGES], exchange, by, reason, unaudited(change))
    except ExchangeChangedError:
        raise ExchangeError(JUST_CHANGED) from None
    new_id = kept["new_device_id"]
    changed = [] if new_id is None else end_take_over(db.session, kept["device_id"], new_id, kept["took"])
    _note(change, kept)
    cache_settings(changed)
    return _applied(kept)


def _note(change: AuditedChange, exchange: Document) -> None:
    """Write what was done into the audit, and commit with it what the devices took over."""
    finish_change(database(), change, exchange["_id"])


def _change(action: AuditAction, before: Document | None, after: Mapping[str, Any]) -> AuditedChange:
    """An exchange is to be made or changed."""
    return AuditedChange.begin(
        action=action,
        object_type=AuditObject.METER_EXCHANGE,
        object_name=after["device_id"],
        before=None if before is None else {name: before.get(name) for name in AUDITED_KEYS},
        after={name: after.get(name) for name in AUDITED_KEYS},
    )


def _applied(exchange: Document) -> Document:
    context = get_context()
    apply_exchange(database(), context.registry, context.settings, exchange)
    return {**exchange, "applied": True}


def _types(device: Device) -> list[DataType]:
    """The types with counters that a device sends."""
    found = (get_context().registry.get(row.type) for row in device.types)
    return [datatype for datatype in found if datatype is not None and registers(datatype)]


def _registers(
    device: Device, new_id: str | None, at: datetime, given: Mapping[str, Mapping[str, Mapping[str, float | None]]]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """The registers of all counters that take part: those that were given, and those that either device has sent."""
    registry = get_context().registry
    errors: dict[str, Any] = {}
    readings: dict[str, dict[str, dict[str, float | None]]] = {}
    for name, fields in given.items():
        datatype = registry.get(name)
        problems: dict[str, Any] = {}
        for field, pair in fields.items():
            if datatype is None or field not in registers(datatype):
                problems[field] = [f"{name} has no register {field}."]
            elif wrong := {
                side: ["A register must be a finite number, 0 or above."]
                for side, value in pair.items()
                if value is not None
                and not (math.isfinite(value) and (value >= 0 or _may_be_negative(datatype, field)))
            }:
                problems[field] = wrong
        if problems:
            errors.setdefault("readings", {})[name] = problems
        readings[name] = {field: {"last": pair["last"], "first": pair["first"]} for field, pair in fields.items()}
    if errors:
        raise ExchangeError(errors=errors)
    for datatype in _types(device):
        sent = sent_counters(database(), datatype, device.device_id, new_id or device.device_id, at)
        of_type = readings.setdefault(datatype.name, {})
        for field in sent:
            of_type.setdefault(field, {"last": None, "first": None})
    readings = {name: fields for name, fields in readings.items() if fields}
    if not readings:
        raise ExchangeError(errors={"readings": ["This device has sent no register, and none is given."]})
    _check_time(at, [*readings])
    return readings


def _may_be_negative(datatype: DataType, field: str) -> bool:
    return any(one.name == field and one.kind is Kind.NET for one in datatype.fields)


def _check_time(at: datetime, type_names: list[str]) -> None:
    if at > datetime.now(UTC) + timedelta(seconds=get_context().settings.clock_tolerance_seconds):
        raise ExchangeError(errors={"at": [f"{at.isoformat()} is in the future."]})
    whole_from = _whole_from(type_names)
    if at < whole_from:
        text = f"Readings of {at:%Y-%m-%d} have expired. Give a time after {whole_from:%Y-%m-%dT%H:%MZ}: any time "
        text += "between the last reading of the old meter and the first one of the new meter is right."
        raise ExchangeError(errors={"at": [text]})


def _whole_from(type_names: list[str]) -> datetime:
    """From when on the readings of types are all there."""
    registry = get_context().registry
    found = (tier_views_of(datatype)[0].whole_from for name in type_names if (datatype := registry.get(name)))
    return max(found, default=datetime.fromtimestamp(0, UTC))


def _check_free(at: datetime, devices: list[str], own: Document | None) -> None:
    """At one time a counter has one swap."""
    query: Document = {"device_id": {"$in": devices}, "at": at, "swap": True, "status": CONFIRMED}
    query["exchange_id"] = {"$exists": True, **({"$ne": own["_id"]} if own else {})}
    if (found := database()[INCIDENTS].find_one(query)) is not None:
        raise ExchangeError(f"{found['device_id']} takes part in another exchange at that time. Revoke it first.")


def _check_in_force(exchange: Document) -> None:
    if exchange["revoked_at"] is not None:
        raise ExchangeError("This exchange was revoked already.")


def _check_whole(exchange: Document) -> None:
    at: datetime = exchange["at"]
    if at < _whole_from([*exchange["readings"]]):
        text = f"The readings of {at:%Y-%m-%d} have expired: the energy of that time cannot be computed again."
        raise ExchangeError(text)


def _other(device: Device, new_id: str | None) -> str | None:
    if new_id is not None and not is_visible(new_id):
        raise ExchangeError(errors={"new_device_id": [f"unknown device: {new_id!r}"]})
    return None if new_id == device.device_id else new_id


def _milliseconds(at: datetime) -> datetime:
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
