"""Field kinds: as which kind each field of a type is kept, and which undeclared fields are accepted.

One document per type, {_id, kinds: {field: kind}, open: [names], noted: [names]}, and one per device that sends
undeclared fields, {_id: "type/device", fields: [names], noted: [names]}. The first names that come are accepted; the
rest are noted and not rolled up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from greenpower.datatype import Kind
from greenpower.datatype.field import NAME
from greenpower.mongo.client import Document

log = logging.getLogger(__name__)

MAX_FIELDS_PER_TYPE = 200
MAX_FIELDS_PER_DEVICE = 64
MAX_NOTED_FIELDS = 200


class FieldKinds:
    """The fields of one type, as read once and kept up to date by this process."""

    def __init__(self, collection: Collection[Document], type_name: str) -> None:
        self.collection = collection
        self.type_name = type_name
        found = collection.find_one({"_id": type_name}) or {}
        self.kinds: dict[str, str] = {
            **dict.fromkeys(found.get("open", ()), Kind.GAUGE.value),
            **found.get("kinds", {}),
        }
        self._open: set[str] = set(found.get("open", ()))
        self._devices: dict[str, frozenset[str]] | None = None
        self._refused: set[tuple[str, str]] = set()

    def changed(self, declared: Mapping[str, Kind]) -> dict[str, tuple[str, str]]:
        """The fields whose buckets are of another kind than is declared now: {field: (kept, declared)}."""
        return {
            name: (self.kinds[name], kind.value)
            for name, kind in declared.items()
            if name in self.kinds and self.kinds[name] != kind.value
        }

    def declare(self, declared: Mapping[str, Kind], *, changed_too: bool = False) -> None:
        """Write down the kinds of fields that were not known; with `changed_too` those of all."""
        new = {
            name: kind.value
            for name, kind in declared.items()
            if name not in self.kinds or (changed_too and self.kinds[name] != kind.value)
        }
        if new:
            change = {"$set": {f"kinds.{name}": kind for name, kind in new.items()}}
            self.collection.update_one({"_id": self.type_name}, change, upsert=True)
            self.kinds.update(new)

    def accepted(self, device: str) -> frozenset[str]:
        """The undeclared fields of a device that are rolled up."""
        if self._devices is None:
            prefix = f"{self.type_name}/"
            query = {"_id": {"$gte": prefix, "$lt": f"{self.type_name}0"}}  # "0" follows "/"
            self._devices = {
                document["_id"].removeprefix(prefix): frozenset(document.get("fields", ()))
                for document in self.collection.find(query)
            }
        return self._devices.get(device, frozenset())

    def accept(self, device: str, names: Iterable[str]) -> frozenset[str]:
        """Accept further fields of a device as far as there is room. Returns all that are accepted now."""
        fields = self.accepted(device)
        assert self._devices is not None
        for name in sorted(set(names) - fields):
            if (device, name) in self._refused:
                continue
            if not NAME.fullmatch(name):
                self._note(self.type_name, name, "not a name")
            elif not self._place(self.type_name, "open", name, MAX_FIELDS_PER_TYPE, self._open):
                self._note(self.type_name, name, f"the type already has {MAX_FIELDS_PER_TYPE} fields")
            elif not self._place(f"{self.type_name}/{device}", "fields", name, MAX_FIELDS_PER_DEVICE, fields):
                self._note(f"{self.type_name}/{device}", name, f"the device already has {MAX_FIELDS_PER_DEVICE} fields")
            else:
                self._open.add(name)
                fields = fields | {name}
                continue
            self._refused.add((device, name))
        self._devices[device] = fields
        return fields

    def _place(self, key: str, where: str, name: str, most: int, known: Iterable[str]) -> bool:
        """Give a name one of `most` places, unless they are taken. Several processes may ask at once."""
        if name in known:
            return True
        room = {"_id": key, f"{where}.{most - 1}": {"$exists": False}}
        try:
            self.collection.update_one(room, {"$addToSet": {where: name}}, upsert=True)
        except DuplicateKeyError:  # the document is there and has no room
            return self.collection.find_one({"_id": key, where: name}, {"_id": 1}) is not None
        return True

    def _note(self, key: str, name: str, why: str) -> None:
        log.info("%s: the undeclared field %.64r is not rolled up: %s", key, name, why)
        room = {"_id": key, f"noted.{MAX_NOTED_FIELDS - 1}": {"$exists": False}}
        try:
            self.collection.update_one(room, {"$addToSet": {"noted": name[:64]}}, upsert=True)
        except DuplicateKeyError:
            log.debug("%s: too many fields to note them all", key)
