"""The command line: one table of commands, each in a module of `greenpower.cli`, imported when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from greenpower import __version__
from greenpower.catalog.registry import RegistryError
from greenpower.config import ConfigError

COMMANDS = {
    "up": "greenpower.cli.up:up",
    "init": "greenpower.cli.init:init",
    "migrate": "greenpower.cli.migrate:migrate_command",
    "users": "greenpower.cli.users:users",
    "api-keys": "greenpower.cli.api_keys:api_keys",
    "push-keys": "greenpower.cli.push_keys:push_keys",
    "audit": "greenpower.cli.audit:audit",
    "api": "greenpower.cli.api:api",
    "ingest": "greenpower.cli.ingest:ingest",
    "mqtt": "greenpower.cli.mqtt:mqtt",
    "realtime": "greenpower.cli.realtime:realtime",
    "worker": "greenpower.cli.jobs:worker",
    "scheduler": "greenpower.cli.jobs:scheduler",
    "probe": "greenpower.cli.probe:probe",
    "simulate": "greenpower.cli.simulate:simulate",
    "demo": "greenpower.cli.demo:demo",
    "plugins": "greenpower.cli.plugins:plugins",
    "site": "greenpower.cli.site:site",
    "docs": "greenpower.cli.docs:docs",
    "config": "greenpower.cli.config:config",
    "replay": "greenpower.cli.replay:replay",
    "export": "greenpower.cli.export:export",
    "import": "greenpower.cli.import_file:import_",
    "backup": "greenpower.cli.backup:backup",
    "restore": "greenpower.cli.backup:restore",
    "archive": "greenpower.cli.archive:archive",
    "rollups": "greenpower.cli.rollups:rollups",
    "corrections": "greenpower.cli.corrections:corrections",
    "watch": "greenpower.cli.watch:watch",
    "devices": "greenpower.cli.devices:devices",
    "points": "greenpower.cli.points:points",
    "periods": "greenpower.cli.periods:periods",
    "notify": "greenpower.cli.notify:notify",
    "report": "greenpower.cli.report:report",
    "outbound": "greenpower.cli.outbound:outbound",
    "incidents": "greenpower.cli.incidents:incidents",
    "alarms": "greenpower.cli.alarms:alarms",
    "ensure-indexes": "greenpower.cli.database:ensure_indexes",
    "shard": "greenpower.cli.database:shard",
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
    """Run a command. What the operator has to repair is a line per problem on stderr and exit code 2, no traceback."""
    # The title of a process shall not be written over its environment: by that, what a killed run left is found.
    os.environ.setdefault("SPT_NOENV", "1")
    try:
        group(prog_name="greenpower")
    except (ConfigError, RegistryError) as error:
        for line in str(error).splitlines():
            click.echo(f"greenpower: {line}", err=True)
        sys.exit(2)
