"""The command line: one table of commands, each in a module of `greenpower.commands`, imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from greenpower import __version__
from greenpower.catalog.registry import RegistryError
from greenpower.config import ConfigError

COMMANDS = {
    "up": "greenpower.commands.up:up",
    "init": "greenpower.commands.init:init",
    "users": "greenpower.commands.users:users",
    "api": "greenpower.commands.api:api",
    "ingest": "greenpower.commands.ingest:ingest",
    "mqtt": "greenpower.commands.mqtt:mqtt",
    "realtime": "greenpower.commands.realtime:realtime",
    "worker": "greenpower.commands.jobs:worker",
    "scheduler": "greenpower.commands.jobs:scheduler",
    "probe": "greenpower.commands.probe:probe",
    "simulate": "greenpower.commands.simulate:simulate",
    "plugins": "greenpower.commands.plugins:plugins",
    "site": "greenpower.commands.site:site",
    "docs": "greenpower.commands.docs:docs",
    "config": "greenpower.commands.config:config",
    "replay": "greenpower.commands.replay:replay",
    "export": "greenpower.commands.export:export",
    "backup": "greenpower.commands.backup:backup",
    "restore": "greenpower.commands.backup:restore",
    "rollups": "greenpower.commands.rollups:rollups",
    "watch": "greenpower.commands.watch:watch",
    "devices": "greenpower.commands.devices:devices",
    "ensure-indexes": "greenpower.commands.store:ensure_indexes",
    "shard": "greenpower.commands.store:shard",
}


class Commands(click.Group):
    """A group that imports a command when it is needed, so that no command pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="greenpower")
def group() -> None:
    """Collect, keep, summarise and serve the telemetry of energy meters."""


def main() -> None:
    """Run a command. What the operator has to mend is one line on stderr and exit code 2, never a traceback."""
    try:
        group(prog_name="greenpower")
    except (ConfigError, RegistryError) as error:
        click.echo(f"greenpower: {error}", err=True)
        sys.exit(2)
