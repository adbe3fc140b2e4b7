"""From values as sent to a payload: names, numbers, plausible ranges, zero frames. One compiled table a data type."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

from greenpower.datatype.declaration import DataType
from greenpower.datatype.error import FrameError
from greenpower.datatype.field import normalise

Number = int | float
MAX = sys.float_info.max
INT64 = 2**63
LEARNED = 10_000
NUMERAL = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\s*")
MAX_NUMERAL = 64
UNSTORABLE_KEY = re.compile(r"[$.\x00-\x1f\x7f\ud800-\udfff]")
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
        self._anchors = frozenset(datatype.anchors)
        self._limits: dict[str, tuple[str, float, float]] = {}
        for field in datatype.fields:
            low = -MAX if field.low is None else field.low
            high = MAX if field.high is None else field.high
            for key in field.sources:
                self._limits[key] = self._limits[normalise(key)] = (field.name, low, high)
        self._known: dict[str, tuple[str, float, float]] = dict(self._limits)

    def check(self, values: dict[str, Any]) -> tuple[dict[str, Number], dict[str, str]]:
        """Split values as sent into the payload and what is left out: {field: number}, {field: why}.

        Raises FrameError: bad-key (a key that no database should hold), zero-frame, no-values.
        """
        payload: dict[str, Number] = {}
        left_out: dict[str, str] = {}
        known = self._known
        for key, value in values.items():
            name, low, high = known.get(key) or self._learn(key)
            kind = type(value)
            if (kind is float or (kind is int and -INT64 <= value < INT64)) and low <= value <= high:
                if name not in payload:
                    payload[name] = value
                elif payload[name] != value:
                    left_out[name] = TWICE
                continue
            self._judge(name, value, low, high, payload, left_out)
        if self._anchors and self._is_zero(values, payload):
            raise FrameError("zero-frame", "every value is 0")
        if not payload:
            raise FrameError("no-values", ", ".join(f"{name} {why}" for name, why in left_out.items()))
        return payload, left_out

    def _learn(self, key: str) -> tuple[str, float, float]:
        """The limits for a key not seen before: another spelling of a known one, or an undeclared one."""
        if len(key) > MAX_KEY or not key or UNSTORABLE_KEY.search(key):
            raise FrameError("bad-key", f"{key[:40]!a}, {len(key)} characters")
        name = normalise(key)
        limits = self._limits.get(name) or (name, *((-MAX, MAX) if self.datatype.open else (math.inf, -math.inf)))
        if len(self._known) < LEARNED:
            self._known[key] = limits
        return limits

    def _judge(
        self, name: str, value: Any, low: float, high: float, payload: dict[str, Number], left_out: dict[str, str]
    ) -> None:
        """The rare cases: a numeral in a string is a number; everything else is left out, and why."""
        if isinstance(value, str) and len(value) <= MAX_NUMERAL and NUMERAL.fullmatch(value):
            value = float(value) if not value.strip().lstrip("+-").isdecimal() else int(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            left_out.setdefault(name, NOT_A_NUMBER)
        elif isinstance(value, float) and not math.isfinite(value):
            left_out.setdefault(name, NOT_FINITE)
        elif isinstance(value, int) and not -INT64 <= value < INT64:
            left_out.setdefault(name, TOO_LARGE)
        elif low > high:
            left_out.setdefault(name, UNDECLARED)
        elif not low <= value <= high:
            left_out.setdefault(name, OUT_OF_RANGE)
        elif payload.setdefault(name, value) != value:
            left_out[name] = TWICE

    def _is_zero(self, values: dict[str, Any], payload: dict[str, Number]) -> bool:
        """Whether an anchor is there and every measured value, plausible or not, is 0."""
        for anchor in self._anchors:
            if anchor in payload:
                return payload[anchor] == 0 and not any(payload.values()) and not any(map(_is_nonzero, values.values()))
        return False


def _is_nonzero(value: Any) -> bool:
    if isinstance(value, str) and NUMERAL.fullmatch(value[:MAX_NUMERAL]):
        return float(value[:MAX_NUMERAL]) != 0
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0
