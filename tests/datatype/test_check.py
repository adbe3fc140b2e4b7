"""From values as sent to payloads."""

from __future__ import annotations

import json
import math
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import ON_OFF, DataType, Field, FrameError, Kind, Mqtt, json_parser
from greenpower.datatype.check import Checker


def datatype(**changes: Any) -> DataType:
    given: dict[str, Any] = {
        "name": "test",
        "title": "Test",
        "collection": "test_data",
        "match": (Mqtt("test"),),
        "fields": (
            Field("ua", unit="V", low=0, high=1000),
            Field("zygsz", unit="kWh", kind=Kind.COUNTER, low=0, source=("iactive", "Total")),
            Field("uplus", unit="V"),
            Field("temp_1_c", unit="°C", source="temp_1(*C)", low=-60, high=90),
        ),
        "parse": json_parser(device="id"),
        "anchors": ("zygsz",),
    }
    return DataType(**{**given, **changes})


CHECKER = Checker(datatype())
CLOSED = Checker(datatype(open=False))


def reason(values: dict[str, Any], checker: Checker = CHECKER) -> str:
    with pytest.raises(FrameError) as caught:
        checker.check(values)
    caught.value.detail.encode()
    return caught.value.reason


def test_values_come_under_their_names_unchanged() -> None:
    values = {"ua": 229.097, "U+": 1, "iactive": 163.486, "temp_1(*C)": -0.5, "extra": 7}
    payload = {"ua": 229.097, "uplus": 1, "zygsz": 163.486, "temp_1_c": -0.5, "extra": 7}
    assert CHECKER.check(values) == (payload, {})
    assert CHECKER.check(values) == (payload, {}), "once more, with the keys known"


@pytest.mark.parametrize("key", ["ua", "UA", "uA"])
def test_keys_in_either_case(key: str) -> None:
    assert CHECKER.check({key: 1.5}) == ({"ua": 1.5}, {})


@pytest.mark.parametrize("key", ["Total", "TOTAL", "IACTIVE", "ZYGSZ"])
def test_other_names_in_either_case(key: str) -> None:
    assert CHECKER.check({key: 1.5}) == ({"zygsz": 1.5}, {})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "not-a-number"),
        ("", "not-a-number"),
        ("--", "not-a-number"),
        ("1,5", "not-a-number"),
        ("0x10", "not-a-number"),
        ("1_000", "not-a-number"),
        ("nan", "not-a-number"),
        ("٣", "not-a-number"),
        ("1" * 65, "not-a-number"),
        ("\ud800", "not-a-number"),
        (True, "not-a-number"),
        ([], "not-a-number"),
        ({"a": 1}, "not-a-number"),
        (math.nan, "not-finite"),
        (math.inf, "not-finite"),
        (-math.inf, "not-finite"),
        ("1e999", "not-finite"),
        (10**30, "too-large"),
        (2**63, "too-large"),
        (2.0**63, "too-large"),
        (-(2**63) - 1, "too-large"),
        (10**299, "too-large"),
        (1e300, "too-large"),
        ("9" * 64, "too-large"),
        (-1, "out-of-range"),
        (1000.001, "out-of-range"),
        ("1001", "out-of-range"),
    ],
)
def test_a_value_is_left_out_with_a_reason(value: Any, why: str) -> None:
    assert CHECKER.check({"ua": value, "uplus": 1}) == ({"uplus": 1}, {"ua": why})


@pytest.mark.parametrize(
    ("value", "number"),
    [("5", 5), ("+5", 5), (" 5.25 ", 5.25), ("5.", 5.0), (".5", 0.5), ("1e2", 100.0), ("007", 7), ("-0", 0)],
)
def test_plain_numbers_in_strings_are_read(value: str, number: float) -> None:
    payload, left_out = CHECKER.check({"ua": value})
    assert (payload, left_out) == ({"ua": number}, {})
    assert type(payload["ua"]) is type(number)


def test_undeclared_numbers_are_kept_where_the_type_is_open_only() -> None:
    assert CHECKER.check({"new": 5}) == ({"new": 5}, {})
    assert CLOSED.check({"new": 5, "ua": 1}) == ({"ua": 1}, {"new": "undeclared"})
    assert CHECKER.check({"new": 1e19, "ua": 1}) == ({"ua": 1}, {"new": "too-large"})


def test_one_field_in_two_spellings_keeps_the_first() -> None:
    assert CHECKER.check({"UA": 1, "ua": 2}) == ({"ua": 1}, {"ua": "twice"})
    assert CHECKER.check({"UA": 1, "ua": 1}) == ({"ua": 1}, {})
    assert CHECKER.check({"UA": None, "ua": 2}) == ({"ua": 2}, {"ua": "not-a-number"})


@pytest.mark.parametrize(
    "key",
    ["", ")", "$set", "a.b", "a\0b", "a\nb", "\ud800", "\u2028", "k" * 65, "%" * 20, "k" * 10_000, "\x7f"],
)
def test_keys_that_cannot_be_stored(key: str) -> None:
    assert reason({"ua": 1, key: 1}) == "bad-key"
    assert reason({"ua": 1, key: "text"}) == "bad-key"


@pytest.mark.parametrize(
    "values",
    [
        {"zygsz": 0},
        {"zygsz": 0.0, "ua": 0, "extra": -0.0},
        {"iactive": "0.000", "ua": "0"},
        {"zygsz": 0, "ua": None, "x": "text"},
        {"zygsz": 0, "x": math.nan},
    ],
)
def test_zero_frames(values: dict[str, Any]) -> None:
    assert reason(values) == "zero-frame"


@pytest.mark.parametrize(
    "values",
    [
        {"ua": 0, "uplus": 0},
        {"zygsz": 0, "uplus": 0.001},
        {"zygsz": 0, "ua": 5000},
        {"zygsz": 0, "ua": "-5"},
        {"zygsz": 0, "ua": 10**200},
        {"zygsz": 1, "ua": 0},
    ],
)
def test_frames_that_are_no_zero_frames(values: dict[str, Any]) -> None:
    CHECKER.check(values)


def test_an_undeclared_number_above_0_makes_a_frame_no_zero_frame() -> None:
    assert CLOSED.check({"zygsz": 0, "new": 5}) == ({"zygsz": 0}, {"new": "undeclared"})


@pytest.mark.parametrize("values", [{}, {"ua": None}, {"ua": -1}, {f"k{n}": "x" for n in range(1000)}])
def test_a_reading_without_values_is_rejected(values: dict[str, Any]) -> None:
    assert reason(values) == "no-values"


def test_limits_that_no_document_can_hold_are_narrowed() -> None:
    checker = Checker(datatype(fields=(Field("big", unit="1", low=-1e300, high=1e300),), anchors=()))
    assert checker.check({"big": 1e18}) == ({"big": 1e18}, {})
    for value in (2**63, 1e19, -1e300):
        assert reason({"big": value}, checker) == "no-values"


def test_keys_are_learned_up_to_a_bound() -> None:
    checker = Checker(datatype())
    for first in range(0, 12_000, 100):
        checker.check({f"k{n}": n + 1 for n in range(first, first + 100)})
    assert len(checker._known) <= 10_000
    assert checker.check({"K11999": 5}) == ({"k11999": 5}, {})


JSON_VALUES = (
    st.integers() | st.floats() | st.text(max_size=10) | st.none() | st.booleans() | st.lists(st.integers(), max_size=2)
)
KEYS = st.sampled_from(["ua", "UA", "zygsz", "iactive", "U+", "uplus", "temp_1(*C)"]) | st.text(max_size=8)


@given(st.dictionaries(KEYS, JSON_VALUES, max_size=8), st.booleans())
def test_any_values_give_a_storable_payload_or_a_frame_error(values: dict[str, Any], open: bool) -> None:
    checker = CHECKER if open else CLOSED
    try:
        payload, left_out = checker.check(values)
    except FrameError as error:
        assert error.reason in {"bad-key", "zero-frame", "no-values"}
        bson.encode({"reason": error.reason, "detail": error.detail})
        return
    assert bson.decode(bson.encode({"payload": payload, "left_out": left_out}))["payload"] == payload
    for name, number in payload.items():
        assert name
        assert not {"$", ".", "\0"} & set(name)
        assert type(number) in (int, float)
        assert math.isfinite(number)
    assert all(0 <= payload[name] <= 1000 for name in payload if name == "ua")
    json.dumps(payload, allow_nan=False)


@given(st.dictionaries(KEYS, JSON_VALUES, min_size=1, max_size=8))
def test_keys_seen_before_change_nothing(values: dict[str, Any]) -> None:
    """A checker that has seen all keys before gives the same result as a new one."""

    def outcome(checker: Checker) -> object:
        try:
            return checker.check(values)
        except FrameError as error:
            return error.reason

    assert outcome(CHECKER) == outcome(Checker(datatype()))


MODES = {0: "Off", 1: "running", 3: "Door open"}
MODE = Field("mode", unit="1", kind=Kind.ENUMERATION, codes=MODES)
ENUMERATED = Checker(
    datatype(
        fields=(
            MODE,
            Field("faults", unit="1", kind=Kind.ENUMERATION, codes={0: "fan", 4: "hot"}, bits=True),
            Field("answer", unit="1", kind=Kind.ENUMERATION, codes={5: "true", 6: "false"}),
            Field("ua", unit="V"),
        ),
        anchors=(),
    )
)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("mode", "off", 0),
        ("mode", " RUNNING ", 1),
        ("mode", "door OPEN", 3),
        ("mode", 1, 1),
        ("mode", "1", 1),
        ("mode", 17, 17),
        ("mode", True, 1),
        ("mode", False, 0),
        ("mode", "true", 1),
        ("faults", "hot", 16),
        ("faults", 17, 17),
        ("answer", True, 5),
        ("answer", "False", 6),
    ],
)
def test_words_and_booleans_become_codes(key: str, value: Any, code: int) -> None:
    payload, left_out = ENUMERATED.check({key: value, "ua": 1})
    assert (payload, left_out) == ({key: code, "ua": 1}, {})
    assert type(payload[key]) is int


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("mode", "idle", "unknown-word"),
        ("mode", "", "unknown-word"),
        ("faults", True, "unknown-word"),
        ("mode", None, "not-a-number"),
        ("mode", ["off"], "not-a-number"),
        ("mode", math.nan, "not-finite"),
        ("ua", "off", "not-a-number"),
    ],
)
def test_an_unknown_word_is_left_out_with_a_reason(key: str, value: Any, why: str) -> None:
    assert ENUMERATED.check({key: value, "answer": 5}) == ({"answer": 5}, {key: why})


def test_a_frame_of_words_that_mean_nothing_is_a_zero_frame_as_one_of_zeros_is() -> None:
    checker = Checker(datatype(fields=(MODE, Field("e", unit="kWh", kind=Kind.COUNTER)), anchors=("e",)))
    assert reason({"e": 0, "mode": "off"}, checker) == "zero-frame"
    assert checker.check({"e": 0, "mode": "running"})[0] == {"e": 0, "mode": 1}


WORDS = Checker(
    datatype(
        fields=(
            Field("relay", unit="1", kind=Kind.STATE, words=ON_OFF),
            Field("level", unit="%", words={"Full": 100, "empty": 0}, low=0, high=100),
            Field("mode", unit="1", kind=Kind.ENUMERATION, codes={0: "idle", 1: "busy"}, words={"working": 1}),
            Field("power", unit="kW"),
        ),
        anchors=(),
    )
)


@pytest.mark.parametrize(
    ("key", "value", "number"),
    [
        ("relay", "ON", 1), ("relay", "off", 0), ("relay", " On ", 1), ("relay", True, 1), ("relay", False, 0),
        ("relay", 1, 1), ("relay", "1", 1), ("level", "FULL", 100), ("level", "fUlL", 100), ("level", 42.5, 42.5),
        ("mode", "Working", 1), ("mode", "idle", 0), ("mode", True, 1), ("mode", 1, 1),
    ],
)  # fmt: skip
def test_words_and_booleans_are_numbers_where_a_field_says_so(key: str, value: Any, number: float) -> None:
    for values in ({key: value}, {key: value, "power": 1.5}, {"Power": "1.5", key.upper(): value}):
        payload, left_out = WORDS.check(values)
        assert payload == {key: number} | ({"power": 1.5} if len(values) > 1 else {}) and left_out == {}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("relay", "open", "unknown-word"), ("level", True, "unknown-word"), ("level", "101", "out-of-range"),
        ("relay", None, "not-a-number"), ("relay", [1], "not-a-number"), ("power", "on", "not-a-number"),
        ("power", True, "not-a-number"),
    ],
)  # fmt: skip
def test_other_words_are_left_out(key: str, value: Any, why: str) -> None:
    assert WORDS.check({key: value, "mode": "busy"}) == ({"mode": 1}, {key: why})
    assert WORDS.check({"mode": "busy", key: value}) == ({"mode": 1}, {key: why})
