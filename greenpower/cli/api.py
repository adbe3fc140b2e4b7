"""`greenpower api`: serve the REST API."""

from __future__ import annotations

import click

from greenpower.api.http.server import Server
from greenpower.app import create_app
from greenpower.config import ConfigError, load_settings
from greenpower.log import set_up_logging
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.schema.version import check_at_start
from greenpower.stack.port import bind_trouble


@click.command()
def api() -> None:
    """Serve the REST API and the dashboard."""
    settings = load_settings()
    settings.check_production()
    set_up_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
    if trouble := bind_trouble(settings.api_port, settings.api_host):
        raise ConfigError(f"API_PORT={settings.api_port} cannot be used on {settings.api_host}: {trouble}")
    check_at_start(settings)
    with running(settings, "api"):
        Server(app, settings).run()
