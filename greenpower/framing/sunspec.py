"""SunSpec: finding the models of a device, and reading a round of them. Models say themselves what they are.

    "SunS" | model, length | points … | model, length | points … | 0xFFFF, 0

A frame is one round, requests and answers in turn as on the wire; each model starts with its number and length. What
belongs here: the search, and the parser. What does not: what the points of a model are (`sunspec_models`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from greenpower.datatype import Frame, FrameError, Reading
from greenpower.datatype.dialled import Dialled
from greenpower.framing.block import Block
from greenpower.framing.modbus import MAX_REGISTERS, ReadRequest, describe
from greenpower.framing.rounds import Discovery, PolledDevice
from greenpower.framing.rtu import over, read_request
from greenpower.framing.sunspec_models import METER_MODELS, MODELS
from greenpower.framing.value import INT16, RegisterNumber, placed

#: numbers of the registers at which the map may begin
BASES = (40001, 50001, 1)
MARK = b"SunS"
MODEL_HEAD = struct.Struct(">HH")
HEAD_REGISTERS = 2
END_MODEL = 0xFFFF
MAX_MODELS_WALKED = 100
METER_SUFFIX = "-meter"
PLACED = {model: placed(Block(register=1, points=points)) for model, points in MODELS.items()}


class SunSpecParser:
    """Reads rounds of SunSpec models: one reading of the inverter and its inputs, one of each meter beside it."""

    def polled(self, claim: Dialled) -> PolledDevice:
        """What is asked of a device that we dial: first its models, then their points."""
        return PolledDevice(
            requests=(), every=claim.every, whole=True, discover=lambda: find_models(claim.framing, claim.unit)
        )

    def __call__(self, frame: Frame) -> tuple[Reading, ...]:
        """The inverter has the device's id; meters have `-meter`, `-meter-2` behind it.

        Raises FrameError: no-id, bad-answer, bad-model, no-values.
        """
        if frame.device is None:
            raise FrameError("no-id", "the device is not known")
        readings: dict[str, Reading] = {}
        meters = 0
        for model, data in _models(frame.payload):
            device = frame.device
            if model in METER_MODELS:
                meters += 1
                device += METER_SUFFIX + (f"-{meters}" if meters > 1 else "")
            values = read_model(model, data)
            if values:
                reading = readings.setdefault(device, Reading(device_id=device, values={}))
                reading.values.update(values)
        if not readings:
            raise FrameError("no-values", "no model that is known holds a value")
        return tuple(readings.values())


def read_model(model: int, data: bytes) -> dict[str, RegisterNumber]:
    """The values in a model, its head included; what lies behind its end is not there."""

    def exponent(register: int) -> int | None:
        return int(INT16.unpack_from(data, 2 * register - 2)[0]) if 2 * register <= len(data) else None

    found = {}
    for item in PLACED.get(model, ()):
        if item.order[-1] < len(data) and (value := item.read(data, exponent)) is not None:
            found[item.point.field] = value
    return found


def find_models(framing: str, unit: int) -> Discovery:
    """Asks where the map begins and which models are in it; returns the requests that read those that are known."""

    def request(register: int, count: int) -> ReadRequest:
        return over(framing, ReadRequest(transaction=0, unit=unit, register=register, count=count))

    for base in BASES:
        if (yield request(base, HEAD_REGISTERS)) == MARK:
            break
    else:
        return ()
    at = base + HEAD_REGISTERS
    found: list[ReadRequest] = []
    for _ in range(MAX_MODELS_WALKED):
        head = yield request(at, HEAD_REGISTERS)
        if head is None:
            break
        model, length = MODEL_HEAD.unpack(head)
        if model == END_MODEL:
            break
        if model in MODELS:
            parts = [
                request(at + begin, min(MAX_REGISTERS, HEAD_REGISTERS + length - begin))
                for begin in range(0, HEAD_REGISTERS + length, MAX_REGISTERS)
            ]
            for part in parts:
                if (yield part) is None:
                    break  # some devices list a model that cannot be read
            else:
                found += parts
        at += HEAD_REGISTERS + length
    return tuple(found)


def _models(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """The models in a frame: (number, its registers from the head on)."""
    memory: dict[int, bytes] = {}
    at = 0
    while at < len(payload) or not memory:
        request = read_request(payload, at)
        if request is None:
            raise FrameError("bad-answer", describe(payload[at:]))
        at += len(request.encoded)
        answer = payload[at : at + request.answer_size]
        whole = len(answer) == request.answer_size and request.is_whole(answer)
        if not whole or not answer.startswith(request.answer_head):
            raise FrameError("bad-answer", describe(answer))
        memory[request.register] = request.data(answer)
        at += request.answer_size
    for start, run in _runs(memory):
        place = 0
        while place < len(run):
            head = run[place : place + MODEL_HEAD.size]
            model, length = MODEL_HEAD.unpack(head) if len(head) == MODEL_HEAD.size else (0, 0)
            end = place + MODEL_HEAD.size + 2 * length
            if not 0 < model < END_MODEL or end > len(run):
                raise FrameError("bad-model", f"register {start + place // 2}: model {model} of {length} registers")
            yield model, run[place:end]
            place = end


def _runs(memory: dict[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """Registers that follow each other without a gap: (number of the first, contents)."""
    start, run = 0, b""
    for register in sorted(memory):
        if run and register == start + len(run) // 2:
            run += memory[register]
            continue
        if run:
            yield start, run
        start, run = register, memory[register]
    yield start, run
