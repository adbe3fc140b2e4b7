"""Parameters that name devices, data types, fields and service zones: a name that does not exist is refused by name.

With a mistyped filter an answer would be empty, and a bill would be 0. A device exists if it is registered, was heard,
or has any data. What does not belong here: fields of one data type (`greenpower.api.telemetry.parameters`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import marshmallow as ma
from flask import current_app
from sqlalchemy import select

from greenpower.api.http.blueprint import describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.fields import MAX_DEVICES, MAX_ITEM_LENGTH, ItemList
from greenpower.api.http.visible_devices import visible_devices
from greenpower.datatype.claim import is_device_id
from greenpower.mongo.devices.known import known_devices
from greenpower.mongo.schema.layout import CORRECTIONS, EVENTS, INCIDENTS
from greenpower.sql import Device, ServiceZone
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

KNOWN_KEY = "greenpower-known-devices"
KNOWN_SECONDS = 10.0
MAX_KNOWN = 20_000


class KnownLately:
    """Devices that were found lately: each question names one, and a device that exists is hardly ever removed.

    One that was removed is known for up to `KNOWN_SECONDS` more; an answer about it is empty then.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def has(self, device: str) -> bool:
        """Whether the device was found lately."""
        return self._until.get(device, 0.0) > self._clock()

    def add(self, devices: Iterable[str]) -> None:
        """Note devices that were found."""
        if len(self._until) >= MAX_KNOWN:
            self._until = {}
        self._until |= dict.fromkeys(devices, self._clock() + KNOWN_SECONDS)


def _known_lately() -> KnownLately:
    known = current_app.extensions.setdefault(KNOWN_KEY, KnownLately())
    assert isinstance(known, KnownLately)
    return known


def unknown_devices(devices: Sequence[str], collections: Sequence[str] = ()) -> list[str]:
    """Those of some device ids that do not exist. collections: further places in MongoDB where an id counts as known.

    Raises PyMongoError, SQLAlchemyError.
    """
    if (visible := visible_devices()) is not None:
        return [device for device in devices if device not in visible]
    lately = _known_lately()
    left = [device for device in devices if not lately.has(device)]
    if not left:
        return left
    known = known_devices(database(), get_context().registry, left, collections)
    if not collections:  # those of further places are known to their own routes alone
        lately.add(known)
    left = [device for device in left if device not in known]
    if named := [device for device in left if is_device_id(device)]:
        registered = set(db.session.scalars(select(Device.device_id).where(Device.device_id.in_(named))))
        db.session.rollback()
        left = [device for device in left if device not in registered]
    return left


def _refuse_unknown(devices: Sequence[str], collections: Sequence[str] = ()) -> None:
    if unknown := unknown_devices(devices, collections):
        raise ma.ValidationError([f"unknown device: {device!r}" for device in unknown])


class DeviceList(ItemList):
    """Device ids. If the parameter is repeated, each value is an id; a single one is an id, or several with commas."""

    def split(self, texts: list[str]) -> list[str]:
        if len(texts) != 1 or "," not in texts[0]:
            return texts
        whole = texts[0]
        return texts if len(whole) <= MAX_ITEM_LENGTH and not unknown_devices(texts) else whole.split(",")

    def check(self, items: list[str]) -> None:
        super().check(items)
        _refuse_unknown(items)


class DeviceName(ma.fields.String):
    """A device id. collections: further places where an id counts as known."""

    def __init__(self, description: str, *collections: str) -> None:
        super().__init__(validate=ma.validate.Length(1, MAX_ITEM_LENGTH), metadata=describe(description))
        self.collections = collections

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text is not None and 1 <= len(text) <= MAX_ITEM_LENGTH:
            _refuse_unknown([text], self.collections)
        return text


class TypeName(ma.fields.String):
    """The name of a data type: of one that is installed, or of which something is stored."""

    def __init__(self, description: str) -> None:
        super().__init__(validate=ma.validate.Length(1, MAX_ITEM_LENGTH), metadata=describe(description))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        registry = get_context().registry
        if text is not None and 1 <= len(text) <= MAX_ITEM_LENGTH and registry.get(text) is None:
            stored = (
                database()[name].find_one({"type": text}, {"_id": 1}) for name in (EVENTS, INCIDENTS, CORRECTIONS)
            )
            if all(document is None for document in stored):
                known = ", ".join(datatype.name for datatype in registry)
                raise ma.ValidationError(f"unknown data type: {text!r}. Data types are {known}.")
        return text


class FieldName(ma.fields.String):
    """The name of a field: one that an installed data type declares, or that has a correction."""

    def __init__(self, description: str) -> None:
        super().__init__(validate=ma.validate.Length(1, MAX_ITEM_LENGTH), metadata=describe(description))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        declared = {field.name for datatype in get_context().registry for field in datatype.fields}
        if (
            text is not None
            and 1 <= len(text) <= MAX_ITEM_LENGTH
            and text not in declared
            and database()[CORRECTIONS].find_one({"field": text}, {"_id": 1}) is None
        ):
            raise ma.ValidationError(f"unknown field: {text!r}")
        return text


class ZoneNumber(ma.fields.Integer):
    """The id of a service zone."""

    def __init__(self, description: str) -> None:
        super().__init__(validate=ma.validate.Range(1, LARGEST_ID), metadata=describe(description))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        number = super()._deserialize(value, attr, data, **kwargs)
        if number is not None and 1 <= number <= LARGEST_ID:
            zone = db.session.get(ServiceZone, number)
            db.session.rollback()
            if zone is None:
                raise ma.ValidationError(f"unknown service zone: {number}")
        return number


def device_field() -> DeviceList:
    """The parameter `device_id`, of one or several devices."""
    return DeviceList(
        max_items=MAX_DEVICES,
        metadata=describe(
            "only these devices: repeat the parameter for several. A single value may be several ids with commas, "
            "unless a device has an id with that comma"
        ),
    )
