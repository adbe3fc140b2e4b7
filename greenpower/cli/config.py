"""`greenpower config`: the settings in force."""

from __future__ import annotations

import click

from greenpower.config import load_settings


@click.command()
def config() -> None:
    """Print the settings in force, secrets masked."""
    rows = load_settings().table()
    width = max(len(name) for name, _, _ in rows)
    for name, value, _ in rows:
        click.echo(f"{name:<{width}}  {value}".rstrip())
