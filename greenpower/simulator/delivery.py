"""How the answer of a simulated gateway is written: as it is, or with faults. Pure; chance is an argument."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from random import Random

from greenpower.simulator.gateway import SimulatedGateway, exception

#: the share of answers that have a fault
FAULTY_ANSWER_SHARE = 0.1
#: the share of dropped answers after which the gateway dials in again
DIALS_AGAIN_SHARE = 0.3
DEVICE_BUSY = 6
FAULTS = ("drop", "garbage", "duplicates", "reorder", "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is written, one write each. round_ends: a round was answered to its end. dials_again: the gateway leaves the
    connection open and dials in again. faults: those that it has."""

    writes: tuple[bytes, ...] = ()
    round_ends: bool = False
    dials_again: bool = False
    faults: tuple[str, ...] = ()


def deliver(gateway: SimulatedGateway, request: bytes, at: datetime, faults: Set[str], random: Random) -> Delivery:
    """The answer to a request (12 bytes) at a time (aware)."""
    answer = gateway.answer(request, at, faults)
    struck = tuple(name for name in FAULTS if random.random() < FAULTY_ANSWER_SHARE and name in faults)
    whole = True
    if "drop" in struck:
        whole = False
        answer = random.choice((b"", answer[:7], answer[: len(answer) // 2]))
    elif "garbage" in struck:
        if random.random() < 0.5:
            answer, whole = exception(request, DEVICE_BUSY), False
        else:
            answer = random.randbytes(random.randint(1, 40)) + answer
    if "duplicates" in struck:
        answer *= random.choice((2, 3))
    if "reorder" in struck:
        answer += gateway.heartbeat
    pieces = (bytes([byte]) for byte in answer) if "split" in struck else (answer,)
    return Delivery(
        writes=tuple(piece for piece in pieces if piece),
        round_ends=whole and gateway.is_last(request),
        dials_again="drop" in struck and random.random() < DIALS_AGAIN_SHARE,
        faults=struck,
    )
