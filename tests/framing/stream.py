"""Streams of a gateway for tests: a small poll, and pieces of what a gateway may send."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import strategies as st

from greenpower.datatype import Tcp
from greenpower.framing.dialogue import PollDialogue
from greenpower.framing.poll import Block, ModbusPoll

POLL = ModbusPoll(
    Block(transaction=0x0126, register=3000, layout="float32", fields=("a", "b")),
    Block(register=100, layout="int16", fields=("c", "", "d"), unit=2, function=4),
    Block(register=7, layout="uint64", fields=("e",), suffix="-2"),
)
CLAIM = Tcp(registration="GWCCCL####", dialogue=POLL.dialogue)
IDENTITY = b"GWCCCL0001"
REQUESTS = POLL.requests
ASKED = [request.encoded for request in REQUESTS]
ANSWERS = tuple(POLL.answer(request.encoded, {"a": 1.5, "b": -2.25, "c": -3, "d": 4, "e": 5}) for request in REQUESTS)
ROUND = b"".join(ANSWERS)

#: what a healthy gateway may send, whole
GOOD = st.sampled_from([IDENTITY, *ANSWERS, *(request.exception(2) for request in REQUESTS)])
#: bytes that look like something and are not
ODD = st.sampled_from([
    IDENTITY[:6],
    b"GWCCCL000X",
    b"GWCCCLGWCCCL",
    ANSWERS[0][:4],
    ANSWERS[0][:9],
    ANSWERS[1][:-1],
    bytes.fromhex("0126 0000 000b 0203 08"),
    bytes.fromhex("0126 0000 000b 0103 09"),
    bytes.fromhex("0999 0000 0003 0183 02"),
    bytes.fromhex("0126 0000 00fa 0103 f7"),
    b"\x00" * 9,
    b"\r\n",
])  # fmt: skip
NOISE = ODD | st.binary(max_size=24)


def pieces(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """A stream in pieces, cut anywhere."""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def talk() -> PollDialogue:
    """A dialogue at the beginning of a connection."""
    dialogue = POLL.dialogue(CLAIM)
    assert isinstance(dialogue, PollDialogue)
    return dialogue


def registered(now: float = 0) -> PollDialogue:
    """A dialogue whose first question is under way."""
    dialogue = talk()
    dialogue.receive(IDENTITY, now)
    assert dialogue.take_output() == ASKED[0]
    return dialogue


def payloads(dialogue: PollDialogue) -> list[bytes]:
    """The frames it has made."""
    return [payload for payload, _ in dialogue.take_frames()]


def reasons(dialogue: PollDialogue) -> list[str]:
    """The reasons of what it has noted."""
    return [reason for reason, _, _ in dialogue.take_notes()]
