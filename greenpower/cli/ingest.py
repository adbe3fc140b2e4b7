"""`greenpower ingest`: the process that stores the frames of devices."""

from __future__ import annotations

import click
import uvloop

from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.ingest.runner import Runner
from greenpower.log import set_up_logging


@click.command()
@click.option("--mqtt", is_flag=True, help="Receive frames from the MQTT broker.")
@click.option("--tcp", is_flag=True, help="Receive frames over TCP: from gateways, and as lines of JSON.")
def ingest(mqtt: bool, tcp: bool) -> None:
    """Receive and store the frames of devices."""
    if not mqtt and not tcp:
        raise click.UsageError("no source of frames: use --mqtt, --tcp or both")
    settings = load_settings()
    settings.check_production()
    set_up_logging(settings.log_level, settings.log_format)
    uvloop.run(Runner(settings=settings, registry=get_registry(), mqtt=mqtt, tcp=tcp).run())
