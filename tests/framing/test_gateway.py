"""A gateway's stream: any split, any noise."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from greenpower.framing.gateway import MAX_NOISE_BYTES, GatewayFramer, Heartbeat, Message, ModbusAnswer, Noise
from tests.framing.stream import ANSWERS, GOOD, IDENTITY, NOISE, REQUESTS, pieces

STREAMS = st.lists(GOOD | NOISE, max_size=12).map(b"".join)
CUTS = st.lists(st.integers(0, 500))


def framer() -> GatewayFramer:
    return GatewayFramer("GWCCCL####", REQUESTS)


def messages(parts: list[bytes]) -> list[Message]:
    cutter = framer()
    return [message for part in parts for message in cutter.receive(part)]


def bytes_of(message: Message) -> bytes:
    return message.identity.encode() if isinstance(message, Heartbeat) else message.data


def test_a_heartbeat_and_every_kind_of_answer() -> None:
    stream = IDENTITY + ANSWERS[0] + IDENTITY + REQUESTS[1].exception(2) + ANSWERS[2]
    expected = [
        Heartbeat("GWCCCL0001"),
        ModbusAnswer(REQUESTS[0], ANSWERS[0]),
        Heartbeat("GWCCCL0001"),
        ModbusAnswer(REQUESTS[1], REQUESTS[1].exception(2), 2),
        ModbusAnswer(REQUESTS[2], ANSWERS[2]),
    ]
    assert messages([stream]) == expected
    assert messages([stream[at : at + 1] for at in range(len(stream))]) == expected


@given(st.lists(GOOD, max_size=12), CUTS)
def test_any_split_of_a_good_stream_gives_its_messages(parts: list[bytes], cuts: list[int]) -> None:
    found = messages(pieces(b"".join(parts), cuts))
    assert [bytes_of(message) for message in found] == parts
    assert not any(isinstance(message, Noise) for message in found)


@given(GOOD, GOOD | st.sampled_from([b"", b"G", IDENTITY, b"GWCCCL0002"]), NOISE)
@example(ANSWERS[0][:-4] + IDENTITY[:4], IDENTITY, b"")
@example(ANSWERS[0][:9] + IDENTITY, b"", b"")
@example(ANSWERS[0][:-2] + b"GW", b"CC", b"")
def test_a_packet_that_is_taken_as_a_whole_gives_what_a_closer_look_gives(
    first: bytes, then: bytes, after: bytes
) -> None:
    for packet in (first, first + then, then + first, first + after):
        quick, slow = framer(), framer()
        assert list(quick.receive(IDENTITY)) == list(slow.receive(IDENTITY))
        slow._buffer += packet
        assert list(quick.receive(packet)) == list(slow._messages())
        assert quick.is_waiting == slow.is_waiting
        assert list(quick.give_up()) == list(slow.give_up())


@given(STREAMS)
def test_byte_by_byte_is_as_good_as_whole(stream: bytes) -> None:
    """As long as no answer breaks off within its last three bytes just where a heartbeat follows."""
    whole = framer()
    single = framer()
    found = list(whole.receive(stream))
    again = [message for byte in stream for message in single.receive(bytes([byte]))]
    if not re.search(rb"GW?C?$", b"".join(m.data[-3:] for m in again if isinstance(m, ModbusAnswer)), re.MULTILINE):
        assert again == found
        assert list(single.give_up()) == list(whole.give_up())


@given(STREAMS, CUTS)
@example(b"GWCCCL000" + IDENTITY, [])
def test_every_byte_comes_out_once_and_in_order(stream: bytes, cuts: list[int]) -> None:
    cutter = framer()
    found = [message for part in pieces(stream, cuts) for message in cutter.receive(part)]
    for _ in range(len(stream) + 1):
        found += cutter.give_up()
    assert b"".join(map(bytes_of, found)) == stream
    assert not cutter.is_waiting
    assert all(0 < len(message.data) <= MAX_NOISE_BYTES for message in found if isinstance(message, Noise))


@given(st.lists(NOISE, max_size=4).map(b"".join))
def test_after_noise_the_next_heartbeat_is_found_at_once(noise: bytes) -> None:
    cutter = framer()
    list(cutter.receive(IDENTITY))
    list(cutter.receive(noise))
    found = list(cutter.receive(IDENTITY))
    assert found[-1] == Heartbeat("GWCCCL0001")
    assert not cutter.is_waiting


@given(st.lists(NOISE, max_size=4).map(b"".join))
def test_after_noise_that_begins_no_answer_the_next_answer_is_found(noise: bytes) -> None:
    assume(not any(request.answer_head in noise or request.exception_head in noise for request in REQUESTS))
    assert messages([IDENTITY + noise, ANSWERS[1]])[-1] == ModbusAnswer(REQUESTS[1], ANSWERS[1])


@pytest.mark.parametrize("kept", range(9, len(ANSWERS[0]) - 3))
def test_an_answer_that_breaks_off_is_not_filled_up_with_the_heartbeat_after_it(kept: int) -> None:
    stream = IDENTITY + ANSWERS[0][:kept] + IDENTITY + ANSWERS[1]
    expected = [
        Heartbeat("GWCCCL0001"),
        Noise(ANSWERS[0][:kept]),
        Heartbeat("GWCCCL0001"),
        ModbusAnswer(REQUESTS[1], ANSWERS[1]),
    ]
    assert messages([stream]) == expected
    assert messages([stream[at : at + 1] for at in range(len(stream))]) == expected


@pytest.mark.parametrize("kept", range(1, len(ANSWERS[0])))
def test_a_heartbeat_in_one_piece_after_a_broken_answer(kept: int) -> None:
    found = messages([IDENTITY, ANSWERS[0][:kept], IDENTITY])
    assert found == [Heartbeat("GWCCCL0001"), Noise(ANSWERS[0][:kept]), Heartbeat("GWCCCL0001")]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("0127 0000 000b 0103 08", id="transaction"),
        pytest.param("0126 0001 000b 0103 08", id="protocol"),
        pytest.param("0126 0000 000c 0103 08", id="length"),
        pytest.param("0126 0000 000b 0203 08", id="unit"),
        pytest.param("0126 0000 000b 0104 08", id="function"),
        pytest.param("0126 0000 000b 0103 07", id="byte count"),
        pytest.param("0126 0000 0004 0183 02", id="length of an exception"),
    ],
)
def test_what_is_not_exactly_an_answer_is_noise(head: str) -> None:
    wrong = bytes.fromhex(head) + ANSWERS[0][9:]
    assert messages([IDENTITY + wrong + IDENTITY]) == [
        Heartbeat("GWCCCL0001"),
        Noise(wrong),
        Heartbeat("GWCCCL0001"),
    ]


def test_values_that_spell_the_beginning_of_a_heartbeat_are_values() -> None:
    answer = REQUESTS[0].answer(b"GWCCxxxx")
    assert messages([IDENTITY + answer + IDENTITY])[1] == ModbusAnswer(REQUESTS[0], answer)
    cutter = framer()
    answer = REQUESTS[0].answer(b"xxxxGWCC")
    found = list(cutter.receive(IDENTITY + answer))
    assert found == [Heartbeat("GWCCCL0001")], "more bytes will tell"
    assert list(cutter.receive(IDENTITY)) == [ModbusAnswer(REQUESTS[0], answer), Heartbeat("GWCCCL0001")]


def test_a_flood_of_noise_is_held_in_small_pieces() -> None:
    cutter = framer()
    count = 0
    for _ in range(100):
        for message in cutter.receive(b"\xaa" * 10_000):
            assert isinstance(message, Noise)
            count += len(message.data)
        assert len(cutter._buffer) + len(cutter._noise) <= MAX_NOISE_BYTES
    assert count > 999_000
