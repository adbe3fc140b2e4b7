"""Processes that are forked from one that has imported the program: whose they are, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from greenpower.stack.child import Child
from greenpower.stack.fork_server import IS_SUPPORTED, ForkServer
from greenpower.stack.forked_process import ForkedProcess
from greenpower.stack.process import run_once, start_process
from greenpower.stack.supervisor import Supervisor
from tests.wait import wait_until

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="forked children are adopted on Linux only")

COMMAND = (sys.executable, "-m", "tests.stack.preloaded")
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
WAIT_SECONDS = 60
Found = TypeVar("Found")


@pytest.fixture
def fork_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    monkeypatch.setenv("SPT_NOENV", "1")  # as `greenpower` sets it
    server = ForkServer(COMMAND)
    server.start()
    yield server
    server.stop()


def forked(fork_server: ForkServer, text: str, *rest: str, **environment: str) -> Child:
    """A child that is forked, and says so if it is not."""
    return Child(
        name="dummy",
        command=(sys.executable, "-c", "print('not forked')"),
        fork_server=fork_server,
        arguments=(text, *rest),
        environment=environment,
    )


def run(child: Child) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = asyncio.run(run_once(child, lambda name, line: lines.append(line)))
    return code, lines


def test_forked_child_has_its_arguments_environment_output_and_session(
    fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAID", "after the fork server was started")
    text = """
import os, sys
print(sys.argv[1:], os.environ["OWN"], os.environ["SAID"])
print(os.getppid(), os.getsid(0) == os.getpid(), os.read(0, 1))
print("for the operator", file=sys.stderr)
sys.exit(7)
"""
    code, lines = run(forked(fork_server, text, "a", "b c", OWN="mine"))
    assert code == 7
    assert sorted(lines) == sorted(
        ["['a', 'b c'] mine after the fork server was started", f"{os.getpid()} True b''", "for the operator"]
    )


def test_its_title_is_its_command_and_its_environment_stays_readable(fork_server: ForkServer) -> None:
    async def look() -> tuple[str, str | None]:
        child = forked(fork_server, SLEEP, MARK="found by it")
        said = asyncio.Event()
        process, output = await start_process(child, lambda name, line: said.set())
        await asyncio.wait_for(said.wait(), WAIT_SECONDS)
        seen = psutil.Process(process.pid)
        found = " ".join(seen.cmdline()), seen.environ().get("PATH")
        process.kill()
        await process.wait()
        await output
        return found

    title, path = asyncio.run(look())
    assert title.startswith("greenpower import time")
    assert path == os.environ["PATH"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_exit_code_of_a_signal_is_negative(fork_server: ForkServer, number: signal.Signals) -> None:
    assert run(forked(fork_server, f"import os; os.kill(os.getpid(), {number.value})"))[0] == -number


def test_exit_handlers_run_and_an_error_is_shown(fork_server: ForkServer) -> None:
    code, lines = run(forked(fork_server, "import atexit; atexit.register(print, 'goodbye'); raise OSError('gone')"))
    assert code == 1
    assert "goodbye" in lines and "OSError: gone" in lines


def test_children_go_on_when_the_fork_server_ends(fork_server: ForkServer) -> None:
    async def go() -> int:
        said = asyncio.Event()
        child = forked(fork_server, "import sys, time; print('up', flush=True); time.sleep(600)")
        process, output = await start_process(child, lambda name, line: said.set())
        await asyncio.wait_for(said.wait(), WAIT_SECONDS)
        fork_server.stop()
        assert psutil.pid_exists(process.pid) and process.returncode is None
        process.terminate()
        code = await process.wait()
        await output
        return code

    assert asyncio.run(go()) == -signal.SIGTERM
    # What is started later is not forked.
    assert run(forked(fork_server, "print('forked')")) == (0, ["not forked"])
    with pytest.raises(OSError, match="has ended"):
        fork_server.fork(["print()"], {}, 1)


def test_fork_server_that_was_killed_is_no_reason_not_to_start(fork_server: ForkServer) -> None:
    assert run(forked(fork_server, "print('forked')")) == (0, ["forked"])
    assert fork_server.pid is not None
    os.kill(fork_server.pid, signal.SIGKILL)
    wait_until(lambda: not fork_server.is_running, WAIT_SECONDS)
    assert run(forked(fork_server, "print('forked')")) == (0, ["not forked"])


def test_request_that_is_too_long_is_an_error_of_that_child_only(fork_server: ForkServer) -> None:
    with pytest.raises(OSError):
        run(forked(fork_server, "print('forked')", OWN="x" * (2 << 20)))
    assert run(forked(fork_server, "print('forked')")) == (0, ["forked"])


def test_descendants_of_a_killed_child_are_ended_and_reaped(fork_server: ForkServer) -> None:
    def forked_by(lines: list[str]) -> int:
        return max((int(line.split()[1]) for line in lines if line.startswith("family ")), default=0)

    # At once: both write into one pipe.
    text = "import os, time; os.write(1, b'family %d\\n' % os.fork()); time.sleep(600)"

    async def go() -> tuple[int, int]:
        lines: list[str] = []
        async with Supervisor(lambda name, line: lines.append(line)) as supervisor:
            await supervisor.start(forked(fork_server, text))
            child = await _until(lambda: forked_by(lines))
            leader = supervisor.pids["dummy"]
            os.kill(leader, signal.SIGKILL)
            await _until(lambda: supervisor.pids.get("dummy", leader) != leader)
            return leader, child

    leader, child = asyncio.run(go())
    assert not psutil.pid_exists(leader)
    assert not psutil.pid_exists(child)
    assert not [one for one in psutil.Process().children() if one.status() == psutil.STATUS_ZOMBIE]


async def _until(found: Callable[[], Found]) -> Found:
    while not (value := found()):
        await asyncio.sleep(0.01)
    return value


def test_forked_children_end_with_their_supervisor(tmp_path: Path) -> None:
    program = f"""
import os, sys, time
from greenpower.stack.fork_server import ForkServer
server = ForkServer({COMMAND!r})
server.start()
print(server.fork([{SLEEP!r}], dict(os.environ), os.open(os.devnull, os.O_WRONLY)), server.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(pid) for pid in supervisor.stdout.readline().split()]
        assert len(pids) == 2 and all(map(psutil.pid_exists, pids))
        supervisor.kill()
    for pid in pids:
        wait_until(partial(has_ended, pid), WAIT_SECONDS)


def has_ended(pid: int) -> bool:
    """Whether it has, reaped or not: who is its parent now may take its time."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_waiting_for_what_somebody_else_reaped_ends() -> None:
    async def go() -> int:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        mine = ForkedProcess(process.pid)
        await asyncio.to_thread(process.communicate, b"\n")
        return await asyncio.wait_for(mine.wait(), WAIT_SECONDS)

    assert asyncio.run(go()) in (0, 255)
