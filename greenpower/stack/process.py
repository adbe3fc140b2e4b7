"""One process of a child: starting it with its output piped to us, and saying that output line by line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable

from greenpower.stack.child import Child
from greenpower.stack.spawn import die_with_parent

Say = Callable[[str, str], None]  # (who, line)

LONGEST_LINE = 8192


async def start_process(child: Child, say: Say) -> tuple[Process, asyncio.Task[None]]:
    """Start it in a session of its own; the process, and the task that says its output until that ends.

    Raises OSError. Call from the main thread (see `die_with_parent`).
    """
    # A pipe of our own: with asyncio's, `process.wait()` would wait for its end too, and what the process forked may
    # hold it open.
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *child.command,
            env={**os.environ, **child.environment},
            stdin=DEVNULL,
            stdout=writing,
            stderr=STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return process, asyncio.create_task(_relay(child, reading, say))


async def _relay(child: Child, reading: int, say: Say) -> None:
    """Say the child's output until it ends; an endless line comes in pieces."""
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", buffering=0)
    )
    rest = b""
    with contextlib.closing(transport):
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                _say_line(child, line, say)
    _say_line(child, rest, say)


def _say_line(child: Child, line: bytes, say: Say) -> None:
    if text := child.show(line[:LONGEST_LINE].decode(errors="replace").rstrip()):
        say(child.name, text)


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


async def run_once(child: Child, say: Say) -> int:
    """Run a child to its end, its output said; its exit code. Cancelled, it ends the child first."""
    process, output = await start_process(child, say)
    try:
        code = await process.wait()
        await output
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return code
