"""Which fields of a data type are which quantities, and the columns that readings make of them.

What belongs here: from a declaration to keys and factors, from payloads to tables. What does not: where payloads come
from (`day_reader`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from greenpower.catalog.conversion import conversion
from greenpower.datatype import DataType, Electrical
from greenpower.datatype.unit import energy_per_hour
from greenpower.wiring.circuit import Key, Table

Payload = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class MeasuredField:
    """A field that measures a quantity. factor: from its unit to that of the quantity."""

    name: str
    key: Key
    circuit: str
    factor: float


def measured_fields(datatype: DataType) -> tuple[MeasuredField, ...]:
    """The fields of a type whose declaration says what they measure."""
    found = []
    for field in datatype.fields:
        if field.measures:
            quantity = Electrical(field.measures)
            found.append(
                MeasuredField(field.name, (quantity, field.phase), field.circuit, _factor(field.unit, quantity))
            )
    return tuple(found)


def _factor(unit: str, quantity: Electrical) -> float:
    if unit == quantity.unit:
        return 1.0
    per_hour = energy_per_hour(unit)
    return float(conversion(unit, quantity.unit).factor) if per_hour is None else 1 / per_hour


def tables(fields: Sequence[MeasuredField], readings: Iterable[tuple[float, Payload]]) -> dict[str, Table]:
    """A table for each circuit, of readings of one type: (epoch seconds, payload), ascending.

    Several registers of one circuit and phase (tariffs) are added up. Power that is returned is subtracted.
    """
    times: list[float] = []
    raw: list[list[float | None]] = [[] for _ in fields]
    for time, payload in readings:
        times.append(time)
        for field, column in zip(fields, raw, strict=True):
            value = payload.get(field.name)
            number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
            column.append(None if number is None else round(number * field.factor, 9))
    circuits: defaultdict[str, dict[Key, list[float | None]]] = defaultdict(dict)
    for field, column in zip(fields, raw, strict=True):
        if any(value is not None for value in column):
            own = circuits[field.circuit]
            own[field.key] = _added(own[field.key], column) if field.key in own else column
    return {name: Table(times, _with_net_power(columns)) for name, columns in circuits.items()}


def _added(one: Sequence[float | None], other: Sequence[float | None]) -> list[float | None]:
    return [None if a is None or b is None else a + b for a, b in zip(one, other, strict=True)]


def _with_net_power(columns: dict[Key, list[float | None]]) -> Mapping[Key, Sequence[float | None]]:
    for quantity, phase in tuple(columns):
        if quantity is Electrical.ACTIVE_POWER_RETURNED:
            returned = columns.pop((quantity, phase))
            taken = columns.get((Electrical.ACTIVE_POWER, phase))
            if taken is not None:
                columns[Electrical.ACTIVE_POWER, phase] = _added(
                    taken, [None if value is None else -value for value in returned]
                )
    return columns
