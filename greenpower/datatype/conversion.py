"""How a value as sent becomes one in the unit of its field: exactly, so that 64.2 W are 0.0642 kW.

What belongs here: the arithmetic. What does not: which factor it is (`greenpower.catalog.conversion`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Conversion:
    """value as sent * factor + offset. Floats are taken as they are written: 0.1 is a tenth."""

    factor: Decimal
    offset: Decimal = Decimal(0)
    _whole: int | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        whole = int(self.factor) if self.factor == int(self.factor) and not self.offset else None
        object.__setattr__(self, "_whole", whole)

    def __call__(self, value: int | float) -> int | float:
        """A value as sent in the unit of the field; an integer stays one if the factor is a whole number."""
        if type(value) is int:
            if self._whole is not None:
                return value * self._whole
            return float(Decimal(value) * self.factor + self.offset)
        # The shortest text of a float is what the device wrote; NaN and infinity stay what they are.
        return float(Decimal(repr(value)) * self.factor + self.offset)

    def inverse(self, value: int | float) -> float:
        """A value in the unit of the field as a device sends it."""
        return float((Decimal(repr(value)) - self.offset) / self.factor)


def exact(value: float | str | Decimal) -> Decimal:
    """A number of a declaration as it is written. Raises ValueError (ArithmeticError) if it is none."""
    return value if isinstance(value, Decimal) else Decimal(str(value))
