"""Values in registers: order, factor, scale, bits, and contents that mean that there is no value."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from greenpower.datatype import DeclarationError, Frame, FrameError
from greenpower.framing.block import LAYOUTS, Block, RegisterPoint
from greenpower.framing.poll import ModbusPoll
from greenpower.framing.value import times


def read(poll: ModbusPoll, *answers: bytes) -> dict[str, Any]:
    (reading,) = poll(Frame(topic="t", payload=b"".join(answers), device="D"))
    return reading.values


def values(block: Block, data: str) -> dict[str, Any]:
    poll = ModbusPoll(block)
    return read(poll, poll.requests[0].answer(bytes.fromhex(data)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("word_order", ["big", "little"])
@given(st.data())
def test_word_order_is_that_of_pymodbus(layout: str, word_order: Any, data: st.DataObject) -> None:
    block = Block(register=1, layout=layout, fields=("a", "b"), word_order=word_order)
    registers = data.draw(st.binary(min_size=block.values.size, max_size=block.values.size))
    words = [int.from_bytes(registers[at : at + 2], "big") for at in range(0, len(registers), 2)]
    theirs = [
        ModbusClientMixin.convert_from_registers(half, ModbusClientMixin.DATATYPE[layout.upper()], word_order)
        for half in (words[: len(words) // 2], words[len(words) // 2 :])
    ]
    assert repr(list(values(block, registers.hex()).values())) == repr(theirs)


@pytest.mark.parametrize(
    ("word_order", "byte_order", "data"),
    [
        ("big", "big", "12345678"),
        ("little", "big", "56781234"),
        ("big", "little", "34127856"),
        ("little", "little", "78563412"),
    ],
)
def test_all_four_orders(word_order: str, byte_order: str, data: str) -> None:
    block = Block(register=1, layout="uint32", fields=("a",), word_order=word_order, byte_order=byte_order)
    assert values(block, data) == {"a": 0x12345678}


@pytest.mark.parametrize("factor", ["0.1", 0.1, Decimal("0.1")])
def test_a_tenth_is_a_tenth(factor: Any) -> None:
    assert values(Block(register=1, layout="int16", fields=("a", "b"), factor=factor), "08fd fffe") == {
        "a": 230.1,
        "b": -0.2,
    }


def test_factors_above_1_keep_integers() -> None:
    found = values(Block(register=1, layout="uint16", fields=("a",), factor=1000), "0007")
    assert found == {"a": 7000} and type(found["a"]) is int


@given(st.integers(-(2**63), 2**63 - 1), st.decimals(-1000, 1000, places=4).filter(bool))
def test_a_factor_gives_the_nearest_float(number: int, factor: Decimal) -> None:
    numerator, denominator = factor.as_integer_ratio()
    exact = number * numerator
    assert times(number, Fraction(factor)) == (exact if denominator == 1 else exact / denominator)


def test_a_float_is_multiplied_as_it_is_written() -> None:
    found = values(Block(register=1, layout="float64", fields=("a",), factor="0.001"), "40500ccccccccccd")
    assert found == {"a": 0.0642}, "64.2 W"


def test_nan_and_infinity_stay() -> None:
    found = values(Block(register=1, layout="float32", fields=("a", "b"), factor="0.001"), "7fc00000 7f800000")
    assert math.isnan(found["a"]) and found["b"] == math.inf


def test_contents_that_mean_nothing() -> None:
    block = Block(register=1, layout="int16", fields=("a", "b", "c"), not_implemented=(0x8000, 0xFFFF))
    assert values(block, "8000 ffff 0007") == {"c": 7}
    with pytest.raises(FrameError) as caught:
        values(block, "8000 8000 8000")
    assert caught.value.reason == "no-values"


SUNSPEC_LIKE = Block(
    register=40072,
    points=(
        RegisterPoint(field="current", register=40072, layout="uint16", scale=40076, not_implemented=(0xFFFF,)),
        RegisterPoint(
            field="power", register=40084, layout="int16", scale=40085, factor="0.001", not_implemented=(0x8000,)
        ),
    ),
)


def registers(**given: int) -> bytes:
    data = bytearray(2 * SUNSPEC_LIKE.count)
    for name, value in given.items():
        at = 2 * (int(name[1:]) - 40072)
        data[at : at + 2] = (value & 0xFFFF).to_bytes(2, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"r40072": 1234, "r40076": -2, "r40084": 5210, "r40085": 0}, {"current": 12.34, "power": 5.21}),
        ({"r40072": 12, "r40076": 1, "r40084": -521, "r40085": 1}, {"current": 120, "power": -5.21}),
        ({"r40072": 0xFFFF, "r40076": -2, "r40084": 1, "r40085": 0}, {"power": 0.001}),
    ],
)
def test_scale_registers(given: dict[str, int], expected: dict[str, float]) -> None:
    poll = ModbusPoll(SUNSPEC_LIKE)
    assert poll.requests[0].count == 14
    assert read(poll, poll.requests[0].answer(registers(**given))) == expected


@pytest.mark.parametrize("scale", [-0x8000, 11, -11])
def test_a_scale_that_is_none_makes_no_number(scale: int) -> None:
    poll = ModbusPoll(SUNSPEC_LIKE)
    found = read(poll, poll.requests[0].answer(registers(r40072=1, r40076=scale, r40084=1)))
    assert math.isnan(found["current"]) and found["power"] == 0.001


def test_a_scale_in_another_block() -> None:
    poll = ModbusPoll(
        Block(register=10, points=(RegisterPoint(field="a", register=10, scale=200),)),
        Block(register=200, layout="int16", fields=("sf",)),
        Block(register=200, layout="int16", fields=("other",), unit=2),
    )
    contents = (b"\0\7", b"\xff\xff", b"\0\1")
    first, scale, other = (request.answer(data) for request, data in zip(poll.requests, contents, strict=True))
    assert read(poll, first, scale, other) == {"a": 0.7, "sf": -1, "other": 1}
    assert read(poll, first, other) == {"other": 1}, "without its scale a value is not told"
    with pytest.raises(DeclarationError, match=r"register 201 .*'a'"):
        ModbusPoll(Block(register=10, points=(RegisterPoint(field="a", register=10, scale=201),)))


def test_bits_of_a_register() -> None:
    block = Block(
        register=5,
        points=(
            RegisterPoint(field="on", register=5, bit=0),
            RegisterPoint(field="fault", register=5, bit=15),
            RegisterPoint(field="mode", register=5, bit=4, bits=3),
            RegisterPoint(field="word", register=6),
        ),
    )
    assert values(block, "8051 0009") == {"on": 1, "fault": 1, "mode": 5, "word": 9}


@pytest.mark.parametrize("function", [1, 2])
def test_coils_and_discrete_inputs(function: int) -> None:
    block = Block(
        register=20, layout="bit", fields=tuple(f"r{n}" if n != 3 else "" for n in range(10)), function=function
    )
    poll = ModbusPoll(block)
    assert (poll.requests[0].count, poll.requests[0].data_size) == (10, 2)
    found = read(poll, poll.requests[0].answer(b"\x05\x02"))
    assert found == {f"r{n}": int(n in (0, 2, 9)) for n in range(10) if n != 3}
    assert read(poll, poll.answer(poll.requests[0].encoded, {"r2": 1, "r9": 1})) == {
        **dict.fromkeys(found, 0),
        "r2": 1,
        "r9": 1,
    }


NUMBERS = st.floats(-3e4, 3e4).map(lambda value: round(value, 2))


@given(NUMBERS, NUMBERS, st.integers(0, 1), st.sampled_from(["big", "little"]), st.sampled_from(["tcp", "rtu"]))
def test_a_simulated_answer_is_read_as_its_values(a: float, b: float, on: int, order: str, framing: str) -> None:
    poll = ModbusPoll(
        Block(register=1, layout="int32", fields=("x", "y"), factor="0.01", word_order=order),
        Block(
            register=50,
            points=(
                RegisterPoint(field="a", register=50, layout="int32", scale=53),
                RegisterPoint(field="b", register=54, layout="int16", scale=55, factor=1000),
                RegisterPoint(field="on", register=56, bit=7),
            ),
        ),
        framing=framing,
    )  # fmt: skip
    given = {"x": a, "y": b, "a": a, "b": b * 1000, "on": on}
    answers = [poll.answer(request.encoded, given) for request in poll.asked(framing)]
    payload = b"".join(request.encoded + answer for request, answer in zip(poll.asked(framing), answers, strict=True))
    found = read(poll, payload)
    assert found == pytest.approx(given, rel=1e-3, abs=51)
    assert (found["x"], found["a"], found["on"]) == (a, a, on)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"word_order": "middle"}, "word_order 'middle' .*big, little"),
        ({"byte_order": ""}, "byte_order"),
        ({"factor": 0}, "factor 0"),
        ({"factor": "ten"}, "factor 'ten'"),
        ({"factor": "0.1", "divisor": 10}, "register 1: .*factor or divisor"),
        ({"function": 1}, "'int16' .*bit"),
        ({"layout": "bit"}, "'bit' .* int16"),
        ({"points": (RegisterPoint(field="b", register=1),)}, "register 1: give points"),
    ],
)
def test_blocks_that_cannot_be(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        Block(**{"register": 1, "layout": "int16", "fields": ("a",), **changes})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layout": "int8"}, "'int8'"),
        ({"bit": 16}, "a: bits 16 to 16"),
        ({"bit": 14, "bits": 3}, "a: bits 14 to 16"),
        ({"bit": 1, "layout": "float32"}, "float32 has no bits"),
        ({"factor": math.nan}, "factor"),
    ],
)
def test_points_that_cannot_be(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        RegisterPoint(**{"field": "a", "register": 1, **changes})


def test_a_point_before_its_block() -> None:
    with pytest.raises(DeclarationError, match="register 5"):
        Block(register=5, points=(RegisterPoint(field="a", register=4),))
