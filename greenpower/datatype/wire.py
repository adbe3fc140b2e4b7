"""How devices send readings: the inverse of a parser, for simulated devices and for tests.

What belongs here: models of devices, and packets made from values. What does not: the measured values and the times of
sending (`greenpower.simulator`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from greenpower.datatype.error import DeclarationError
from greenpower.datatype.field import Field, normalise
from greenpower.datatype.kind import Kind

DECIMALS_BY_UNIT = {"kW": 4, "kvar": 4, "kVA": 4, "s": 0, "rpm": 0}
USUAL_DECIMALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A device model.

    fields: the names of the fields that it sends, () for all. phases: of the measured feeder, 1 or 3. packets: into how
    many packets it splits a reading. complete: the packets, counted from 1, that are marked as the last; () for only
    the last. spelling: field name -> key as sent, if it is neither the name nor a source that `normalise` turns into
    it.
    """

    name: str = "any"
    fields: tuple[str, ...] = ()
    phases: int = 3
    packets: int = 1
    complete: tuple[int, ...] = ()
    spelling: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Measured values of a device at one time, to send.

    stamp: the time of the device's clock, aware, in the device's zone. values: field name -> number, in the field's
    unit. packets: into how many packets to split it; None for the number of the model.
    """

    device_id: str
    model: Model
    stamp: datetime
    values: Mapping[str, float]
    packets: int | None = None


class Wire(Protocol):
    """The wire format of a data type's devices. `encode` returns the payloads of a reading in the order of sending."""

    #: the fields that a device sends: those of the data type, or more if the type is open
    fields: tuple[Field, ...]
    #: device ids, `#` for a digit; without `#` there is a single device
    ids: str
    models: tuple[Model, ...]

    def encode(self, sample: Sample) -> tuple[bytes, ...]:
        """The payloads of a reading. Pure: the same sample gives the same bytes."""


def decimals_of(item: Field) -> int:
    """How many decimals meters usually send for a field."""
    return 0 if item.kind is Kind.STATE else DECIMALS_BY_UNIT.get(item.unit, USUAL_DECIMALS)


class JsonWire:
    """Flat JSON objects, the inverse of `JsonParser`. Made by `json_wire`."""

    def __init__(
        self, fields: Iterable[Field], device: str | None, time: str | None, complete: str | None,
        ids: str, models: tuple[Model, ...],
    ) -> None:  # fmt: skip
        self.fields = tuple(fields)
        self.ids = ids
        self.models = models
        self.device_key = device
        self.time_key = time
        self.complete_key = complete
        self._fields = {item.name: item for item in self.fields}
        unknown = {name for model in models for name in (*model.fields, *model.spelling)} - self._fields.keys()
        if unknown:
            raise DeclarationError(f"wire: no such field: {', '.join(sorted(unknown))}")
        self._keys = {model.name: self._spelled(model) for model in models}

    def _spelled(self, model: Model) -> dict[str, tuple[str, int]]:
        """Field name -> (key as JSON text, decimals)."""
        found = {}
        for name in model.fields or self._fields:
            item = self._fields[name]
            # A source that `normalise` turns into the name is its spelling; other sources are keys of other models.
            spellings = (source for source in item.sources[1:] if normalise(source) == name)
            key = model.spelling.get(name) or next(spellings, name)
            found[name] = (json.dumps(key, ensure_ascii=False), decimals_of(item))
        return found

    def encode(self, sample: Sample) -> tuple[bytes, ...]:
        """One JSON object per packet: device id, part of the values with usual decimals, stamp, last-packet flag."""
        spelled = self._keys[sample.model.name]
        members = [
            f"{key}:{round(sample.values[name], decimals) + 0.0:.{decimals}f}"
            for name, (key, decimals) in spelled.items()
            if name in sample.values
        ]
        count = max(1, min(sample.packets or sample.model.packets, len(members)))
        complete = sample.model.complete if sample.packets is None else ()
        packets = []
        for number in range(1, count + 1):
            share = members[(number - 1) * len(members) // count : number * len(members) // count]
            if self.device_key is not None:
                share.insert(0, f"{json.dumps(self.device_key)}:{json.dumps(sample.device_id)}")
            if self.time_key is not None:
                share.append(f'{json.dumps(self.time_key)}:"{sample.stamp:%Y%m%d%H%M%S}"')
            if self.complete_key is not None:
                whole = number in (complete or (count,))
                share.append(f'{json.dumps(self.complete_key)}:"{int(whole)}"')
            packets.append(("{" + ",".join(share) + "}").encode())
        return tuple(packets)


def json_wire(
    fields: Iterable[Field],
    *,
    ids: str,
    device: str | None = None,
    time: str | None = None,
    complete: str | None = None,
    models: tuple[Model, ...] = (Model(),),
) -> JsonWire:
    """The wire format of frames that are one flat JSON object; `device`, `time`, `complete` as in `json_parser`.

    Raises DeclarationError if a model names an unknown field.
    """
    return JsonWire(fields, device, time, complete, ids, models)
