"""Asking devices by our clock, sans-IO: a round of questions to each, every so many seconds, over one connection.

What belongs here: which question is next, what was missed, how long a unit is left alone then. What does not: where a
message starts and ends (`gateway`), who is at the other end (`gateway_rounds`), what answers mean (`poll`).

One question is under way at a time, since a serial line behind a gateway has room for no more. A unit that does not
answer costs one time-out, then it is left alone for a time that doubles: it does not hold up the others.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace

from greenpower.datatype import FrameError
from greenpower.framing.dialogue import MAX_NOISE_RUN_BYTES, MAX_TIMEOUTS_PER_ANSWER
from greenpower.framing.gateway import GatewayFramer, Heartbeat, Message, ModbusAnswer, is_answer_to
from greenpower.framing.modbus import ReadRequest, describe, exception_name

#: asks questions (the answer's data, None where there is none) and returns those of a round; () where it found nothing
Discovery = Generator[ReadRequest, bytes | None, tuple[ReadRequest, ...]]
#: exceptions by which a gateway says that the unit behind it does not answer
UNIT_SILENT_CODES = frozenset({10, 11})
ILLEGAL_ADDRESS_CODE = 2


@dataclass(slots=True, kw_only=True)
class PolledDevice:
    """A device that is asked.

    requests: of a round; () where `discover` finds them. every: seconds between rounds. whole: whether a round in which
    an answer is missing is of no use.
    """

    requests: tuple[ReadRequest, ...]
    every: float
    discover: Callable[[], Discovery] | None = None
    whole: bool = False
    due: float = 0.0
    search: Discovery | None = None
    left: deque[ReadRequest] = field(default_factory=deque)  # of the round under way
    asked: int = 0  # how many questions it has
    answers: list[bytes] = field(default_factory=list)
    answered_at: float = 0.0


class Rounds:
    """The rounds of one connection. Times are seconds of one monotonic clock; `begin` is called first.

    timeout: seconds an answer may take. greatest_pause: seconds for which a silent unit is left alone at most. silence:
    seconds without an answer after which the connection is dead. registration, heartbeat: as of a `Tcp` claim.
    """

    def __init__(
        self,
        devices: Sequence[PolledDevice],
        *,
        timeout: float,
        greatest_pause: float,
        silence: float,
        registration: str = "",
        heartbeat: str = "",
    ) -> None:
        self.heard: float | None = None
        self.identity: str | None = None
        self._devices = devices
        self._timeout, self._greatest_pause = timeout, greatest_pause
        self._silence = max(silence, 2 * max(device.every for device in devices) + timeout)
        self._framer = GatewayFramer(registration, (), heartbeat)
        self._current: PolledDevice | None = None
        self._asked: ReadRequest | None = None
        self._asked_at = self._came_at = 0.0
        self._missed: dict[int, int] = {}  # by unit: answers in a row
        self._paused: dict[int, float] = {}  # by unit: until when
        self._noise_run = 0
        self._output = bytearray()
        self._frames: list[tuple[int, bytes, float]] = []
        self._notes: list[tuple[int, str, str, bytes]] = []

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called, None before `begin`."""
        if self.heard is None:
            return None
        silent = self.heard + self._silence
        if self._asked is not None:
            return min(silent, self._answer_due())
        if self._framer.is_waiting:
            silent = min(silent, self._came_at + self._timeout)
        return min(silent, min(device.due for device in self._devices))

    def begin(self, now: float) -> None:
        """The connection is there: ask all devices."""
        self.heard = now
        for device in self._devices:
            device.due = now
        self._expect()
        self._ask(now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes of the stream. Raises FrameError: other-gateway, noise."""
        self._came_at = now
        self._take(self._framer.receive(data), now)
        self._ask(now)

    def tick(self, now: float) -> None:
        """Let time pass. Raises FrameError: silent, other-gateway, noise."""
        if self.heard is None:
            return
        if self._asked is not None and now >= self._answer_due():
            self._note("no-answer", f"{self._asked}, {now - self._asked_at:.1f} s")
            self._leave_alone(self._asked.unit, now)
            self._give_up_search()
            self._asked = None
            self._take(self._framer.give_up(), now)
        elif self._asked is None and self._framer.is_waiting and now >= self._came_at + self._timeout:
            self._take(self._framer.give_up(), now)
        if now >= self.heard + self._silence:
            raise FrameError("silent", f"no sign of life in {now - self.heard:.0f} s")
        self._ask(now)

    def close(self) -> None:
        """The connection has ended: the answers of a round that was not finished become a note."""
        if self._current is not None and (answers := self._current.answers):
            self._note("unfinished-round", f"{len(answers)} answers", b"".join(answers))
            answers.clear()

    def take_output(self) -> bytes:
        """The bytes to write, once."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def take_rounds(self) -> list[tuple[int, bytes, float]]:
        """The rounds that ended with an answer at least, each once: (number of the device, its requests and answers in
        turn, when the last answer came)."""
        frames, self._frames = self._frames, []
        return frames

    def take_device_notes(self) -> list[tuple[int, str, str, bytes]]:
        """What was heard and is no reading, each once: (number of the device, reason, detail, bytes).

        Reasons: noise, exception, unasked-answer, no-answer, not-found, unfinished-round.
        """
        notes, self._notes = self._notes, []
        return notes

    def _expect(self) -> None:
        """Tell the framer all requests whose answers may come. Over TCP each has a transaction of its own."""
        number = 0
        for device in self._devices:
            renumbered = []
            for request in device.requests:
                number += 1
                renumbered.append(replace(request, transaction=(number << 3 | 7) & 0xFFFF))
            device.requests = tuple(renumbered)
        asked = [self._asked] if self._asked is not None else []
        self._framer.expect([*asked, *(request for device in self._devices for request in device.requests)])

    def _ask(self, now: float) -> None:
        """Ask the next question that is due, if none is under way."""
        while self._asked is None and self.heard is not None:
            device = self._current
            if device is None:
                device = min(self._devices, key=lambda item: item.due)
                if device.due > now:
                    return
                self._current = device
                self._start(device, now)
            if not device.left:
                self._end(device, now)
                continue
            request = device.left.popleft()
            if self._paused.get(request.unit, 0.0) > now:
                continue
            self._asked, self._asked_at = request, now
            if device.search is not None:
                self._expect()
            self._output += request.encoded

    def _start(self, device: PolledDevice, now: float) -> None:
        if device.requests or device.discover is None:
            device.left.extend(device.requests)
            device.asked = len(device.requests)
        else:
            device.search = device.discover()
            self._step(device, lambda search: next(search))

    def _step(self, device: PolledDevice, step: Callable[[Discovery], ReadRequest]) -> None:
        """Go on with a search: another question, or the questions of a round."""
        assert device.search is not None
        try:
            question = step(device.search)
            device.left.append(replace(question, transaction=0xFFFF))
        except StopIteration as end:
            device.search = None
            device.requests = end.value
            self._asked = None
            self._expect()
            device.left.extend(device.requests)
            device.asked = len(device.requests)
            if not device.requests:
                self._note("not-found", "no map of registers was found")

    def _give_up_search(self) -> None:
        device = self._current
        if device is not None and device.search is not None:
            device.search.close()
            device.search = None
            device.left.clear()

    def _end(self, device: PolledDevice, now: float) -> None:
        """The round of a device has ended. What should have come meanwhile is left out, not caught up with."""
        self._give_up_search()
        if device.whole and 0 < len(device.answers) < device.asked:
            self._note("unfinished-round", f"{len(device.answers)} answers", b"".join(device.answers))
            device.answers.clear()
        if device.answers:
            self._frames.append((self._devices.index(device), b"".join(device.answers), device.answered_at))
            device.answers.clear()
        device.due += device.every * max(1, math.ceil((now - device.due) / device.every))
        self._current = None

    def _take(self, messages: Iterable[Message], now: float) -> None:
        for message in messages:
            if isinstance(message, Heartbeat):
                if self.identity is None:
                    self.identity = message.identity
                elif self.identity != message.identity:
                    raise FrameError("other-gateway", f"{self.identity} calls itself {message.identity}")
                self.heard, self._noise_run = now, 0
            elif isinstance(message, ModbusAnswer):
                self._answer(message, now)
            else:
                self._useless("noise", describe(message.data), message.data)

    def _answer(self, answer: ModbusAnswer, now: float) -> None:
        self.heard = now
        request, device = self._asked, self._current
        if request is None or device is None or not is_answer_to(request, answer):
            self._useless("unasked-answer", str(answer.request), answer.data)
            return
        self._asked = None
        self._noise_run = 0
        if answer.code in UNIT_SILENT_CODES:
            self._note("exception", f"{exception_name(answer.code)}: {request}", answer.data)
            self._leave_alone(request.unit, now)
            self._give_up_search()
            return
        self._missed.pop(request.unit, None)
        if device.search is not None:
            data = request.data(answer.data) if answer.code is None else None
            self._step(device, lambda search: search.send(data))
        elif answer.code is None:
            device.answers.append(request.encoded + answer.data)
            device.answered_at = now
        else:
            self._note("exception", f"{exception_name(answer.code)}: {request}", answer.data)
            if answer.code == ILLEGAL_ADDRESS_CODE and device.discover is not None:
                device.requests = ()  # its registers are not where they were

    def _leave_alone(self, unit: int, now: float) -> None:
        """A unit did not answer. A late answer could be taken for that to another question, so none follows soon."""
        self._missed[unit] = missed = self._missed.get(unit, 0) + 1
        pause = self._timeout * 2.0 ** min(missed - 1, 30)
        self._paused[unit] = now + min(pause, self._greatest_pause)

    def _answer_due(self) -> float:
        """When the question under way is given up: later while bytes of the answer keep coming."""
        due = self._asked_at + self._timeout
        if self._framer.is_waiting:
            most = self._asked_at + MAX_TIMEOUTS_PER_ANSWER * self._timeout
            due = max(due, min(self._came_at + self._timeout, most))
        return due

    def _useless(self, reason: str, detail: str, data: bytes) -> None:
        """Note bytes that are of no use. Raises FrameError where nothing else comes."""
        self._note(reason, detail, data)
        self._noise_run += len(data)
        if self._noise_run > MAX_NOISE_RUN_BYTES:
            raise FrameError("noise", f"{self._noise_run} bytes that were not asked for")

    def _note(self, reason: str, detail: str, data: bytes = b"") -> None:
        device = self._current
        self._notes.append((0 if device is None else self._devices.index(device), reason, detail, data))
