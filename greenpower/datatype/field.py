"""One measured value of a data type: its stored name, unit, kind and limits."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal

from greenpower.datatype.conversion import Conversion, exact
from greenpower.datatype.electrical import check_electrical
from greenpower.datatype.error import DeclarationError
from greenpower.datatype.kind import ENERGY_KINDS, Kind
from greenpower.datatype.unit import unit_of

NAME = re.compile(r"[a-z0-9_]{1,64}")
RESERVED = frozenset({"id", "device_id", "timestamp", "topic"})
#: kinds that begin again at 0 once they have passed their modulus
ROLLING_KINDS = (Kind.COUNTER, Kind.DAILY)
#: the highest bit of a number that is stored exactly, as an integer and as a float
MAX_BIT = 52
MAX_CODE = 2**53 - 1
MAX_CODE_NAME_CHARACTERS = 64
#: what devices call the two states of a switch
ON_OFF: Mapping[str, float] = {"on": 1, "off": 0, "true": 1, "false": 0}


@dataclass(frozen=True, slots=True)
class Field:
    """A measured value.

    name: the stored key, lower case. unit: one of `UNITS`, or a `UnitOfMeasure` of the plugin. source: the keys that
    devices send, unless `normalise` turns them into `name`; in nested JSON a path: `ENERGY.Total`, `emeters.0.power`.
    sent_in: the unit in which devices send it, if it is another: any that pint reads. scale: what a value as sent is
    multiplied by before that: 0.1 of a register that counts tenths. words: numbers for texts and booleans that devices
    send instead, by text in any case: `ON_OFF`. low, high: plausible range in `unit`; a value outside is left out and
    noted. modulus: the value at which a counter or daily counter starts again at 0. greatest_rate: the fastest
    plausible rise of a register, or use that a delta tells, in `unit` per hour (for kWh that is kW). codes: the names
    of an enumeration's values, by code; with `bits` of its bits, by number from 0, the lowest. measures: the electrical
    quantity, one of `Electrical`; phase: of which phase, "" for the total; circuit: of which circuit, for devices that
    measure several. conversion: worked out when a type is loaded, not given. Raises DeclarationError.
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
    codes: Mapping[int, str] = field(default_factory=dict, hash=False)
    bits: bool = False
    sent_in: str = ""
    scale: float | str | Decimal = 1
    words: Mapping[str, float] = field(default_factory=dict, hash=False)
    measures: str = ""
    phase: str = ""
    circuit: str = ""
    conversion: Conversion | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or self.name in RESERVED:
            raise DeclarationError(
                f"field {self.name!r}: the name must be 1 to 64 of a-z, 0-9 and _, "
                f"and not {', '.join(sorted(RESERVED))}"
            )
        try:
            unit_of(self.unit)
        except DeclarationError as error:
            raise DeclarationError(f"field {self.name!r}: {error}") from None
        if not isinstance(self.kind, Kind):
            raise DeclarationError(f"field {self.name!r}: unknown kind {self.kind!r}; choose from {', '.join(Kind)}")
        for limit in (self.low, self.high, self.modulus, self.greatest_rate):
            if limit is not None and not math.isfinite(limit):
                raise DeclarationError(f"field {self.name!r}: limit {limit!r} is not a finite number")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise DeclarationError(f"field {self.name!r}: low={self.low} is not below high={self.high}")
        if self.modulus is not None and self.kind not in ROLLING_KINDS:
            raise DeclarationError(
                f"field {self.name!r}: modulus is for kind {' or '.join(ROLLING_KINDS)}, not {self.kind}"
            )
        if self.greatest_rate is not None and not self.kind.has_energy:
            raise DeclarationError(
                f"field {self.name!r}: greatest_rate is for kind {' or '.join(ENERGY_KINDS)}, not {self.kind}"
            )
        for name, limit in (("modulus", self.modulus), ("greatest_rate", self.greatest_rate)):
            if limit is not None and limit <= 0:
                raise DeclarationError(f"field {self.name!r}: {name}={limit} is not above 0")
        self._check_codes()
        self._check_as_sent()
        try:
            check_electrical(self.measures, self.phase, self.circuit, self.unit, self.kind)
        except DeclarationError as error:
            raise DeclarationError(f"field {self.name!r}: {error}") from None

    def _check_codes(self) -> None:
        if self.kind is not Kind.ENUMERATION:
            if self.codes or self.bits:
                raise DeclarationError(
                    f"field {self.name!r}: codes and bits are for kind {Kind.ENUMERATION}, not {self.kind}"
                )
            return
        if not self.codes:
            raise DeclarationError(f"field {self.name!r}: kind {self.kind} needs codes, such as {{0: 'off', 1: 'on'}}")
        low, high = (0, MAX_BIT) if self.bits else (-MAX_CODE, MAX_CODE)
        for code, word in self.codes.items():
            if type(code) is not int or not low <= code <= high:
                what = "bit" if self.bits else "code"
                raise DeclarationError(
                    f"field {self.name!r}: {what} {code!r} is not a whole number from {low} to {high}"
                )
            if not isinstance(word, str) or not 0 < len(word.strip()) <= MAX_CODE_NAME_CHARACTERS:
                raise DeclarationError(
                    f"field {self.name!r}: the name {word!r} of code {code} is not 1 to {MAX_CODE_NAME_CHARACTERS} long"
                )
        words = Counter(word.strip().casefold() for word in self.codes.values())
        if repeated := [word for word, count in words.items() if count > 1]:
            raise DeclarationError(f"field {self.name!r}: two codes have the name {', '.join(repeated)}")

    def _check_as_sent(self) -> None:
        try:
            scale = exact(self.scale)
        except (ValueError, ArithmeticError):
            scale = Decimal("NaN")
        if not scale.is_finite() or not scale:
            raise DeclarationError(f"field {self.name!r}: scale={self.scale!r} is not a number other than 0")
        if self.kind is Kind.ENUMERATION and (self.sent_in or scale != 1):
            raise DeclarationError(f"field {self.name!r}: sent_in and scale are not for kind {self.kind}")
        for word, number in self.words.items():
            if not isinstance(word, str) or not 0 < len(word.strip()) <= MAX_CODE_NAME_CHARACTERS:
                raise DeclarationError(f"field {self.name!r}: the word {word!r} is not a text of 1 to 64 characters")
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise DeclarationError(f"field {self.name!r}: the word {word!r} means {number!r}, not a finite number")

    @property
    def is_converted(self) -> bool:
        """Whether numbers are sent in another unit or scale than they are stored in."""
        return bool(self.sent_in and self.sent_in != self.unit) or exact(self.scale) != 1

    def as_sent(self, value: float) -> float:
        """A value in its unit as a number that devices send for it."""
        return value if self.conversion is None else self.conversion.inverse(value)

    @property
    def sources(self) -> tuple[str, ...]:
        """The keys as sent that become this field, including its name."""
        given = (self.source,) if isinstance(self.source, str) else self.source
        return (self.name, *(key for key in given if key != self.name))


_REPLACED = str.maketrans({"+": "plus", "-": "minus", "(": "_", "/": "_", ")": None, "*": None, "%": "percent"})


def normalise(key: str) -> str:
    """The stored key for a key as sent: lower case, `+` plus, `-` minus, `(` and `/` underscore, `%` percent."""
    return key.lower().translate(_REPLACED)
