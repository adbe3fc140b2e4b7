"""The supervisor over a small table of dummy children: restarts, order, signals, what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path

import psutil
import pytest

from greenpower.config import ConfigError
from greenpower.stack import restarter as restarter
from greenpower.stack.child import Child
from greenpower.stack.home import locked
from greenpower.stack.process import run_once
from greenpower.stack.session import session_members
from greenpower.stack.stale_processes import end_stale_processes, note_children
from greenpower.stack.supervisor import Supervisor
from tests.wait import until, wait_until

STUBBORN = "trap '' TERM; while true; do sleep 0.1; done"
FORKING = "sleep 1000 & sleep 1000 & wait"


def sleeper(name: str) -> Child:
    return Child(name=name, command=("sleep", "1000"))


def shell(name: str, script: str) -> Child:
    return Child(name=name, command=("sh", "-c", script))


class Lines:
    """Collects what the supervisor says."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, who: str, line: str) -> None:
        self.lines.append((who, line))

    def of(self, who: str) -> list[str]:
        return [line for name, line in self.lines if name == who]


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(scenario)


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_restarts_a_child_that_dies_and_leaves_the_others() -> None:
    say = Lines()

    async def scenario() -> None:
        async with Supervisor(say) as supervisor:
            await supervisor.start(sleeper("steady"), shell("fragile", FORKING))
            before = supervisor.pids
            await until(lambda: len(session_members(before["fragile"])) == 3)
            forked = session_members(before["fragile"])
            os.kill(before["fragile"], signal.SIGKILL)
            await until(lambda: supervisor.pids.get("fragile", before["fragile"]) != before["fragile"])
            assert supervisor.pids["steady"] == before["steady"]
            assert gone(forked)
        assert supervisor.pids == {}

    run(scenario())
    [told] = say.of("fragile")
    assert "SIGKILL" in told and "0.5 s" in told
    assert say.of("steady") == []


def test_waits_longer_from_death_to_death(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarter, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(restarter, "LONGEST_DELAY", 0.04)
    say = Lines()

    async def scenario() -> None:
        async with Supervisor(say) as supervisor:
            await supervisor.start(
                shell("broken", "sleep 0.05; echo why; exit 3"), Child(name="absent", command=("/no",))
            )

    async def bounded() -> None:
        task = asyncio.create_task(scenario())
        await until(lambda: len(say.of("broken")) >= 8)
        task.cancel()
        await asyncio.wait({task})

    run(bounded())
    assert say.of("broken")[:8:2] == ["why"] * 4
    assert [line.split()[-2] for line in say.of("broken")[1:8:2]] == ["0.01", "0.02", "0.04", "0.04"]
    assert "/no" in say.of("absent")[0]


def test_says_which_child_is_not_ready_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarter, "COMPLAIN_AFTER", 0.2)
    say = Lines()
    answers = [False]
    slow = Child(name="slow", command=("sleep", "1000"), trouble=lambda pid: "" if answers[0] else "reason-17")

    async def scenario() -> None:
        async with Supervisor(say) as supervisor:
            starting = asyncio.create_task(supervisor.start(slow))
            await until(lambda: say.of("slow"))
            assert "reason-17" in say.of("slow")[0]
            assert not starting.done()
            answers[0] = True
            await starting

    run(scenario())


class FailingLines(Lines):
    """The first line of the child itself with some text cannot be said: standard output is gone for a moment."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.failed = 0

    def __call__(self, who: str, line: str) -> None:
        if self._text in line and not self.failed:
            self.failed += 1
            raise BrokenPipeError(line)
        super().__call__(who, line)


@pytest.mark.parametrize("text", ["not ready", "killed", "restarting"])
def test_an_error_while_a_child_is_watched_does_not_end_the_watching(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarter, "COMPLAIN_AFTER", 0.0)
    monkeypatch.setattr(restarter, "SILENT_SECONDS", 0.02)
    monkeypatch.setattr(restarter, "SILENT_TIMES", 1)
    monkeypatch.setattr(restarter, "FIRST_DELAY", 0.01)
    say, asked, silent = FailingLines(text), 0, False

    def trouble(pid: int) -> str:
        nonlocal asked
        asked += 1
        return "" if asked > 2 else "reason-21"

    async def scenario() -> None:
        nonlocal silent
        child = Child(name="child", command=("sleep", "1000"), trouble=trouble, silent=lambda pid: silent)
        async with Supervisor(say) as supervisor, asyncio.timeout(60):
            await supervisor.start(child)
            before = supervisor.pids["child"]
            silent = True
            await until(lambda: supervisor.pids.get("child", before) != before)
            silent = False
            await until(lambda: supervisor.pids)
            assert gone([before])

    run(scenario())
    assert say.failed == 1


def test_a_change_that_cannot_be_noted_costs_the_note_only() -> None:
    say = Lines()

    def changed(pids: dict[str, int]) -> None:
        raise OSError("reason-22")

    async def scenario() -> None:
        async with Supervisor(say, changed) as supervisor, asyncio.timeout(60):
            await supervisor.start(sleeper("child"))
            assert len(supervisor.pids) == 1
            [told] = say.of("child")
            assert "reason-22" in told

    run(scenario())


def test_stops_the_last_group_first_and_kills_what_does_not_end(tmp_path: Path) -> None:
    say = Lines()
    order = tmp_path / "order"

    def noting(name: str) -> Child:
        script = f"trap 'echo {name} >> {order}; exit' TERM; echo up; while true; do sleep 0.05; done"
        return Child(name=name, command=("sh", "-c", script), trouble=lambda pid: "" if say.of(name) else "starting")

    async def scenario() -> None:
        async with Supervisor(say) as supervisor:
            await supervisor.start(noting("part"))
            await supervisor.start(
                noting("service"), Child(name="stubborn", command=("sh", "-c", STUBBORN), stop_seconds=0.5)
            )
            await supervisor.start(noting("simulator"))
            pids = list(supervisor.pids.values())
            assert len(pids) == 4
        assert gone(pids)

    run(scenario())
    assert order.read_text().split() == ["simulator", "service", "part"]
    assert "0.5 s" in say.of("stubborn")[-1]


def test_stop_ends_a_paused_child_and_a_waiting_one() -> None:
    say = Lines()

    async def scenario() -> None:
        async with Supervisor(say) as supervisor:
            await supervisor.start(sleeper("paused"))
            os.kill(supervisor.pids["paused"], signal.SIGSTOP)
            waiting = asyncio.create_task(supervisor.start(shell("dying", "exit 1")))
            await until(lambda: say.of("dying"))
            before = say.of("paused")
            await supervisor.stop()
            assert say.of("paused") == before, "it was not killed"
            waiting.cancel()

    run(scenario())


def test_output_comes_line_by_line_however_it_is_written() -> None:
    say = Lines()
    script = r"printf 'one\ntw'; sleep 0.1; printf 'o\n\n\377\nlast'; head -c 20000 /dev/zero | tr '\0' x"
    assert asyncio.run(run_once(shell("talker", script), say)) == 0
    lines = say.of("talker")
    assert lines[:3] == ["one", "two", "\ufffd"]
    assert lines[3].startswith("lastxxx")
    assert max(map(len, lines)) <= 8192


def test_a_check_that_fails_is_reported_and_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the output stop when a line cannot be turned into what is shown."""
    monkeypatch.setattr(restarter, "COMPLAIN_AFTER", 0.0)
    say = Lines()
    asked = 0

    def trouble(pid: int) -> str:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise LookupError("reason-18")
        return ""

    def show(line: str) -> str:
        raise ValueError(line)

    def silent(pid: int) -> bool:
        raise LookupError("reason-19")

    talker = Child(
        name="talker",
        command=("sh", "-c", "echo line-1; sleep 1000"),
        trouble=trouble,
        show=show,
        silent=silent,
    )

    async def scenario() -> None:
        monkeypatch.setattr(restarter, "SILENT_SECONDS", 0.01)
        async with asyncio.timeout(60), Supervisor(say) as supervisor:
            await supervisor.start(talker)
            pid = supervisor.pids["talker"]
            await until(lambda: "line-1" in say.of("talker"))
            await asyncio.sleep(0.3)  # many checks
            assert supervisor.pids["talker"] == pid
            assert any("reason-18" in line for line in say.of("talker"))

    run(scenario())


def test_a_child_that_cannot_be_started_at_all_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarter, "FIRST_DELAY", 0.01)
    say = Lines()

    async def scenario() -> None:
        async with Supervisor(say) as supervisor:
            starting = asyncio.create_task(supervisor.start(Child(name="odd", command=("sleep", "a\0b"))))
            await until(lambda: len(say.of("odd")) >= 2)
            starting.cancel()

    run(scenario())


def start_dummy_stack(*arguments: str) -> tuple[subprocess.Popen[str], list[int]]:
    """`tests.stack.dummy_stack` in a process of its own, and the ids of its children."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.stack.dummy_stack", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 2
    return process, pids


def test_ctrl_c_reaches_the_supervisor_only() -> None:
    process, pids = start_dummy_stack()
    with process:
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "heard INT" not in output
        assert "heard TERM" in output
    assert gone(pids)


def test_kill_9_of_the_supervisor_leaves_no_child() -> None:
    process, pids = start_dummy_stack()
    with process:
        process.kill()
        wait_until(lambda: gone(pids))


def test_the_next_run_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with left, other:
        note_children(tmp_path, {"left": left.pid})
        assert end_stale_processes(tmp_path) == ["left"]
        assert left.wait(60) == -signal.SIGTERM
        assert end_stale_processes(tmp_path) == []
        # A process that has the noted id by chance began at another time.
        note_children(tmp_path, {"other": other.pid})
        noted = tmp_path / "run" / "children.json"
        noted.write_text(noted.read_text().replace(f"[{other.pid}, ", f"[{other.pid}, 1"))
        assert end_stale_processes(tmp_path) == []
        assert other.poll() is None
        other.kill()


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(ConfigError, match=rf"\b{os.getpid()}\b"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_child_that_hangs_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answered and does not any more, for a while; a missed answer now and then is none of it."""
    monkeypatch.setattr(restarter, "SILENT_SECONDS", 0.02)
    monkeypatch.setattr(restarter, "SILENT_TIMES", 4)
    monkeypatch.setattr(restarter, "FIRST_DELAY", 0.05)
    say = Lines()
    hanging = False
    asked = 0

    def silent(pid: int) -> bool:
        nonlocal asked
        asked += 1
        return hanging or asked % 3 == 0

    async def scenario() -> None:
        nonlocal hanging
        async with Supervisor(say) as supervisor:
            await supervisor.start(Child(name="hangs", command=("sleep", "1000"), silent=silent), sleeper("steady"))
            before = supervisor.pids
            await until(lambda: asked > 20)
            assert supervisor.pids == before
            hanging = True
            await until(lambda: supervisor.pids.get("hangs", before["hangs"]) != before["hangs"])
            hanging = False
            assert supervisor.pids["steady"] == before["steady"]
            assert len(say.of("hangs")) >= 2  # that it hangs, and that it is restarted

    run(scenario())
