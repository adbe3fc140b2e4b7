"""`greenpower simulate`: devices that send the real wire formats to the broker."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import asdict
from datetime import tzinfo
from traceback import extract_tb

import click

from greenpower.catalog.registry import get_registry
from greenpower.config import ConfigError, load_settings
from greenpower.log import set_up_logging
from greenpower.simulator.fault import FAULTS, Sender
from greenpower.simulator.fleet import Fleet, can_simulate, make_fleet
from greenpower.simulator.run import Simulation, SimulationPlan, Totals
from greenpower.simulator.wiring_fault import WIRING_FAULTS

log = logging.getLogger("greenpower.simulator")

SECONDS_BETWEEN_READINGS = 5.0
POSITIVE = click.FloatRange(min=0, min_open=True)


def _listed(value: str, known: list[str], what: str) -> list[str]:
    chosen = [part.strip() for part in value.split(",") if part.strip()]
    if unknown := [name for name in chosen if name not in known]:
        raise click.UsageError(f"unknown {what} {', '.join(map(repr, unknown))}; choose from {', '.join(known)}")
    return chosen


EPILOG = "\n\n".join(
    (
        "Faults:", *(f"{name}: {meaning}" for name, meaning in FAULTS.items()),
        "Wiring:", *(f"{name}: {fault.meaning}" for name, fault in WIRING_FAULTS.items()),
    )
)  # fmt: skip


@click.command(epilog=EPILOG)
@click.option("--devices", type=click.IntRange(1, 100_000), default=5, show_default=True, help="Devices per data type.")
@click.option("--rate", type=POSITIVE, help="Total readings per second. Default: one per device every 5 s.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed makes the same devices."
)
@click.option("--type", "types", default="", metavar="NAME,…", help="Data types to simulate. Default: all that can be.")
@click.option("--faults", default="", metavar="NAME,…", help="Faults to add; see below.")
@click.option(
    "--wiring", type=click.Choice(tuple(WIRING_FAULTS)), metavar="NAME",
    help="How MQTT devices are wired wrong; see below.",
)  # fmt: skip
@click.option("--count", type=click.IntRange(1), help="Stop after this many readings.")
@click.option("--duration", type=POSITIVE, help="Stop after this many seconds.")
def simulate(
    devices: int,
    rate: float | None,
    seed: int,
    types: str,
    faults: str,
    wiring: str | None,
    count: int | None,
    duration: float | None,
) -> None:
    """Send readings of simulated devices.

    They use the real wire formats: MQTT devices publish to MQTT_BROKER, gateways connect to TCP_HOST. Timestamps are
    the time of sending in whole seconds, so a device sends at most one reading per second. Readings that cannot be sent
    in time are skipped, not sent late.
    """
    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    wrong = _listed(faults, list(FAULTS), "fault")
    fleet = _fleet(types, devices, seed, settings.device_zone)
    rate = rate or len(fleet) / SECONDS_BETWEEN_READINGS
    if rate > len(fleet):
        raise click.UsageError(
            f"--rate {rate:g} is too high for {len(fleet)} devices: a device sends at most one reading per second"
        )
    if fleet.devices:
        settings.need("MQTT_BROKER")
    log.info("%d devices (%s), %g readings/s, seed %d", len(fleet), ", ".join(fleet.names), rate, seed)
    sender = Sender(wrong, seed, wiring or "")

    async def go() -> Totals:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        return await Simulation(fleet, SimulationPlan(rate=rate, count=count, seconds=duration), sender, settings).run(
            stop
        )

    try:
        totals = asyncio.run(go())
    except ConfigError:
        raise
    except Exception as error:
        place = extract_tb(error.__traceback__)[-1]
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise click.ClickException(f"the simulator failed: {text} ({place.filename}:{place.lineno})") from error
    faults_made = "".join(f", {name} {number}" for name, number in sorted(sender.counts.items()) if number)
    log.info(
        "%d readings in %d packets, %d packets not acknowledged, %d readings skipped%s",
        totals.readings, totals.packets, totals.open, totals.skipped, faults_made,
        extra={"fields": asdict(totals)},
    )  # fmt: skip


def _fleet(types: str, count: int, seed: int, zone: tzinfo) -> Fleet:
    """The requested devices. A type that cannot be simulated is an error if it was named, else it is left out.

    Types without tiers send once a day or less; they are left out too unless they are named.
    """
    registry = get_registry()
    names = _listed(types, [datatype.name for datatype in registry], "data type")
    chosen = [registry[name] for name in names] or [datatype for datatype in registry if datatype.tiers]
    able = []
    for datatype in chosen:
        problem = can_simulate(datatype, zone)
        if problem and names:
            raise click.UsageError(problem)
        if problem:
            log.info("not simulated: %s", problem)
        else:
            able.append(datatype)
    fleet = make_fleet(able, count, seed, zone)
    if not len(fleet):
        raise click.UsageError("none of the data types can be simulated")
    return fleet
