"""Foreign code in a process of its own, which ends if a step takes too long.

What belongs here: the process, and the limit of a step. What does not: what the steps are (`first_run`, the rules).

The limit counts processor time, and the kernel keeps it, so that a machine that stands still ends nothing, and a loop
in C is ended like one in Python. A step that waits instead of computing is told by the state of its process.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import struct
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: generous: the longest frame takes the slowest of the shipped parsers a twentieth of it
CPU_SECONDS_PER_STEP = 2.0
LOOK_EVERY_SECONDS = 0.1
#: how often the process of a step may be seen to sleep
LOOKS_ASLEEP = 40
STEP_NUMBER = struct.Struct("<q")

#: tells that a step begins, by its number
Begin = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrun:
    """The step that did not end, and what it did instead, as the end of a sentence about a parser."""

    step: int
    what: str


class WorkFailed(Exception):
    """The work itself raised. The text is its traceback."""


def run_limited(work: Callable[[Begin], str]) -> str | Overrun:
    """The text that `work` returns, run in a copy of this process. It calls `begin(number)` before each step.

    Raises WorkFailed if it raises.
    """
    with mmap.mmap(-1, STEP_NUMBER.size) as shared:
        read_end, write_end = os.pipe()
        with warnings.catch_warnings():
            # Python warns of threads. The child only runs the work; it takes no lock that one of them may hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _run(work, shared, write_end)
        os.close(write_end)
        try:
            answer, waited = _listen(child, read_end, shared)
        finally:
            os.close(read_end)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        (step,) = STEP_NUMBER.unpack(shared[:])
    if waited:
        return Overrun(step=step, what=f"still waits for something after {LOOKS_ASLEEP * LOOK_EVERY_SECONDS:g} s")
    if answer[:1] == b"=":
        return answer[1:].decode()
    if answer[:1] == b"!":
        raise WorkFailed(answer[1:].decode())
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF:
        return Overrun(step=step, what=f"is not done after {CPU_SECONDS_PER_STEP:g} s of processor time")
    return Overrun(step=step, what=f"ends its process (status {status})")


def _run(work: Callable[[Begin], str], shared: mmap.mmap, write_end: int) -> None:
    """What the child does. It ends here: nothing of what its parent would do at its end is done twice."""
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)

        def begin(number: int) -> None:
            shared[:] = STEP_NUMBER.pack(number)
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_PER_STEP)

        try:
            answer = b"=" + work(begin).encode("utf-8", "backslashreplace")
        except BaseException:  # the parent raises it
            answer = b"!" + traceback.format_exc().encode("utf-8", "backslashreplace")
        signal.setitimer(signal.ITIMER_PROF, 0)
        with open(write_end, "wb") as out:
            out.write(answer)
    finally:
        os._exit(0)


def _listen(child: int, read_end: int, shared: mmap.mmap) -> tuple[bytes, bool]:
    """What the child writes until it ends, and whether it had to be given up because it waits."""
    answer = bytearray()
    seen, asleep = shared[:], 0
    while True:
        readable, _, _ = select.select([read_end], [], [], LOOK_EVERY_SECONDS)
        if readable:
            chunk = os.read(read_end, 65_536)
            if not chunk:
                return bytes(answer), False
            answer += chunk
        elif shared[:] != seen:
            seen, asleep = shared[:], 0
        elif _sleeps(child):
            asleep += 1
            if asleep >= LOOKS_ASLEEP:
                return bytes(answer), True


def _sleeps(process: int) -> bool:
    """Whether a process waits for something, rather than for a processor."""
    with suppress(OSError):
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "S"
    return False
