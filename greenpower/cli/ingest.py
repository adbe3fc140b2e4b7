"""`greenpower ingest`: the process that stores the frames of devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import uvloop

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings, load_settings
from greenpower.ingest.runner import Runner
from greenpower.ingest.transports import TRANSPORTS
from greenpower.log import set_up_logging
from greenpower.loops import watched_event_loop
from greenpower.mongo.processes.heartbeat import running


def _transports(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each transport."""
    for transport in reversed(TRANSPORTS):
        command = click.option(f"--{transport.option}", is_flag=True, help=transport.help)(command)
    return command


@click.command()
@_transports
def ingest(**chosen: bool) -> None:
    """Receive and store the frames of devices."""
    transports = {option for option, is_chosen in chosen.items() if is_chosen}
    if not transports:
        options = " or ".join(f"--{transport.option}" for transport in TRANSPORTS)
        raise click.UsageError(f"no source of frames: use {options}, or several")
    settings = load_settings()
    settings.check_production()
    set_up_logging(settings.log_level, settings.log_format)
    with running(settings, "ingest"):
        uvloop.run(_watched(Runner(settings=settings, registry=get_registry(), transports=transports), settings))


async def _watched(runner: Runner, settings: Settings) -> None:
    async with watched_event_loop("ingest", settings.watchdog_seconds):
        await runner.run()
