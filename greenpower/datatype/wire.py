"""How devices send readings: the inverse of a parser, for simulated devices and for tests.

What belongs here: models of devices and the packets that they make of values. What does not: which values a device
measures and when it sends (`greenpower.simulator`).
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

DECIMALS = {"kW": 4, "kvar": 4, "kVA": 4, "s": 0, "rpm": 0}
USUAL_DECIMALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of device, by what it sends.

    fields: the names that it measures, () for all. phases: of the feeder that it measures, 1 or 3. packets: how many
    packets a reading is split over. complete: the packets, counted from 1, that say "nothing more comes"; () for the
    last one. spelling: field name -> key as sent, where this model uses neither the field's name nor a source that is
    the name in the device's own writing.
    """

    name: str = "any"
    fields: tuple[str, ...] = ()
    phases: int = 3
    packets: int = 1
    complete: tuple[int, ...] = ()
    spelling: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a device measured at one time, to be sent.

    stamp: by the device's clock, aware, in the device's zone. values: field name -> number, in the field's unit.
    packets: split it so, where the format can and the model would not.
    """

    device_id: str
    model: Model
    stamp: datetime
    values: Mapping[str, float]
    packets: int | None = None


class Wire(Protocol):
    """The wire format of a data type's devices. `encode` gives the payloads of one reading, in the order sent."""

    #: what a device measures: the data type's fields, or more where the type leaves them open
    fields: tuple[Field, ...]
    #: device ids, `#` for a digit; without `#`, there is one device
    ids: str
    models: tuple[Model, ...]

    def encode(self, sample: Sample) -> tuple[bytes, ...]:
        """The payloads of a reading. Pure: the same sample gives the same bytes."""


def decimals_of(item: Field) -> int:
    """How many decimals meters usually give of such a value."""
    return 0 if item.kind is Kind.STATE else DECIMALS.get(item.unit, USUAL_DECIMALS)


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
            raise DeclarationError(f"wire: {', '.join(sorted(unknown))} is not a field")
        self._keys = {model.name: self._spelled(model) for model in models}

    def _spelled(self, model: Model) -> dict[str, tuple[str, int]]:
        """Field name -> (key as JSON text, decimals)."""
        found = {}
        for name in model.fields or self._fields:
            item = self._fields[name]
            # A source that gives the name is its spelling; any other is what some other model calls it.
            spellings = (source for source in item.sources[1:] if normalise(source) == name)
            key = model.spelling.get(name) or next(spellings, name)
            found[name] = (json.dumps(key, ensure_ascii=False), decimals_of(item))
        return found

    def encode(self, sample: Sample) -> tuple[bytes, ...]:
        """One JSON object a packet: id, its share of the values with as many decimals as meters give, time, isend."""
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

    Raises DeclarationError where a model names a field that there is not.
    """
    return JsonWire(fields, device, time, complete, ids, models)
