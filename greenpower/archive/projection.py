"""Projections of queries, applied to readings that are not in MongoDB.

What belongs here: MongoDB's meaning of the projections that readers use. What does not: filters
(`greenpower.archive.filter`). One with anything else raises NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Document = dict[str, Any]


class Shown:
    """What of a reading is shown. Raises NotImplementedError for a projection that is not known here."""

    def __init__(self, projection: Mapping[str, Any] | Sequence[str] | None) -> None:
        asked = dict(projection) if isinstance(projection, Mapping) else dict.fromkeys(projection or (), 1)
        if any(value not in (0, 1, True, False) for value in asked.values()):
            raise NotImplementedError("archived readings are not asked for computed fields")
        self._id = bool(asked.pop("_id", True))
        self._left_out = {name for name, value in asked.items() if not value}
        self._whole: set[str] = set()
        self._inner: dict[str, set[str]] = {}
        for name, value in asked.items():
            if value:
                outer, _, inner = name.partition(".")
                if "." in inner:
                    raise NotImplementedError("archived readings have one level of fields")
                (self._inner.setdefault(outer, set()) if inner else self._whole).add(inner or outer)
        if self._left_out and (self._whole or self._inner or any("." in name for name in self._left_out)):
            raise NotImplementedError("archived readings are asked for fields, or for all but some")
        self._some = bool(self._whole or self._inner)

    def payload_fields(self, also: Iterable[str] = ()) -> list[str] | None:
        """The values that have to be read; None for all. also: paths that a filter looks at."""
        if not self._some or "payload" in self._whole:
            return None
        asked = {path.removeprefix("payload.") for path in also if path.startswith("payload.")}
        return sorted(self._inner.get("payload", set()) | asked)

    def of(self, document: Document) -> Document:
        """The reading as it is shown, its keys in their order."""
        if not self._some:
            if self._id and not self._left_out:
                return document
            left_out = self._left_out if self._id else {*self._left_out, "_id"}
            return {name: value for name, value in document.items() if name not in left_out}
        shown = {}
        for name, value in document.items():
            if name == "_id":
                if self._id:
                    shown[name] = value
            elif name in self._whole:
                shown[name] = value
            elif name in self._inner and isinstance(value, dict):
                inner = self._inner[name]
                shown[name] = {key: item for key, item in value.items() if key in inner}
        return shown
