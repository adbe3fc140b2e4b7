"""`greenpower demo`: a year of a small site, made at once, and removed again."""

from __future__ import annotations

import click
from pymongo.errors import PyMongoError

from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.cli.table import shown_time
from greenpower.config import ConfigError, load_settings
from greenpower.demo.remove import remove_demo
from greenpower.demo.write import DemoError, had_meter_points, make_demo
from greenpower.mongo.client import sync_client
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.mongo.schema.version import check_version
from greenpower.sql.extensions import db as sql


@click.command()
@click.option("--remove", is_flag=True, help="Remove it again, with everything that belongs to it.")
@click.option("--if-new", is_flag=True, help="Only where there was never a meter point.")
def demo(remove: bool, if_new: bool) -> None:
    """Make a year of a small site, labelled as simulated.

    A grid meter, a solar plant, a generator and twelve sub-meters in three zones, with meter points, a tariff and CO2
    factors; one meter was exchanged, one was silent, one showed a wrong register, one counted too much for a time. It
    can be made beside a running stack, and needs the databases only.
    """
    settings = load_settings()
    try:
        with running(settings, "demo"), sync_client(settings) as client, console_audit(settings):
            held = client[settings.mongo_db_name]
            check_version(held)
            registry = get_registry()
            ensure_indexes(held, registry, settings)
            if remove:
                gone = remove_demo(settings, sql.session, held, registry)
                click.echo(f"removed {gone} rows and documents" if gone else "there is no demonstration")
                return
            if if_new and had_meter_points(sql.session):
                return
            span = make_demo(settings, sql.session, held, registry, click.echo)
            click.echo(f"ready: from {shown_time(span.begin)} to {shown_time(span.end)}")
    except DemoError as error:
        raise ConfigError(str(error)) from None
    except PyMongoError as error:
        raise ConfigError(" ".join(str(error).split())[:300]) from None
