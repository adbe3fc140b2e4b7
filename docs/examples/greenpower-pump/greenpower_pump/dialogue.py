"""The dialogue with one pump, without sockets and clocks: bytes and times come in, questions and rounds go out.

pump: PUMP0001        its registration packet, once
we:   ?P CR           every 10 seconds, then ?Q and ?E, each when the one before was answered
pump: P=1.52 CR LF
"""

from greenpower.datatype import FrameError, Tcp

QUESTIONS = (b"P", b"Q", b"E")
EVERY_SECONDS, ANSWER_SECONDS, SILENCE_SECONDS = 10.0, 2.0, 60.0
MAX_LINE_BYTES = 64


class PumpDialogue:
    """It keeps the answers of one round, and one line that is not whole yet."""

    def __init__(self, claim: Tcp) -> None:
        self.device_id: str | None = None
        self.heard: float | None = None
        self._packet = claim.packet
        self._buffer = b""
        self._turn = 0  # the question that is asked, or is next
        self._asked_at: float | None = None
        self._round_at = 0.0  # when the next round begins
        self._answers: list[bytes] = []
        self._output = b""
        self._frames: list[tuple[bytes, float]] = []
        self._notes: list[tuple[str, str, bytes]] = []

    @property
    def deadline(self) -> float | None:
        """When to call `tick`: a question is due, an answer is late, or all is silent."""
        if self.heard is None:
            return None
        due = self._round_at if self._asked_at is None else self._asked_at + ANSWER_SECONDS
        return min(due, self.heard + SILENCE_SECONDS)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes, however the stream is cut. Raises FrameError: not-registered, noise."""
        self._buffer += data
        if self.device_id is None:
            fits = self._packet.starts(self._buffer)
            if fits is None:
                return  # the packet is not whole yet
            if not fits:
                raise FrameError("not-registered", repr(self._buffer[:32]))
            self.device_id = self._packet.identity(self._buffer[: self._packet.size])
            self._buffer = self._buffer[self._packet.size :]
            self.heard = self._round_at = now
            self._ask(now)
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            self._answer(line.strip(), now)
        if len(self._buffer) > MAX_LINE_BYTES:
            raise FrameError("noise", f"{len(self._buffer)} bytes without an end of line")

    def tick(self, now: float) -> None:
        """Let time pass. Raises FrameError: silent."""
        if self.heard is None:
            return
        if self._asked_at is not None and now >= self._asked_at + ANSWER_SECONDS:
            self._notes.append(("no-answer", f"?{QUESTIONS[self._turn].decode()}", b""))
            self._next(now)
        elif self._asked_at is None and now >= self._round_at:
            self._ask(now)
        if now >= self.heard + SILENCE_SECONDS:
            raise FrameError("silent", f"no answer in {now - self.heard:.0f} s")

    def close(self) -> None:
        """Note a round that was not finished."""
        if self._answers:
            self._notes.append(("unfinished-round", f"{len(self._answers)} answers", b"\n".join(self._answers)))
            self._answers = []

    def take_output(self) -> bytes:
        """The bytes to send, once."""
        output, self._output = self._output, b""
        return output

    def take_frames(self) -> list[tuple[bytes, float]]:
        """The rounds that ended, once."""
        frames, self._frames = self._frames, []
        return frames

    def take_notes(self) -> list[tuple[str, str, bytes]]:
        """What was missing or not asked for, once."""
        notes, self._notes = self._notes, []
        return notes

    def _answer(self, line: bytes, now: float) -> None:
        if self._asked_at is None or not line.startswith(QUESTIONS[self._turn] + b"="):
            if line:  # late, or noise on the line
                self._notes.append(("unasked-answer", repr(line[:32]), line))
            return
        self.heard = now
        self._answers.append(line)
        self._next(now)

    def _next(self, now: float) -> None:
        """Ask the next question of the round, or end the round."""
        self._asked_at = None
        self._turn = (self._turn + 1) % len(QUESTIONS)
        if self._turn:
            self._ask(now)
            return
        if self._answers:
            self._frames.append((b"\n".join(self._answers) + b"\n", now))
            self._answers = []
        self._round_at = max(self._round_at + EVERY_SECONDS, now)

    def _ask(self, now: float) -> None:
        self._output += b"?" + QUESTIONS[self._turn] + b"\r"
        self._asked_at = now
