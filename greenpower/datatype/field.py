"""One measured value of a data type: its stored name, unit, kind and limits."""

from __future__ import annotations

import math
import re
from dataclasses import KW_ONLY, dataclass

from greenpower.datatype.error import DeclarationError
from greenpower.datatype.kind import Kind
from greenpower.datatype.unit import UNITS

NAME = re.compile(r"[a-z0-9_]{1,64}")
RESERVED = frozenset({"id", "device_id", "timestamp", "topic"})


@dataclass(frozen=True, slots=True)
class Field:
    """A measured value.

    name: the stored key, lower case. unit: one of `UNITS`. source: the keys that devices send, unless `normalise` turns
    them into `name`. low, high: plausible range in `unit`; a value outside is left out and noted. modulus: the value at
    which a counter starts again at 0. greatest_rate: the fastest plausible rise of a counter, in `unit` per hour (for
    kWh that is kW). Raises DeclarationError.
    """

    name: str
    _: KW_ONLY
    unit: str
    title: str = ""
    kind: Kind = Kind.GAUGE
    source: tuple[str, ...] | str = ()
    low: float | None = None
    high: float | None = None
    modulus: float | None = None
    greatest_rate: float | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or self.name in RESERVED:
            raise DeclarationError(
                f"field {self.name!r}: the name must be 1 to 64 of a-z, 0-9 and _, "
                f"and not {', '.join(sorted(RESERVED))}"
            )
        if self.unit not in UNITS:
            raise DeclarationError(f"field {self.name!r}: unknown unit {self.unit!r}; choose from {', '.join(UNITS)}")
        if not isinstance(self.kind, Kind):
            raise DeclarationError(f"field {self.name!r}: unknown kind {self.kind!r}; choose from {', '.join(Kind)}")
        for limit in (self.low, self.high, self.modulus, self.greatest_rate):
            if limit is not None and not math.isfinite(limit):
                raise DeclarationError(f"field {self.name!r}: limit {limit!r} is not a finite number")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise DeclarationError(f"field {self.name!r}: low={self.low} is not below high={self.high}")
        if (self.modulus is not None or self.greatest_rate is not None) and self.kind is not Kind.COUNTER:
            raise DeclarationError(
                f"field {self.name!r}: modulus and greatest_rate are for kind counter, not {self.kind}"
            )
        for name, limit in (("modulus", self.modulus), ("greatest_rate", self.greatest_rate)):
            if limit is not None and limit <= 0:
                raise DeclarationError(f"field {self.name!r}: {name}={limit} is not above 0")

    @property
    def sources(self) -> tuple[str, ...]:
        """The keys as sent that become this field, including its name."""
        given = (self.source,) if isinstance(self.source, str) else self.source
        return (self.name, *(key for key in given if key != self.name))


_REPLACED = str.maketrans({"+": "plus", "-": "minus", "(": "_", "/": "_", ")": None, "*": None, "%": "percent"})


def normalise(key: str) -> str:
    """The stored key for a key as sent: lower case, `+` plus, `-` minus, `(` and `/` underscore, `%` percent."""
    return key.lower().translate(_REPLACED)
