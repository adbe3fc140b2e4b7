"""From values as sent to a payload: names, numbers, plausible ranges, zero frames. One lookup table per data type."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any

from greenpower.datatype.conversion import Conversion
from greenpower.datatype.declaration import DataType
from greenpower.datatype.error import DeclarationError, FrameError
from greenpower.datatype.field import Field, normalise

Number = int | float
Limits = tuple[str, float, float]
#: largest float below 2**63: integers up to it fit into 64 bits, the widest integer of a document
MAX_STORABLE = math.nextafter(2.0**63, 0)
#: an empty range, for undeclared keys of a closed data type
EMPTY_RANGE = (math.inf, -math.inf)
MAX_CACHED_KEYS = 10_000
NUMERAL = re.compile(r"\s*([+-]?[0-9]+)(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?\s*|\s*[+-]?\.[0-9]+([eE][+-]?[0-9]{1,3})?\s*")
MAX_NUMERAL_CHARACTERS = 64
UNSTORABLE_KEY = re.compile(r"[$.]")
MAX_KEY_CHARACTERS = 64

NOT_A_NUMBER = "not-a-number"
NOT_FINITE = "not-finite"
OUT_OF_RANGE = "out-of-range"
TOO_LARGE = "too-large"
SENT_TWICE = "twice"
UNDECLARED = "undeclared"
UNKNOWN_WORD = "unknown-word"
#: what a boolean means where no code is named `true` or `false`
BOOLEAN_CODES = {"true": 1, "false": 0}


class Checker:
    """Checks the values of one data type. `check` runs for every reading, so its usual path is one loop."""

    def __init__(self, datatype: DataType) -> None:
        self.datatype = datatype
        self._anchors = datatype.anchors
        self._undeclared = (-MAX_STORABLE, MAX_STORABLE) if datatype.open else EMPTY_RANGE
        self._limits: dict[str, Limits] = {}
        for field in datatype.fields:
            # Floats: comparing a float with a float costs half as much as with an integer.
            low = -MAX_STORABLE if field.low is None else max(float(field.low), -MAX_STORABLE)
            high = MAX_STORABLE if field.high is None else min(float(field.high), MAX_STORABLE)
            for key in field.sources:
                self._limits[key] = self._limits[normalise(key)] = (field.name, low, high)
        self._known: dict[str, Limits] = dict(self._limits)
        self._conversions = {field.name: _conversion(field) for field in datatype.fields if field.is_converted}
        self._words = {field.name: words for field in datatype.fields if (words := words_of(field))}
        # A field with words has no numbers of its own form only; the usual path of other types does not ask for any.
        self._is_plain = not self._conversions and not self._words
        self._spellings = {name: _spellings(words) for name, words in self._words.items()}

    def check(self, values: dict[str, Any]) -> tuple[dict[str, Number], dict[str, str]]:
        """Split values as sent into the payload, {field: number}, and ignored values, {field: reason}.

        Every number is a 64-bit integer or a finite float, and every key can be stored.
        Raises FrameError: bad-key (a key that cannot be stored), zero-frame, no-values.
        """
        payload: dict[str, Number] = {}
        left_out: dict[str, str] = {}
        known = self._known
        if not self._is_plain:
            payload = self._check_usual(values)
        else:
            with suppress(KeyError):
                for key, value in values.items():
                    name, low, high = known[key]
                    kind = type(value)
                    if (kind is float or kind is int) and low <= value <= high:
                        payload[name] = value
        if len(payload) < len(values):  # some value is not plain: check each
            payload, left_out = self._check_each(values)
        for anchor in self._anchors:
            # Usually the anchor is not 0, and then the frame is no zero frame.
            if payload.get(anchor) == 0 and _is_zero(values, payload):
                raise FrameError("zero-frame", "every value is 0")
        if not payload:
            raise FrameError("no-values", ", ".join(f"{name} {why}" for name, why in left_out.items()))
        return payload, left_out

    def _check_usual(self, values: dict[str, Any]) -> dict[str, Number]:
        """The loop in `check` for types whose values are converted, or some of which are words."""
        payload: dict[str, Number] = {}
        known, conversions, spellings = self._known, self._conversions, self._spellings
        with suppress(KeyError):
            for key, value in values.items():
                name, low, high = known[key]
                kind = type(value)
                if kind is float or kind is int:
                    if (convert := conversions.get(name)) is not None:
                        value = convert(value)
                elif kind is str or kind is bool:
                    value = spellings[name][value]
                else:
                    break
                if low <= value <= high:
                    payload[name] = value
        return payload

    def _add_key(self, key: str) -> Limits:
        """The limits for a new key: another spelling of a field, or an undeclared key."""
        name = normalise(key)
        if not 0 < len(name) <= MAX_KEY_CHARACTERS or UNSTORABLE_KEY.search(name) or not name.isprintable():
            raise FrameError("bad-key", f"{key[:40]!a}, {len(key)} characters")
        limits = self._limits.get(name) or (name, *self._undeclared)
        if len(self._known) < MAX_CACHED_KEYS and len(key) <= MAX_KEY_CHARACTERS:
            self._known[key] = limits
        return limits

    def _check_each(self, values: dict[str, Any]) -> tuple[dict[str, Number], dict[str, str]]:
        """The complete form of the loop in `check`: reads numbers in strings, and gives reasons for ignored values."""
        payload: dict[str, Number] = {}
        left_out: dict[str, str] = {}
        for key, value in values.items():
            name, low, high = self._known.get(key) or self._add_key(key)
            words = self._words.get(name)
            number = _word(value, words) if words is not None else None
            if number is None:
                number = _number(value)
                if number is not None and (convert := self._conversions.get(name)) is not None:
                    number = convert(number)
            if number is None:
                why = NOT_A_NUMBER if words is None or not isinstance(value, str | bool) else UNKNOWN_WORD
            elif not -MAX_STORABLE <= number <= MAX_STORABLE:
                why = NOT_FINITE if isinstance(number, float) and not math.isfinite(number) else TOO_LARGE
            elif low > high:
                why = UNDECLARED
            elif not low <= number <= high:
                why = OUT_OF_RANGE
            elif payload.setdefault(name, number) != number:
                why = SENT_TWICE
            else:
                continue
            left_out.setdefault(name, why)
        return payload, left_out


def is_numeral(text: str) -> bool:
    """Whether a text is a plain number."""
    return len(text) <= MAX_NUMERAL_CHARACTERS and NUMERAL.fullmatch(text) is not None


def _number(value: Any) -> Number | None:
    """The value as a number; also from a plain number in a string. None if it is no number."""
    if isinstance(value, str) and len(value) <= MAX_NUMERAL_CHARACTERS and (numeral := NUMERAL.fullmatch(value)):
        whole, fraction, exponent, _ = numeral.groups()
        return int(whole) if whole and fraction is None and exponent is None else float(value)
    return value if type(value) is int or type(value) is float else None


def words_of(field: Field) -> dict[str, Number]:
    """What a field's words mean, in lower case: those declared, and the names of an enumeration's codes.

    Of a bit field the names are the numbers in which one bit is set. A boolean is its word: where no code is named
    `true` or `false`, these are 1 and 0 if there are such codes.
    """
    words: dict[str, Number] = {
        word.strip().casefold(): 1 << code if field.bits else code for code, word in field.codes.items()
    }
    words |= {word.strip().casefold(): number for word, number in field.words.items()}
    for word, code in BOOLEAN_CODES.items():
        if code in field.codes and not field.bits:
            words.setdefault(word, code)
    return words


def _spellings(words: dict[str, Number]) -> dict[str | bool, Number]:
    """Words in the spellings that are looked up without a detour, and the booleans that they are."""
    found: dict[str | bool, Number] = {}
    for word, number in words.items():
        found |= dict.fromkeys((word, word.upper(), word.capitalize()), number)
    return found | {flag: words[word] for flag, word in ((True, "true"), (False, "false")) if word in words}


def _conversion(field: Field) -> Conversion:
    if field.conversion is None:
        raise DeclarationError(
            f"field {field.name!r}: sent_in and scale are worked out when a type is loaded; take the data type from a "
            "registry (Registry.of(DATATYPE))"
        )
    return field.conversion


def _word(value: Any, words: dict[str, Number]) -> Number | None:
    """The number for a word in any case or a boolean; None if it is none."""
    if isinstance(value, str):
        return words.get(value.strip().casefold())
    return words.get(str(value).casefold()) if isinstance(value, bool) else None


def _is_zero(values: dict[str, Any], payload: dict[str, Number]) -> bool:
    """Whether every number, plausible or not, is 0. Text and NaN do not count."""
    if any(payload.values()):
        return False
    return not any(number for value in values.values() if (number := _number(value)) == number)
