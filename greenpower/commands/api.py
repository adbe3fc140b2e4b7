"""`greenpower api`: serve the REST API."""

from __future__ import annotations

import click

from greenpower.api.server import Server
from greenpower.app import create_app
from greenpower.config import load_settings
from greenpower.log import set_up_logging


@click.command()
def api() -> None:
    """Serve the REST API until SIGTERM."""
    settings = load_settings()
    settings.check_production()
    set_up_logging(settings.log_level)
    Server(create_app(settings), settings).run()
