"""One run of a child process: starting it, and relaying its output line by line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable

from greenpower.stack.child import Child
from greenpower.stack.forked_process import ForkedProcess
from greenpower.stack.spawn import die_with_parent

Say = Callable[[str, str], None]  # (who, line)

MAX_LINE_BYTES = 8192


AnyProcess = Process | ForkedProcess


async def start_process(child: Child, say: Say) -> tuple[AnyProcess, asyncio.Task[None]]:
    """Start it in a session of its own; the process, and the task that relays its output until that ends.

    Raises OSError. Call from the main thread (see `die_with_parent`).
    """
    # A pipe of our own: with that of asyncio, `process.wait()` would also wait for its end, and processes that were
    # forked may hold it open.
    reading, writing = os.pipe()
    try:
        process = await _start(child, writing)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return process, asyncio.create_task(_relay(child, reading, say))


async def _start(child: Child, output: int) -> AnyProcess:
    environment = {**os.environ, **child.environment}
    if child.fork_server is not None and child.fork_server.is_running:
        return ForkedProcess(await asyncio.to_thread(child.fork_server.fork, child.arguments, environment, output))
    return await asyncio.create_subprocess_exec(
        *child.command,
        env=environment,
        stdin=DEVNULL,
        stdout=output,
        stderr=STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent(),
    )


async def _relay(child: Child, reading: int, say: Say) -> None:
    """Relay the output of the child until it ends; an endless line is cut into pieces."""
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", buffering=0)
    )
    rest = b""
    with contextlib.closing(transport):
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                _say_line(child, line, say)
    _say_line(child, rest, say)


def _say_line(child: Child, line: bytes, say: Say) -> None:
    text = line[:MAX_LINE_BYTES].decode(errors="replace").rstrip()
    # Output that is not read any more would block the child: a line that cannot be shown is lost.
    with contextlib.suppress(Exception):
        text = child.show(text)
    if text:
        with contextlib.suppress(Exception):
            say(child.name, text)


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    return f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


async def run_once(child: Child, say: Say) -> int:
    """Run a child to its end and relay its output; its exit code. When cancelled, it ends the child first."""
    process, output = await start_process(child, say)
    try:
        code = await process.wait()
        await output
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return code
