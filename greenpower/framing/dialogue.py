"""The dialogue with one gateway, sans-IO: each heartbeat is answered with one request, in turn.

What belongs here: which request is next, what was missed, when to give up. What does not: where a message starts and
ends (`gateway`), what answers mean (`poll`). It implements `greenpower.datatype.Dialogue`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from greenpower.datatype import FrameError, Tcp
from greenpower.framing.gateway import GatewayFramer, Heartbeat, Message, ModbusAnswer, is_answer_to
from greenpower.framing.modbus import ReadRequest, describe, exception_name
from greenpower.framing.registration import identify

#: bytes of noise between two good messages; with more, the connection ends
MAX_NOISE_RUN_BYTES = 1024
#: an answer that keeps coming may take this many times the time-out in all
MAX_TIMEOUTS_PER_ANSWER = 4


class PollDialogue:
    """The dialogue of one connection. Times are seconds of one monotonic clock, from the first `receive` on.

    It keeps at most one round of answers, one question under way, and 1 KiB of noise.
    """

    def __init__(
        self,
        claim: Tcp,
        requests: Sequence[ReadRequest],
        *,
        timeout: float,
        greatest_pause: float,
        silence: float,
    ) -> None:
        self.device_id: str | None = None
        self.heard: float | None = None
        self.noise = 0
        self._claim = claim
        self._requests = requests
        self._questions = tuple(request.encoded for request in requests)
        self._timeout, self._greatest_pause, self._silence = timeout, greatest_pause, silence
        self._framer = GatewayFramer(claim.registration, requests, claim.heartbeat)
        # Over a serial line an answer does not say to which request: the request is kept with it.
        self._kept = tuple(b"" if type(request) is ReadRequest else request.encoded for request in requests)
        self._beginning = b""
        self._turn = 0
        self._answers: list[bytes] = []
        self._answered_at = 0.0
        self._asked_at: float | None = None  # when the question under way was asked
        self._came_at = 0.0  # when bytes last came
        self._paused_until = 0.0
        self._missed = 0  # answers in a row
        self._doubtful: int | None = None  # the unit that did not answer in this round
        self._owes = False  # a heartbeat came while a question was under way
        self._noise_run = 0
        self._output = bytearray()
        self._frames: list[tuple[bytes, float]] = []
        self._notes: list[tuple[str, str, bytes]] = []

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called, None before registration."""
        if self.heard is None:
            return None
        silent = self.heard + self._silence
        if self._asked_at is not None:
            return min(silent, self._answer_due(self._asked_at))
        return min(silent, self._came_at + self._timeout) if self._framer.is_waiting else silent

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes of the stream. Raises FrameError: not-registered, other-gateway, noise."""
        self._came_at = now
        if self.device_id is None:
            data = self._beginning + data
            if identify(data, (self._claim,)) is None:
                self._beginning = data
                return
            self._beginning = b""
        self._take(self._framer.receive(data), now)

    def tick(self, now: float) -> None:
        """Let time pass. Raises FrameError: silent, other-gateway, noise."""
        if self.heard is None:
            return
        if self._asked_at is not None and now >= self._answer_due(self._asked_at):
            self._note("no-answer", f"{self._requests[self._turn]}, {now - self._asked_at:.1f} s")
            self._missed += 1
            self._doubtful = self._requests[self._turn].unit
            pause = self._timeout * 2.0 ** min(self._missed - 1, 30)
            self._paused_until = now + min(pause, self._greatest_pause)
            self._owes = False
            self._next()
            self._take(self._framer.give_up(), now)
        elif self._asked_at is None and self._framer.is_waiting and now >= self._came_at + self._timeout:
            self._take(self._framer.give_up(), now)
        if now >= self.heard + self._silence:
            raise FrameError("silent", f"no sign of life in {now - self.heard:.0f} s")

    def close(self) -> None:
        """The connection has ended: the answers of a round that was not finished become a note."""
        if self._answers:
            self._note("unfinished-round", f"{len(self._answers)} answers", b"".join(self._answers))
            self._answers.clear()

    def take_output(self) -> bytes:
        """The bytes to write, once."""
        if not self._output:
            return b""
        output = bytes(self._output)
        self._output.clear()
        return output

    def take_frames(self) -> list[tuple[bytes, float]]:
        """The rounds that ended with an answer at least, each once: (its answers, when the last of them came)."""
        frames, self._frames = self._frames, []
        return frames

    def take_notes(self) -> list[tuple[str, str, bytes]]:
        """What was heard and is no reading, each once: (reason, detail, bytes).

        Reasons: noise, exception, unasked-answer, no-answer, unfinished-round.
        """
        notes, self._notes = self._notes, []
        return notes

    def _take(self, messages: Iterable[Message], now: float) -> None:
        for message in messages:
            if isinstance(message, Heartbeat):
                self._heartbeat(message.identity, now)
            elif isinstance(message, ModbusAnswer):
                self._answer(message, now)
            else:
                self.noise += len(message.data)
                self._useless("noise", describe(message.data), message.data)

    def _heartbeat(self, identity: str, now: float) -> None:
        if self.device_id is None:
            self.device_id = identity
        elif self.device_id != identity:
            raise FrameError("other-gateway", f"{self.device_id} calls itself {identity}")
        self.heard, self._noise_run = now, 0
        if self._asked_at is not None:
            self._owes = True
        elif now >= self._paused_until:
            self._ask(now)

    def _answer(self, answer: ModbusAnswer, now: float) -> None:
        self.heard = now
        if self._asked_at is None or not is_answer_to(self._requests[self._turn], answer):
            self._useless("unasked-answer", str(answer.request), answer.data)
            return
        self._missed = self._noise_run = 0
        if answer.code is None:
            self._answers.append(self._kept[self._turn] + answer.data)
            self._answered_at = now
        else:
            self._note("exception", f"{exception_name(answer.code)}: {self._requests[self._turn]}", answer.data)
        self._next()
        if self._owes:
            self._ask(now)

    def _ask(self, now: float) -> None:
        self._output += self._questions[self._turn]
        self._asked_at, self._owes = now, False

    def _next(self) -> None:
        """It is the next request's turn; after the last, the round is a frame."""
        self._asked_at = None
        while True:
            self._turn = (self._turn + 1) % len(self._requests)
            if self._turn == 0:
                break
            # A late answer over a serial line could be taken for that to another question to the same unit.
            if self._kept[self._turn] == b"" or self._requests[self._turn].unit != self._doubtful:
                return
        self._doubtful = None
        if self._answers:
            self._frames.append((b"".join(self._answers), self._answered_at))
            self._answers.clear()

    def _answer_due(self, asked_at: float) -> float:
        """When the question under way is given up: later while bytes of the answer keep coming."""
        due = asked_at + self._timeout
        if self._framer.is_waiting:
            due = max(due, min(self._came_at + self._timeout, asked_at + MAX_TIMEOUTS_PER_ANSWER * self._timeout))
        return due

    def _useless(self, reason: str, detail: str, data: bytes) -> None:
        """Note bytes that are of no use. Raises FrameError where nothing else comes."""
        self._note(reason, detail, data)
        self._noise_run += len(data)
        if self._noise_run > MAX_NOISE_RUN_BYTES:
            raise FrameError("noise", f"{self._noise_run} bytes that were not asked for")

    def _note(self, reason: str, detail: str, data: bytes = b"") -> None:
        self._notes.append((reason, detail, data))
