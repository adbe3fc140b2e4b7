"""`greenpower probe`: the health of one process, for containers and scripts."""

from __future__ import annotations

import sys

import click

from greenpower.config import load_settings
from greenpower.stack.stack import SERVICES


@click.command()
@click.argument("name", type=click.Choice([service.name for service in SERVICES]))
def probe(name: str) -> None:
    """Check that a process on this machine is healthy.

    If it is not, prints the reason and exits with status 1.
    """
    [service] = (service for service in SERVICES if service.name == name)
    if trouble := service.trouble(load_settings(), None):
        click.echo(f"{name}: {trouble}", err=True)
        sys.exit(1)
