"""What is asked, as a declaration, and how a round is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import DeclarationError, Frame, FrameError, Reading
from greenpower.framing.poll import Block, ModbusPoll
from tests.framing.stream import ANSWERS, NOISE, POLL, REQUESTS, ROUND


def read(payload: bytes, device: str | None = "GWCCCL0001") -> tuple[Reading, ...]:
    return POLL(Frame(topic="tcp/solar/GWCCCL0001", payload=payload, device=device))


def reason(payload: bytes, device: str | None = "GWCCCL0001") -> str:
    with pytest.raises(FrameError) as caught:
        read(payload, device)
    return caught.value.reason


def test_a_round_is_a_reading_a_device() -> None:
    assert read(ROUND) == (
        Reading(device_id="GWCCCL0001", values={"a": 1.5, "b": -2.25, "c": -3, "d": 4}),
        Reading(device_id="GWCCCL0001-2", values={"e": 5}),
    )


def test_a_round_with_a_missing_answer_says_so_for_the_device_that_misses_it() -> None:
    one, other = read(ANSWERS[0] + ANSWERS[2])
    assert (one.values, one.complete) == ({"a": 1.5, "b": -2.25}, False)
    assert (other.values, other.complete) == ({"e": 5}, True)
    (alone,) = read(ANSWERS[2])
    assert (alone.device_id, alone.complete) == ("GWCCCL0001-2", True)


@given(st.permutations(ANSWERS))
def test_the_order_of_the_answers_does_not_matter(answers: list[bytes]) -> None:
    assert read(b"".join(answers)) == read(ROUND)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "bad-answer"),
        (b"{}", "bad-answer"),
        (REQUESTS[0].exception(2), "bad-answer"),
        (ANSWERS[0] + b"GWCCCL0001", "bad-answer"),
        (ANSWERS[0][:-1], "cut-answer"),
        (ANSWERS[0] + ANSWERS[1][:10], "cut-answer"),
        (ANSWERS[0] + ANSWERS[0], "answered-twice"),
        (REQUESTS[0].encoded, "bad-answer"),
    ],
)
def test_what_is_no_round(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


def test_a_round_of_nobody() -> None:
    assert reason(ROUND, None) == "no-id"


@given(st.lists(NOISE | st.sampled_from(ANSWERS), max_size=5).map(b"".join))
def test_any_bytes_are_readings_or_an_error(payload: bytes) -> None:
    try:
        readings = read(payload)
    except FrameError as error:
        assert error.reason in {"bad-answer", "cut-answer", "answered-twice"}
    else:
        assert readings


def block(**changes: Any) -> Block:
    return Block(**{"register": 1, "layout": "int16", "fields": ("a",), **changes})


@pytest.mark.parametrize(
    ("blocks", "named"),
    [
        ([], None),
        ([{"layout": "float16"}], "'float16'.* int16, uint16"),
        ([{"fields": ()}], "register 1:"),
        ([{"fields": ("",)}], "register 1:"),
        ([{"fields": ("a", "a")}], r"\ba$"),
        ([{"divisor": 0}], "register 1: .*divisor"),
        ([{"suffix": "ä"}], "suffix"),
        ([{"register": 0}], "65536"),
        ([{"fields": tuple(f"f{n}" for n in range(63)), "layout": "int32"}], "126 registers.* 125"),
        ([{}, {"transaction": 1, "fields": ("b",)}], "0x0001"),
        ([{}, {"unit": 2}], r"\ba$"),
    ],
)
def test_polls_that_cannot_be(blocks: list[dict[str, Any]], named: str | None) -> None:
    with pytest.raises(DeclarationError, match=named):
        ModbusPoll(*(block(**changes) for changes in blocks))


@pytest.mark.parametrize("name", ["timeout", "greatest_pause", "silence"])
def test_times_are_above_zero(name: str) -> None:
    with pytest.raises(DeclarationError, match=name):
        ModbusPoll(block(), **{name: 0})  # type: ignore[arg-type]


def test_several_units_may_have_the_same_fields_as_devices_of_their_own() -> None:
    poll = ModbusPoll(block(), block(unit=2, suffix="-2"))
    assert poll.fields == {"a"}
    assert [request.transaction for request in poll.requests] == [1, 2]


def test_registers_that_count_tenths_are_the_nearest_number() -> None:
    poll = ModbusPoll(block(divisor=10))
    answer = poll.answer(poll.requests[0].encoded, {"a": 230.1})
    assert answer[-2:] == (2301).to_bytes(2, "big")
    ((reading),) = poll(Frame(topic="t", payload=answer, device="GW"))
    assert reading.values == {"a": 230.1}


def test_only_questions_of_the_poll_are_answered() -> None:
    with pytest.raises(KeyError):
        POLL.answer(b"", {})
