"""Children of `greenpower up` that hang: the real processes, stopped by a signal, seen by what they really answer."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from greenpower.cli.init import init_mongo, init_sql
from greenpower.config import Settings
from greenpower.ingest.http_server import Health, HttpServer
from greenpower.loops import TaskLoop
from greenpower.stack import Valkey, probe
from greenpower.stack import restarter as restarter
from greenpower.stack.child import Child
from greenpower.stack.ingest_pool import choose_pool, pool_child
from greenpower.stack.stack import INGEST, SERVICES, service_child
from greenpower.stack.supervisor import Supervisor
from tests.process import environment
from tests.stack.test_supervisor import Lines
from tests.wait import until, wait_until


@pytest.mark.slow
def test_every_process_that_hangs_is_started_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other, also not while Redis is away, which is not their fault."""
    monkeypatch.setattr(restarter, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(restarter, "SILENT_TIMES", 3)
    monkeypatch.setattr(restarter, "FIRST_DELAY", 0.1)
    # A worker with nothing to do says every 5 s that it lives.
    monkeypatch.setattr(probe, "HEARTBEAT_SECONDS", 14.0)
    init_sql(settings)
    init_mongo(settings)
    given, say = environment(settings), Lines()
    [member] = choose_pool(settings, 1)
    children = [
        pool_child(member, settings, given, shared=False),
        *(service_child(service, settings, given) for service in SERVICES if service is not INGEST),
    ]

    before: dict[str, int] = {}
    after: dict[str, int] = {}
    supervisor: Supervisor

    def started_again(name: str) -> bool:
        return supervisor.pids.get(name, before[name]) != before[name]

    def answers(child: Child) -> bool:
        return not child.trouble(after[child.name])

    async def scenario() -> None:
        nonlocal supervisor
        async with Supervisor(say) as supervisor:
            async with asyncio.timeout(60):
                await supervisor.start(*children)
            before.update(supervisor.pids)
            assert set(before) == {"ingest", "api", "realtime", "worker", "scheduler"}
            for pid in before.values():
                os.killpg(pid, signal.SIGSTOP)
            for name in before:
                await until(partial(started_again, name), 60)
                assert say.of(name)
            # All of them answer again, and go on.
            after.update(supervisor.pids)
            for child in children:
                await until(partial(answers, child), 60)
            await asyncio.sleep(3)
            assert supervisor.pids == after

    asyncio.run(scenario())


@pytest.mark.parametrize("find", [probe.worker_trouble, probe.scheduler_trouble])
def test_that_redis_is_away_is_nobodys_silence(find: object, tmp_path: Path) -> None:
    valkey = Valkey(tmp_path)
    assert callable(find)
    assert find(valkey.url, 1) and not probe.registry_silent(find(valkey.url, 1))
    with valkey:
        assert probe.registry_silent(find(valkey.url, 1))


def test_ingest_that_answers_and_stands_still_is_silent() -> None:
    """Its HTTP port has a thread of its own: it answers while the event loop does not go on."""

    async def beat(loop: TaskLoop) -> None:
        while True:
            loop.advance()
            await asyncio.sleep(0.01)

    def silent_while_blocked(server: HttpServer) -> bool:
        """Called on the event loop, and so it stands still meanwhile."""
        return bool(wait_until(lambda: probe.ingest_silent("127.0.0.1", server.port)))

    async def run() -> int:
        heartbeat = TaskLoop("heartbeat", beat, stalled_after=1.0)
        health = Health(lambda: {"mqtt": {"ok": False}}, heartbeat)
        server = HttpServer(host="127.0.0.1", port=0, health=health, metrics=CollectorRegistry())
        server.start()
        heartbeat.start()
        try:
            while await asyncio.to_thread(probe.ingest_silent, "127.0.0.1", server.port):
                await asyncio.sleep(0.01)  # it is not silent once it has begun, though a part of it fails
            assert silent_while_blocked(server)
        finally:
            server.close()
            await heartbeat.stop()
        return server.port

    assert probe.ingest_silent("127.0.0.1", asyncio.run(run()))
