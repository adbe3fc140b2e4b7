"""`greenpower probe`: whether a process answers, for containers and scripts."""

from __future__ import annotations

import sys

import click

from greenpower.config import load_settings
from greenpower.stack.stack import SERVICES


@click.command()
@click.argument("name", type=click.Choice([service.name for service in SERVICES]))
def probe(name: str) -> None:
    """Ask a process of this machine whether it does its work. Says what is wrong, and ends with 1 then."""
    [service] = (service for service in SERVICES if service.name == name)
    if trouble := service.trouble(load_settings(), None):
        click.echo(f"{name}: {trouble}", err=True)
        sys.exit(1)
