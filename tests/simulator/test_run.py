"""An unexpected error anywhere in the simulator ends it, with an error: it never goes on half dead."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from greenpower.catalog.registry import get_registry
from greenpower.cli.simulate import simulate
from greenpower.config import Settings
from greenpower.simulator.dial import Dialler
from greenpower.simulator.fault import Sender
from greenpower.simulator.fleet import make_fleet
from greenpower.simulator.publisher import SimulatorPublisher
from greenpower.simulator.run import Simulation, SimulationPlan
from tests.simulator.sample import ZONE

RATE = 20.0


def fail(*_: object) -> Any:
    """What nobody expects."""
    raise LookupError("reason-31")


async def fail_later(*_: object) -> Any:
    """The same, of a task."""
    await asyncio.sleep(0)
    fail()


async def simulated(settings: Settings, type_name: str, count: int | None = None) -> None:
    fleet = make_fleet([get_registry()[type_name]], 20, 0, ZONE)
    simulation = Simulation(fleet, SimulationPlan(rate=RATE, count=count), Sender([], 0), settings)
    async with asyncio.timeout(60):
        await simulation.run(asyncio.Event())


@pytest.fixture
def settings(broker: tuple[str, int], tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path,
        mqtt_broker=broker[0],
        mqtt_port=broker[1],
    )


@pytest.mark.parametrize("name", ["_connected", "acknowledged", "_connect", "send"])
def test_an_error_of_the_connection_to_the_broker(
    name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_task = asyncio.iscoroutinefunction(getattr(SimulatorPublisher, name))
    monkeypatch.setattr(SimulatorPublisher, name, fail_later if is_task else fail)
    with pytest.raises(LookupError, match="reason-31"):
        asyncio.run(simulated(settings, "rt"))


def test_an_error_while_it_ends(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a task that was working until the plan was done."""
    drain = SimulatorPublisher.drain

    async def fail_meanwhile(publisher: SimulatorPublisher) -> None:
        await drain(publisher)
        tried = asyncio.Event()

        async def connect(_: SimulatorPublisher) -> None:
            tried.set()
            fail()

        monkeypatch.setattr(SimulatorPublisher, "_connect", connect)
        assert publisher._client is not None
        publisher._client.lost.set()
        await tried.wait()

    monkeypatch.setattr(SimulatorPublisher, "drain", fail_meanwhile)
    with pytest.raises(LookupError, match="reason-31"):
        asyncio.run(simulated(settings, "rt", count=1))


@pytest.mark.parametrize("name", ["_beat", "_talk", "run"])
def test_an_error_of_a_gateway(name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dialler, name, fail_later)
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = settings.model_copy(update={"tcp_host": "127.0.0.1", "tcp_port": server.getsockname()[1]})
        with pytest.raises(LookupError, match="reason-31"):
            asyncio.run(simulated(here, "solar"))


def test_the_command_says_so_in_one_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Simulation, "run", fail_later)
    environment = {"MQTT_BROKER": settings.mqtt_broker, "MQTT_PORT": str(settings.mqtt_port)}
    result = CliRunner().invoke(simulate, ["--type", "rt"], env=environment)
    assert result.exit_code == 1
    [line] = [line for line in result.output.splitlines() if "reason-31" in line]
    assert "LookupError" in line and "Traceback" not in result.output
