"""`greenpower mqtt`: sessions of ingest processes at the broker, and its access list."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import uvloop
from pymongo.errors import PyMongoError
from sqlalchemy import select

from greenpower.bus.publisher import Publisher
from greenpower.catalog.facts import gather_seconds
from greenpower.catalog.registry import Registry, get_registry
from greenpower.cli.atomic_file import write_whole
from greenpower.cli.sql import sql_database
from greenpower.config import Settings, load_settings
from greenpower.homeassistant.announcement import topics_used
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.mqtt.access_list import access_list
from greenpower.ingest.sources.mqtt.drain import Drain, DrainError, NoSession, ProcessRuns
from greenpower.ingest.sources.mqtt.intake import MqttIntake, MqttMetrics
from greenpower.log import set_up_logging
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.mongo.schema.version import check_version
from greenpower.sql import Device
from greenpower.sql.extensions import db
from greenpower.stack.ingest_pool import NO_SESSION, PROCESS_RUNS


@click.group()
def mqtt() -> None:
    """Manage sessions and the access list of the broker."""


@mqtt.command()
@click.argument("client_id")
def drain(client_id: str) -> None:
    """Store the frames of a retired ingest process.

    CLIENT_ID is the MQTT_CLIENT_ID of the process, which must not be running. Its frames that wait at the broker are
    stored, then its session is ended. Without this, the broker goes on keeping its share of the frames.
    """
    settings = load_settings().model_copy(update={"mqtt_client_id": client_id})
    settings.check_production()
    set_up_logging(settings.log_level, settings.log_format)
    try:
        with running(settings, "mqtt drain"):
            taken, outcomes = uvloop.run(_drain(settings, get_registry()))
    except (NoSession, ProcessRuns) as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(NO_SESSION if isinstance(error, NoSession) else PROCESS_RUNS) from None
    except DrainError as error:
        raise click.ClickException(str(error)) from None
    except PyMongoError as error:
        raise click.ClickException(f"MongoDB cannot be reached: {error!s:.200}") from None
    found = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "nothing waited"
    click.echo(f"{client_id}: {taken} frames taken ({found}), session ended")


@mqtt.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=None,
    help="File to write. Default: standard output. An existing file keeps its mode and owner.",
)
def acl(output: Path | None) -> None:
    """Print the access list for mosquitto.

    Each confirmed device of the registry logs in with its id and may publish on the topics of its data types. Ingest,
    worker and `mqtt drain` log in as MQTT_USERNAME. Repeat this when a device is confirmed or its data types change,
    and let the broker read the list again (SIGHUP).
    """
    settings = load_settings()
    user = settings.need("MQTT_USERNAME")
    with sql_database(settings):
        found = db.session.scalars(select(Device).where(Device.confirmed_at.is_not(None)))
        devices = {device.device_id: [row.type for row in device.types] for device in found}
    retained = topics_used(settings.homeassistant_prefix) if settings.homeassistant_discovery else ()
    text = access_list(devices, get_registry(), user, retained)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_whole(output, text)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    click.echo(f"{output}: {len(devices)} devices")


async def _drain(settings: Settings, registry: Registry) -> tuple[int, Counter[str]]:
    """The number of frames, by outcome."""
    with sync_client(settings) as blocking:
        check_version(blocking[settings.mongo_db_name])
        ensure_indexes(blocking[settings.mongo_db_name], registry, settings)
    metrics = IngestMetrics()
    # It is not run: of what was drained, the newest of each device is told when it is closed.
    publisher = Publisher(url, metrics.registry, gather_seconds(registry)) if (url := settings.redis_address) else None
    async with async_client(settings) as client:
        db = client[settings.mongo_db_name]
        pipeline = Pipeline(registry=registry, settings=settings, db=db, metrics=metrics, publisher=publisher)
        await pipeline.clock.load()
        intake = MqttIntake(
            pipeline=pipeline, metrics=MqttMetrics(metrics.registry), window=settings.mqtt_receive_maximum
        )
        session = Drain(settings=settings, topics=registry.topics, intake=intake)
        try:
            await session.drain()
        finally:
            pipeline.close()
            if publisher is not None:
                await publisher.close()
        await pipeline.clock.save()
        await pipeline.presence.save()
    outcomes: Counter[str] = Counter()
    for family in metrics.frames.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                outcomes[sample.labels["outcome"]] += int(sample.value)
    return session.taken, outcomes
