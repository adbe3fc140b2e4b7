"""Rounds by our clock: whose turn it is, and a unit that is silent."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import Dialogue, Frame, FrameError, Tcp
from greenpower.framing.modbus import ReadRequest
from greenpower.framing.poll import Block, ModbusPoll
from greenpower.framing.rounds import Discovery, PolledDevice, Rounds
from greenpower.framing.rtu import RtuRequest, read_request
from tests.framing.stream import pieces

POLL = ModbusPoll(
    Block(register=10, layout="uint16", fields=("a",)),
    Block(register=20, layout="uint16", fields=("b",)),
    every=10,
    timeout=2,
)
VALUES = {"a": 7, "b": 8}
FRAMING = pytest.mark.parametrize("framing", ["tcp", "rtu"])


def rounds(framing: str = "tcp", units: tuple[int, ...] = (1,)) -> Rounds:
    devices = [PolledDevice(requests=POLL.asked(framing, unit), every=10) for unit in units]
    return Rounds(devices, timeout=2, greatest_pause=60, silence=100)


class Line:
    """Units behind a connection; `silent` ones do not answer. Asked until it has nothing to answer."""

    def __init__(self, talk: Rounds | Dialogue, poll: ModbusPoll = POLL) -> None:
        self.talk = talk
        self.poll = poll
        self.silent: set[int] = set()
        self.asked: list[ReadRequest] = []
        self.answer: Callable[[ReadRequest], bytes] = lambda request: poll.answer(request.encoded, VALUES)

    def go(self, now: float) -> None:
        while output := self.talk.take_output():
            request = read_request(output)
            assert request is not None and len(output) == len(request.encoded), "one question at a time"
            self.asked.append(request)
            if request.unit not in self.silent:
                self.talk.receive(self.answer(request), now)

    def taken(self) -> list[tuple[int, int]]:
        asked, self.asked = self.asked, []
        return [(request.unit, request.register) for request in asked]


def started(talk: Rounds) -> Line:
    talk.begin(0)
    return Line(talk)


@FRAMING
def test_a_round_every_so_many_seconds(framing: str) -> None:
    talk = rounds(framing)
    line = started(talk)
    line.go(1)
    assert line.taken() == [(1, 10), (1, 20)]
    ((number, payload, at),) = talk.take_rounds()
    assert (number, at) == (0, 1)
    (reading,) = POLL(Frame(topic="t", payload=payload, device="D"))
    assert (reading.values, reading.complete) == (VALUES, True)
    assert talk.deadline == 10
    talk.tick(9)
    assert talk.take_output() == b""
    talk.tick(10)
    line.go(10.5)
    assert talk.deadline == 20, "the rhythm does not drift"
    talk.tick(47)
    line.go(47)
    assert talk.deadline == 50, "what was missed is not caught up with"
    assert talk.take_device_notes() == []


@FRAMING
def test_a_unit_that_is_silent_holds_up_the_others_for_one_timeout(framing: str) -> None:
    talk = rounds(framing, units=(1, 2, 3))
    line = started(talk)
    line.silent = {2}
    line.go(0)
    assert line.taken() == [(1, 10), (1, 20), (2, 10)]
    talk.tick(2)
    line.go(2)
    assert line.taken() == [(3, 10), (3, 20)], "its other questions are not asked"
    assert [number for number, _, _ in talk.take_rounds()] == [0, 2]
    assert [(number, reason) for number, reason, _, _ in talk.take_device_notes()] == [(1, "no-answer")]
    tries = []
    for now in range(3, 400):
        talk.tick(now)
        line.go(now)
        tries += [now for unit, _ in line.taken() if unit == 2]
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert sorted(waits) == waits and waits[0] == 10 and waits[-1] <= 70, "it is left alone for longer each time"
    line.silent = set()
    for now in range(400, 480):
        talk.tick(now)
        line.go(now)
    assert {number for number, _, _ in talk.take_rounds()[-3:]} == {0, 1, 2}, "it is asked as before"


def test_a_gateway_that_says_that_a_unit_is_silent() -> None:
    talk = rounds(units=(1, 2))
    line = started(talk)
    line.answer = lambda request: request.exception(11) if request.unit == 1 else POLL.answer(request.encoded, VALUES)
    line.go(0)
    assert line.taken() == [(1, 10), (2, 10), (2, 20)]
    assert [(number, reason) for number, reason, _, _ in talk.take_device_notes()] == [(0, "exception")]


def test_another_exception_leaves_one_answer_out() -> None:
    talk = rounds("rtu")
    line = started(talk)
    line.answer = lambda request: (
        request.exception(2) if request.register == 10 else POLL.answer(request.encoded, VALUES)
    )
    line.go(0)
    ((_, payload, _),) = talk.take_rounds()
    (reading,) = POLL(Frame(topic="t", payload=payload, device="D"))
    assert (reading.values, reading.complete) == ({"b": 8}, False)


def test_a_late_answer_over_a_serial_line_is_not_taken_for_another() -> None:
    talk = rounds("rtu")
    line = started(talk)
    line.silent = {1}
    line.go(0)
    ((first),) = line.asked
    talk.tick(2)
    talk.receive(POLL.answer(first.encoded, {"a": 1234}), 3)
    assert talk.take_output() == b""
    assert [reason for _, reason, _, _ in talk.take_device_notes()] == ["no-answer", "unasked-answer"]
    line.silent = set()
    talk.tick(10)
    line.go(10)
    ((_, payload, _),) = talk.take_rounds()
    (reading,) = POLL(Frame(topic="t", payload=payload, device="D"))
    assert reading.values == VALUES


def test_an_answer_with_a_wrong_checksum_is_none() -> None:
    talk = rounds("rtu")
    line = started(talk)
    line.answer = lambda request: POLL.answer(request.encoded, VALUES)[:-1] + b"\xff"
    line.go(0)
    talk.tick(2)
    line.go(2)
    assert talk.take_rounds() == []
    assert [reason for _, reason, _, _ in talk.take_device_notes()] == ["no-answer", "noise"]


def test_a_connection_without_any_answer_ends() -> None:
    talk = rounds()
    line = started(talk)
    line.silent = {1}
    with pytest.raises(FrameError) as caught:
        for now in range(200):
            talk.tick(now)
            line.go(now)
    assert caught.value.reason == "silent"


def test_a_round_that_breaks_off_is_noted() -> None:
    talk = rounds()
    line = started(talk)
    request = read_request(talk.take_output())
    assert request is not None
    talk.receive(POLL.answer(request.encoded, VALUES), 0)
    talk.close()
    talk.close()
    assert [reason for _, reason, _, _ in talk.take_device_notes()] == ["unfinished-round"]
    assert line.asked == []


@FRAMING
@given(st.lists(st.integers(0, 500)), st.lists(st.binary(min_size=1, max_size=9), max_size=3))
def test_any_split_and_some_noise(framing: str, cuts: list[int], noise: list[bytes]) -> None:
    """What comes before an answer does not matter, unless it begins as an answer does: then time tells."""
    talk = rounds(framing)
    talk.begin(0)
    now = 0.0
    while not talk.take_rounds():
        request = read_request(talk.take_output())
        if request is None:
            now += 10
            talk.tick(now)
            continue
        stream = (noise.pop() if noise else b"") + POLL.answer(request.encoded, VALUES)
        for piece in pieces(stream, cuts):
            talk.receive(piece, now)
        assert now < 10_000


def searching(found: tuple[ReadRequest, ...]) -> Discovery:
    data = yield RtuRequest(unit=1, register=100, count=1)
    return found if data == b"\0\1" else ()


def test_registers_are_looked_for_first() -> None:
    found = POLL.asked("rtu")
    device = PolledDevice(requests=(), every=10, discover=lambda: searching(found))
    talk = Rounds([device], timeout=2, greatest_pause=60, silence=100)
    line = started(talk)
    line.answer = lambda request: request.answer(b"\0\0")
    line.go(0)
    assert [reason for _, reason, _, _ in talk.take_device_notes()] == ["not-found"]
    line.answer = lambda request: (
        request.answer(b"\0\1") if request.register == 100 else POLL.answer(request.encoded, VALUES)
    )
    talk.tick(10)
    line.go(10)
    assert line.taken() == [(1, 100), (1, 100), (1, 10), (1, 20)]
    talk.tick(20)
    line.go(20)
    assert line.taken() == [(1, 10), (1, 20)]
    line.answer = lambda request: request.exception(2)
    talk.tick(30)
    line.go(30)
    talk.tick(40)
    line.go(40)
    assert line.taken() == [(1, 10), (1, 20), (1, 100)], "they may be elsewhere now"


# gateways that connect to us


@FRAMING
@pytest.mark.parametrize("heartbeat", ["", "ping", "hex:FE"])
def test_a_gateway_that_registers_once_is_asked_for_ever(framing: str, heartbeat: str) -> None:
    poll = ModbusPoll(*POLL.blocks, every=10, timeout=2, framing=framing)
    claim = Tcp(registration="hex:D4AD20######", dialogue=poll.dialogue, heartbeat=heartbeat)
    talk = claim.dialogue(claim)
    talk.receive(bytes.fromhex("d4ad20"), 0)
    assert (talk.device_id, talk.deadline) == (None, None)
    talk.receive(bytes.fromhex("010203"), 0)
    assert talk.device_id == "D4AD20010203"
    line = Line(talk, poll)
    for now in range(100):
        line.go(now)
        if now % 7 == 3 and heartbeat:
            packet = {"ping": b"ping", "hex:FE": b"\xfe"}[heartbeat]
            talk.receive(packet, now)
        talk.tick(now)
    frames = talk.take_frames()
    assert len(frames) == 10 and talk.take_notes() == []
    for payload, _ in frames:
        (reading,) = poll(Frame(topic="t", payload=payload, device="D"))
        assert reading.values == VALUES


def test_one_question_per_heartbeat_over_rtu_with_a_heartbeat_of_its_own() -> None:
    poll = ModbusPoll(*POLL.blocks, framing="rtu")
    claim = Tcp(registration="###############", dialogue=poll.dialogue, heartbeat="ping")
    talk = claim.dialogue(claim)
    talk.receive(b"861234567890123", 0)
    frames = []
    for now in range(4):
        request = read_request(talk.take_output())
        assert isinstance(request, RtuRequest)
        talk.receive(poll.answer(request.encoded, VALUES) + b"pi", now)
        talk.receive(b"ng", now)
        frames += talk.take_frames()
    assert talk.take_notes() == [] and len(frames) == 2
    (reading,) = poll(Frame(topic="t", payload=frames[0][0], device="D"))
    assert reading.values == VALUES


def test_over_rtu_a_unit_is_not_asked_again_in_a_round_in_which_it_was_silent() -> None:
    poll = ModbusPoll(
        Block(register=10, layout="uint16", fields=("a",)),
        Block(register=20, layout="uint16", fields=("b",)),
        Block(register=10, layout="uint16", fields=("a",), unit=2, suffix="-2"),
        framing="rtu",
    )
    claim = Tcp(registration="GW##", dialogue=poll.dialogue)
    talk = claim.dialogue(claim)
    talk.receive(b"GW01", 0)
    talk.take_output()
    talk.tick(10)
    talk.receive(b"GW01", 20)
    request = read_request(talk.take_output())
    assert request is not None and request.unit == 2


def test_another_registration_ends_the_connection() -> None:
    poll = ModbusPoll(*POLL.blocks, every=10)
    claim = Tcp(registration="GW##", dialogue=poll.dialogue)
    talk = claim.dialogue(claim)
    with pytest.raises(FrameError) as caught:
        talk.receive(b"GW01GW02", 0)
    assert caught.value.reason == "other-gateway"
