"""The body of a push, cut into frames while it comes. Pure.

What belongs here: where a frame ends, and how much there may be. What does not: what a frame says.
"""

from __future__ import annotations

from greenpower.framing.lines import LineFramer, Overlong
from greenpower.ingest.sources.http.request import PushForm, PushHead, PushRefusedError, frame_of_form
from greenpower.ingest.sources.http.request import frame_of_parameters as frame_of_query

# Of one push. More are sent in several.
MAX_PUSH_LINES = 10_000


class PushBody:
    """Takes a body piece by piece. max_bytes: of all of it; max_frame: of a frame. Raises PushRefusedError for what is
    longer; frames that were given before are frames all the same."""

    def __init__(self, head: PushHead, *, max_bytes: int, max_frame: int) -> None:
        self._head = head
        self._most = max_bytes if head.form is PushForm.LINES else min(max_bytes, max_frame)
        self._length = 0
        self._lines = 0
        self._whole = bytearray()
        self._framer = LineFramer(max_frame)
        if head.length is not None and head.length > self._most:
            raise self._too_long()

    def feed(self, data: bytes) -> list[bytes | Overlong]:
        """Take a piece; the frames that it completes."""
        self._length += len(data)
        if self._length > self._most:
            raise self._too_long()
        if self._head.form is not PushForm.LINES:
            self._whole += data
            return []
        return self._counted(self._framer.receive(data))

    def end(self) -> list[bytes | Overlong]:
        """The body has ended; the frames that this completes."""
        match self._head.form:
            case PushForm.LINES:
                return self._counted(self._framer.receive(b"\n") if self._framer.pending else [])
            case PushForm.QUERY:
                return [frame_of_query(self._head.query)]
            case PushForm.PARAMETERS:
                return [frame_of_form(bytes(self._whole))]
        return [bytes(self._whole)] if self._whole else []

    def _counted(self, lines: list[bytes | Overlong]) -> list[bytes | Overlong]:
        self._lines += len(lines)
        if self._lines > MAX_PUSH_LINES:
            raise PushRefusedError(413, f"There are more than {MAX_PUSH_LINES} frames. Send them in several requests.")
        return lines

    def _too_long(self) -> PushRefusedError:
        return PushRefusedError(413, f"The body is longer than {self._most} bytes. Send it in several requests.")
