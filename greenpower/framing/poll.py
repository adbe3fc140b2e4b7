"""What is asked of the meters behind a gateway, as a declaration: blocks of registers, and the values in them.

What belongs here: the declaration, the requests that follow from it, and how a round of answers is read. What does not:
the dialogue with the gateway (`dialogue`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from greenpower.datatype import DeclarationError, Dialogue, Frame, FrameError, Reading, Tcp
from greenpower.datatype.dialled import Dialled
from greenpower.framing.block import BIT, LAYOUTS, Block, RegisterPoint
from greenpower.framing.dialogue import PollDialogue
from greenpower.framing.gateway_rounds import GatewayRounds
from greenpower.framing.modbus import ANSWER_HEAD_BYTES, ReadRequest, describe
from greenpower.framing.register_map import RegisterMap
from greenpower.framing.rounds import PolledDevice
from greenpower.framing.rtu import over, read_request

__all__ = ["BIT", "LAYOUTS", "Block", "ModbusPoll", "RegisterPoint"]

FRAMINGS = ("tcp", "rtu")


class ModbusPoll:
    """Blocks read in turn, one per heartbeat. The answers of one pass over all are a frame, and this is its parser.

    framing: `tcp` or `rtu`, what a gateway that connects to us passes on. every: seconds from one round to the next,
    by our clock; None to ask one question per heartbeat. timeout: seconds an answer may take. greatest_pause: seconds
    without questions at most, after answers that did not come. silence: seconds without a sign of life after which a
    connection is dead. Raises DeclarationError.
    """

    TIMES = ("timeout", "greatest_pause", "silence")

    def __init__(
        self,
        *blocks: Block,
        timeout: float = 10,
        greatest_pause: float = 300,
        silence: float = 300,
        framing: str = "tcp",
        every: float | None = None,
    ) -> None:
        self.blocks = blocks
        self.timeout = timeout
        self.greatest_pause = greatest_pause
        self.silence = silence
        self.framing = framing
        self.every = every
        if not blocks:
            raise DeclarationError("a poll needs a block")
        if framing not in FRAMINGS:
            raise DeclarationError(f"framing {framing!r} is none of {', '.join(FRAMINGS)}")
        if min(timeout, greatest_pause, silence) <= 0:
            raise DeclarationError("timeout, greatest_pause and silence must be above 0 seconds")
        if every is not None and every <= 0:
            raise DeclarationError("every must be above 0 seconds")
        self.requests = tuple(over(framing, block.request(number)) for number, block in enumerate(blocks, 1))
        transactions = Counter(block.request(number).transaction for number, block in enumerate(blocks, 1))
        if twice := [f"{number:#06x}" for number, count in transactions.items() if count > 1]:
            raise DeclarationError(f"two blocks have the transaction id {', '.join(twice)}")
        names = Counter((block.suffix, name) for block in blocks for name in block.names if name)
        if twice := [name + suffix for (suffix, name), count in names.items() if count > 1]:
            raise DeclarationError(f"two registers are named {', '.join(twice)}")
        self._map = RegisterMap(blocks)
        self._by_head = (
            {request.answer_head: number for number, request in enumerate(self.requests)} if framing == "tcp" else {}
        )
        self._by_key: dict[tuple[int, ...], list[int]] = {}
        one_unit = len({block.unit for block in blocks}) == 1
        for number, request in enumerate(self.requests):
            self._by_key.setdefault(request.key, []).append(number)
            if one_unit:  # then it is asked of whichever unit a site has
                self._by_key.setdefault(request.key[1:], []).append(number)

    @property
    def fields(self) -> frozenset[str]:
        """The names of all values."""
        return frozenset(name for block in self.blocks for name in block.names if name)

    def dialogue(self, claim: Tcp) -> Dialogue:
        """The dialogue for one connection."""
        times: dict[str, float] = {
            "timeout": self.timeout,
            "greatest_pause": self.greatest_pause,
            "silence": self.silence,
        }
        if self.every is not None:
            return GatewayRounds(claim, self.asked(self.framing), every=self.every, **times)
        return PollDialogue(claim, self.requests, **times)

    def polled(self, claim: Dialled) -> PolledDevice:
        """What is asked of a device that we dial."""
        return PolledDevice(requests=self.asked(claim.framing, claim.unit), every=claim.every)

    def asked(self, framing: str, unit: int | None = None) -> tuple[ReadRequest, ...]:
        """The requests of a round by our clock, each once. unit: that of the device, where all blocks are of one.

        Transaction ids are such that a request of one framing is none of the other.
        """
        found = {request.key: request for request in self.requests}
        if unit is not None and len({key[0] for key in found}) > 1:
            unit = None
        return tuple(
            over(framing, replace(request, transaction=number << 3 | 7), unit)
            for number, request in enumerate(found.values(), 1)
        )

    def __call__(self, frame: Frame) -> tuple[Reading, ...]:
        """Read a frame, the answers of one round one after the other: one reading per device, complete if all answered.

        Before each answer may be its request, as sent; after a request over RTU or by our clock there always is.
        Raises FrameError: no-id, bad-answer, cut-answer, answered-twice, no-values.
        """
        if frame.device is None:
            raise FrameError("no-id", "the gateway is not known")
        payload = frame.payload
        answers: dict[int, bytes] = {}
        at = 0
        while at < len(payload) or not answers:
            number = self._by_head.get(payload[at : at + ANSWER_HEAD_BYTES])
            if number is not None:
                request, numbers = self.requests[number], [number]
            else:
                request, numbers = self._exchange(payload, at)
                at += len(request.encoded)
            if numbers[0] in answers:
                raise FrameError("answered-twice", str(request))
            end = at + request.answer_size
            if end > len(payload):
                raise FrameError("cut-answer", f"{len(payload) - at} bytes: {request}")
            answer = payload[at:end]
            if not answer.startswith(request.answer_head) or not request.is_whole(answer):
                raise FrameError("bad-answer", describe(answer))
            answers |= dict.fromkeys(numbers, request.data(answer))
            at = end
        return self._readings(frame.device, answers)

    def _exchange(self, payload: bytes, at: int) -> tuple[ReadRequest, list[int]]:
        """The request that comes next in a frame, and the blocks that it asks for."""
        request = read_request(payload, at)
        if request is not None and at + len(request.encoded) < len(payload):
            numbers = self._by_key.get(request.key) or self._by_key.get(request.key[1:])
            if numbers:
                return request, numbers
        raise FrameError("bad-answer", describe(payload[at:]))

    def _readings(self, gateway: str, answers: dict[int, bytes]) -> tuple[Reading, ...]:
        readings: dict[str, Reading] = {}
        for number, block in enumerate(self.blocks):
            if number in answers:
                reading = readings.get(block.suffix)
                if reading is None:
                    reading = readings[block.suffix] = Reading(device_id=gateway + block.suffix, values={})
                reading.values.update(self._map.read(number, answers))
        for number, block in enumerate(self.blocks):
            if number not in answers and block.suffix in readings:
                readings[block.suffix].complete = False
        found = tuple(reading for reading in readings.values() if reading.values)
        if not found:
            raise FrameError("no-values", "no register holds a value")
        return found

    def answer(self, request: bytes, values: Mapping[str, float]) -> bytes:
        """What a meter with these values (field name -> number) answers to a request. Raises KeyError where it is none.

        For simulated devices: the inverse of the parser.
        """
        number = {item.encoded: number for number, item in enumerate(self.requests)}.get(request)
        asked = self.requests[number] if number is not None else read_request(request)
        if asked is None or len(request) != len(asked.encoded):
            raise KeyError(request)
        if number is None:
            number = (self._by_key.get(asked.key) or self._by_key[asked.key[1:]])[0]
        return asked.answer(self._map.write(number, values))
