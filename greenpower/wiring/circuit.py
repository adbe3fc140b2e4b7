"""One circuit's day: columns of values by quantity and phase, and which of them are compared.

What belongs here: the day as a value, and choosing rows. What does not: reading it from anywhere (`day_reader`), which
field is which quantity (`columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cached_property

from greenpower.datatype import Electrical, PointRole
from greenpower.wiring.figures import last_digit, quantile
from greenpower.wiring.tolerance import limit

Key = tuple[Electrical, str]
PHASES = ("a", "b", "c")
PAIRS = ("ab", "bc", "ca")
#: between these local hours the sun is down
NIGHT_HOURS = frozenset({22, 23, 0, 1, 2, 3})
#: of a device that measures a phase, what shows that the phase is connected
_SIGNS_OF_USE = (Electrical.VOLTAGE, Electrical.CURRENT, Electrical.ACTIVE_POWER, Electrical.APPARENT_POWER)


@dataclass(frozen=True, slots=True)
class Table:
    """Readings of one type: times in epoch seconds, ascending, and a value or None for each key and time."""

    times: Sequence[float]
    columns: Mapping[Key, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class CircuitRows:
    """Readings that have all the values asked for: a value of each key in each row."""

    times: Sequence[float]
    values: Sequence[tuple[float, ...]]

    def __len__(self) -> int:
        return len(self.times)

    def where(self, keep: Callable[[float, tuple[float, ...]], bool]) -> CircuitRows:
        """Those rows for which `keep` of the time and the values is true."""
        kept = [(time, row) for time, row in zip(self.times, self.values, strict=True) if keep(time, row)]
        return CircuitRows([time for time, _ in kept], [row for _, row in kept])

    def column(self, number: int) -> list[float]:
        """The values of one key."""
        return [row[number] for row in self.values]

    def digits(self, number: int) -> float:
        """The last digit of one key's values."""
        return last_digit(self.column(number))


@dataclass(frozen=True)
class Circuit:
    """A day of one circuit of a device. tables: one for each type that the device sends.

    role: of the meter point that it stands for, if there is one. expected: 1 where active power is to be above 0, -1
    where below, 0 where both are right. zone: of local hours.
    """

    device_id: str
    tables: Sequence[Table]
    name: str = ""
    role: PointRole | None = None
    expected: int = 0
    zone: tzinfo = UTC
    _rows: dict[tuple[Key, ...], CircuitRows] = field(default_factory=dict, init=False, repr=False, compare=False)

    def has(self, *keys: Key) -> bool:
        """Whether one of its types has all of these."""
        return any(all(key in table.columns for key in keys) for table in self.tables)

    def rows(self, *keys: Key) -> CircuitRows:
        """The readings that have all of these values, of the type that has most of them."""
        if keys not in self._rows:
            best = CircuitRows((), ())
            for table in self.tables:
                if all(key in table.columns for key in keys):
                    found = _complete(table, keys)
                    best = found if len(found) > len(best) else best
            self._rows[keys] = best
        return self._rows[keys]

    def series(self, quantity: Electrical, phase: str = "") -> CircuitRows:
        """One value by time."""
        return self.rows((quantity, phase))

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """The phases that are connected: of those that are measured, the ones that are not 0 in everything all day."""
        return tuple(phase for phase in PHASES if any(self._is_used(key, phase) for key in _SIGNS_OF_USE))

    @property
    def parts(self) -> tuple[str, ...]:
        """The phases; of a circuit without phases the whole, as ""."""
        return self.phases or ("",)

    def _is_used(self, quantity: Electrical, phase: str) -> bool:
        return any(row[0] for row in self.series(quantity, phase).values)

    def hour(self, time: float) -> int:
        """The local hour of a time."""
        return datetime.fromtimestamp(time, self.zone).hour

    def is_night(self, time: float) -> bool:
        """Whether it is night, by the clock of the device."""
        return self.hour(time) in NIGHT_HOURS


def _complete(table: Table, keys: tuple[Key, ...]) -> CircuitRows:
    times: list[float] = []
    values: list[tuple[float, ...]] = []
    for time, *row in zip(table.times, *(table.columns[key] for key in keys), strict=True):
        if None not in row:
            times.append(time)
            values.append(tuple(row))
    return CircuitRows(times, values)


def loaded(rows: CircuitRows, *columns: int, share: float | None = None) -> CircuitRows:
    """The rows in which each of some columns has enough load: of its own highest values, and in last digits."""
    least = {}
    for number in columns:
        amounts = [abs(value) for value in rows.column(number)]
        part = limit("load") if share is None else share
        least[number] = max(part * quantile(amounts, 0.95), limit("digits") * rows.digits(number))
    return rows.where(lambda _, row: all(abs(row[number]) >= bound for number, bound in least.items()))


def named(phases: Sequence[str]) -> str:
    """Phases for people: "phase A", "phases A and B"."""
    names = [phase.upper() for phase in phases if phase]
    if not names:
        return "the circuit"
    if len(names) == 1:
        return f"phase {names[0]}"
    return f"phases {', '.join(names[:-1])} and {names[-1]}"


def too_few(found: int) -> str:
    """Why a check with so few samples is not asked."""
    return f"{found} samples with enough load; {limit('samples'):g} are needed"
