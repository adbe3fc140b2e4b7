"""One process of a child: starting it with its output piped to us, and saying that output line by line."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable

from greenpower.embedded.child import Child
from greenpower.embedded.spawn import die_with_parent

Say = Callable[[str, str], None]  # (who, line)

LONGEST_LINE = 8192


async def start_process(child: Child) -> Process:
    """Start it in a session of its own. Raises OSError. Call from the main thread (see `die_with_parent`)."""
    return await asyncio.create_subprocess_exec(
        *child.command,
        env={**os.environ, **child.environment},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent(),
    )


async def relay(child: Child, process: Process, say: Say) -> None:
    """Say its output until it ends; an endless line comes in pieces."""
    assert process.stdout is not None
    rest = b""
    while chunk := await process.stdout.read(65536):
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
    process = await start_process(child)
    output = asyncio.create_task(relay(child, process, say))
    try:
        code = await process.wait()
        await output
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return code
