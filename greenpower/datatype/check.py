"""From values as sent to a payload: names, numbers, plausible ranges, zero frames. One compiled table a data type."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any

from greenpower.datatype.declaration import DataType
from greenpower.datatype.error import FrameError
from greenpower.datatype.field import normalise

Number = int | float
Limits = tuple[str, float, float]
#: the numbers within, whole or not, are what a document can hold: 64-bit integers and finite floats
LARGEST_INTEGER = math.nextafter(2.0**63, 0)
#: limits that nothing lies between, for keys that a closed type does not declare
NOTHING = (math.inf, -math.inf)
LEARNED = 10_000
NUMERAL = re.compile(r"\s*([+-]?[0-9]+)(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?\s*|\s*[+-]?\.[0-9]+([eE][+-]?[0-9]{1,3})?\s*")
MAX_NUMERAL = 64
UNSTORABLE_KEY = re.compile(r"[$.]")
MAX_KEY = 64

NOT_A_NUMBER = "not-a-number"
NOT_FINITE = "not-finite"
OUT_OF_RANGE = "out-of-range"
TOO_LARGE = "too-large"
TWICE = "twice"
UNDECLARED = "undeclared"


class Checker:
    """Checks readings of one data type. `check` is called for every reading that arrives, so it is one loop."""

    def __init__(self, datatype: DataType) -> None:
        self.datatype = datatype
        self._anchors = datatype.anchors
        self._undeclared = (-LARGEST_INTEGER, LARGEST_INTEGER) if datatype.open else NOTHING
        self._limits: dict[str, Limits] = {}
        for field in datatype.fields:
            # Floats, whatever was declared: comparing them with the floats that come is half the price.
            low = -LARGEST_INTEGER if field.low is None else max(float(field.low), -LARGEST_INTEGER)
            high = LARGEST_INTEGER if field.high is None else min(float(field.high), LARGEST_INTEGER)
            for key in field.sources:
                self._limits[key] = self._limits[normalise(key)] = (field.name, low, high)
        self._known: dict[str, Limits] = dict(self._limits)

    def check(self, values: dict[str, Any]) -> tuple[dict[str, Number], dict[str, str]]:
        """Split values as sent into the payload and what is left out: {field: number}, {field: why}.

        Every number is a 64-bit integer or a finite float, every key is storable.
        Raises FrameError: bad-key (a key that no database should hold), zero-frame, no-values.
        """
        payload: dict[str, Number] = {}
        left_out: dict[str, str] = {}
        known = self._known
        with suppress(KeyError):
            for key, value in values.items():
                name, low, high = known[key]
                kind = type(value)
                if (kind is float or kind is int) and low <= value <= high:
                    payload[name] = value
        if len(payload) < len(values):  # something is odd about this one
            payload, left_out = self._sort_out(values)
        for anchor in self._anchors:
            # One value that is not 0 settles it, and the anchor mostly is one.
            if payload.get(anchor) == 0 and _is_zero(values, payload):
                raise FrameError("zero-frame", "every value is 0")
        if not payload:
            raise FrameError("no-values", ", ".join(f"{name} {why}" for name, why in left_out.items()))
        return payload, left_out

    def _learn(self, key: str) -> Limits:
        """The limits for a key not seen before: another spelling of a known one, or an undeclared one."""
        name = normalise(key)
        if not 0 < len(name) <= MAX_KEY or UNSTORABLE_KEY.search(name) or not name.isprintable():
            raise FrameError("bad-key", f"{key[:40]!a}, {len(key)} characters")
        limits = self._limits.get(name) or (name, *self._undeclared)
        if len(self._known) < LEARNED and len(key) <= MAX_KEY:
            self._known[key] = limits
        return limits

    def _sort_out(self, values: dict[str, Any]) -> tuple[dict[str, Number], dict[str, str]]:
        """The same as the loop of `check`, for all cases: numerals in strings count, and what is left out is named."""
        payload: dict[str, Number] = {}
        left_out: dict[str, str] = {}
        for key, value in values.items():
            name, low, high = self._known.get(key) or self._learn(key)
            number = _number(value)
            if number is None:
                why = NOT_A_NUMBER
            elif not -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
                why = NOT_FINITE if isinstance(number, float) and not math.isfinite(number) else TOO_LARGE
            elif low > high:
                why = UNDECLARED
            elif not low <= number <= high:
                why = OUT_OF_RANGE
            elif payload.setdefault(name, number) != number:
                why = TWICE
            else:
                continue
            left_out.setdefault(name, why)
        return payload, left_out


def _number(value: Any) -> Number | None:
    """The number that a value as sent is, if it is one; plain numerals in strings are."""
    if isinstance(value, str) and len(value) <= MAX_NUMERAL and (numeral := NUMERAL.fullmatch(value)):
        whole, fraction, exponent, _ = numeral.groups()
        return int(whole) if whole and fraction is None and exponent is None else float(value)
    return value if type(value) is int or type(value) is float else None


def _is_zero(values: dict[str, Any], payload: dict[str, Number]) -> bool:
    """Whether every measured value, plausible or not, is 0. Text and NaN measure nothing."""
    if any(payload.values()):
        return False
    return not any(number for value in values.values() if (number := _number(value)) == number)
