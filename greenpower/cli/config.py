"""`greenpower config`: the settings in force."""

from __future__ import annotations

import click

from greenpower.config import load_settings, setting_warnings


@click.command()
def config() -> None:
    """Print the settings in force, with secrets masked.

    Names in `.env` that are no setting are reported on standard error.
    """
    for warning in setting_warnings():
        click.echo(f"greenpower: warning: {warning}", err=True)
    rows = load_settings().table()
    width = max(len(name) for name, _, _ in rows)
    for name, value, _ in rows:
        click.echo(f"{name:<{width}}  {value}".rstrip())
