"""How devices send JSON objects: the inverse of `json_parser`, for simulated devices and for tests.

What belongs here: packets made from values, in the form that devices send. What does not: models and samples (`wire`).
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from greenpower.datatype.error import DeclarationError
from greenpower.datatype.field import Field, normalise
from greenpower.datatype.json_path import TOP, build, is_path, parts_of
from greenpower.datatype.stamp import TimeForm
from greenpower.datatype.wire import Model, Sample, decimals_of

COUNTS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
#: key, value as JSON text
Member = tuple[str, str]


class JsonWire:
    """JSON objects, the inverse of `JsonParser`. Made by `json_wire`."""

    def __init__(
        self, fields: Iterable[Field], *, device: str | None, time: str | None, complete: str | None,
        ids: str, models: tuple[Model, ...], message_id: str | None, each: str | None, time_form: TimeForm,
    ) -> None:  # fmt: skip
        self.fields = tuple(fields)
        self.ids = ids
        self.models = models
        self.device_key = device
        self.time_key = time
        self.complete_key = complete
        self.message_key = message_id
        self.each = each
        self.time_form = time_form
        self._spell()

    def for_fields(self, fields: Iterable[Field]) -> JsonWire:
        """This wire format with what its data type knows of how values are sent; itself where that is nothing new."""
        given = {item.name: item for item in fields}
        known = tuple(_sent_like(item, given.get(item.name, item)) for item in self.fields)
        if all(one is other for one, other in zip(known, self.fields, strict=True)):
            return self
        bound = copy.copy(self)
        bound.fields = known
        bound._spell()
        return bound

    def _spell(self) -> None:
        self._fields = {item.name: item for item in self.fields}
        unknown = {name for model in self.models for name in (*model.fields, *model.spelling)} - self._fields.keys()
        if unknown:
            raise DeclarationError(f"wire: no such field: {', '.join(sorted(unknown))}")
        self._keys = {model.name: self._spelled(model) for model in self.models}

    def _spelled(self, model: Model) -> dict[str, str]:
        """Field name -> key or path."""
        found = {}
        for name in model.fields or self._fields:
            sources = self._fields[name].sources[1:]
            # A source that `normalise` turns into the name is its spelling; other sources are keys of other models.
            usual = (source for source in sources if is_path(source) or normalise(source) == name)
            found[name] = model.spelling.get(name) or next(usual, name)
        return found

    def encode(self, sample: Sample) -> tuple[bytes, ...]:
        """One JSON object per packet: device id, part of the values with usual decimals, stamp, last-packet flag."""
        members = [
            (key, _as_sent(self._fields[name], sample.values[name]))
            for name, key in self._keys[sample.model.name].items()
            if name in sample.values
        ]
        count = max(1, min(sample.packets or sample.model.packets, len(members)))
        complete = sample.model.complete if sample.packets is None else ()
        packets = []
        for number in range(1, count + 1):
            share = members[(number - 1) * len(members) // count : number * len(members) // count]
            if self.device_key is not None:
                share.insert(0, (self.device_key, json.dumps(sample.device_id)))
            if self.time_key is not None:
                share.append((self.time_key, _time(sample.stamp, self.time_form)))
            if self.message_key is not None:
                share.append((self.message_key, f'"{sample.stamp.timestamp():.3f}-{number}"'))
            if self.complete_key is not None:
                whole = number in (complete or (count,))
                share.append((self.complete_key, f'"{int(whole)}"'))
            packets.append(self._packet(share).encode())
        return tuple(packets)

    def _packet(self, members: list[Member]) -> str:
        if self.each is None and not any(is_path(key) for key, _ in members):
            return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{text}" for key, text in members) + "}"
        top = [(parts_of(key[len(TOP) :]), json.loads(text)) for key, text in members if key.startswith(TOP)]
        inner = build((parts_of(key), json.loads(text)) for key, text in members if not key.startswith(TOP))
        whole: dict[str, Any] = inner if self.each is None else build([(parts_of(self.each), [inner]), *top])
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def models_of(fields: Iterable[Field]) -> tuple[Model, ...]:
    """The models that devices of a declaration must at least have: where a path goes on beyond the end of another
    (`ENERGY.Power`, `ENERGY.Power.0`), one that sends the numbers, and one that sends what lies within."""
    ends = {item.name: {parts_of(source) for source in item.sources[1:] if is_path(source)} for item in fields}
    paths = {parts for found in ends.values() for parts in found}
    passed = {parts[:end] for parts in paths for end in range(1, len(parts))}
    outer = {name for name, found in ends.items() if found & passed}
    inner = {
        name
        for name, found in ends.items()
        if any(parts[:end] in paths for parts in found for end in range(1, len(parts)))
    }
    if not outer:
        return (Model(),)
    return (
        Model(name="numbers", fields=tuple(name for name in ends if name not in inner)),
        Model(name="within", fields=tuple(name for name in ends if name not in outer)),
    )


def _sent_like(item: Field, known: Field) -> Field:
    """A field as it is sent by the devices of another declaration of it."""
    if (item, item.conversion) == (known, known.conversion) or item is known:
        return item
    changes = {name: getattr(known, name) for name in ("source", "sent_in", "scale", "words", "conversion")}
    return item if all(getattr(item, name) == value for name, value in changes.items()) else replace(item, **changes)


def _as_sent(item: Field, value: float) -> str:
    """A value in the unit of its field as JSON text in the form that devices send."""
    words = [word for word, number in item.words.items() if number == value]
    if words:
        return json.dumps(words[0], ensure_ascii=False)
    decimals = decimals_of(item)
    if item.conversion is not None:
        decimals = max(0, decimals + round(math.log10(abs(item.conversion.factor))))
        value = item.as_sent(value)
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def _time(stamp: datetime, form: TimeForm) -> str:
    if form == "auto":
        return f'"{stamp:%Y%m%d%H%M%S}"'
    return str(int(stamp.timestamp() * 1000) * COUNTS_PER_SECOND[form] // 1000)


def json_wire(
    fields: Iterable[Field],
    *,
    ids: str,
    device: str | None = None,
    time: str | None = None,
    complete: str | None = None,
    message_id: str | None = None,
    models: tuple[Model, ...] = (Model(),),
    each: str | None = None,
    time_form: TimeForm = "auto",
) -> JsonWire:
    """The wire format of frames that are one JSON object; the keys and paths as in `json_parser`.

    Raises DeclarationError if a model names an unknown field.
    """
    return JsonWire(
        fields, device=device, time=time, complete=complete, ids=ids, models=models, message_id=message_id, each=each,
        time_form=time_form,
    )  # fmt: skip
