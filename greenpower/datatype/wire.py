"""How devices send readings: the inverse of a parser, for simulated devices and for tests.

What belongs here: models of devices, and what a wire format is. What does not: that of JSON (`json_wire`), the measured
values and the times of sending (`greenpower.simulator`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from greenpower.datatype.field import Field
from greenpower.datatype.kind import Kind

DECIMALS_BY_UNIT = {"kW": 4, "kvar": 4, "kVA": 4, "W": 1, "var": 1, "VA": 1, "Wh": 0, "MWh": 6, "s": 0, "rpm": 0}
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
    return 0 if item.kind in (Kind.STATE, Kind.ENUMERATION) else DECIMALS_BY_UNIT.get(item.unit, USUAL_DECIMALS)
