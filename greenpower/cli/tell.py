"""`greenpower devices commands` and `tell`: the commands of a device, and sending one.

For administrators of the machine. The rules are those of the API, but nobody logs in: the user is `console`.
"""

from __future__ import annotations

import sys
import time

import click
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.catalog.registry import get_registry
from greenpower.cli.console import console_audit
from greenpower.cli.sql import sql_database
from greenpower.cli.table import print_table, shown_time
from greenpower.config import ConfigError, load_settings
from greenpower.control.order import find_command, obstacle, queue, wake_worker
from greenpower.datatype import Command, Parameter
from greenpower.datatype.command import Value
from greenpower.sql import CommandState, Device, DeviceCommand
from greenpower.sql.device_command import OPEN
from greenpower.sql.extensions import db

CONSOLE = "console"
KNOWN_HEADINGS = ("command", "parameters", "what it does")
GIVEN_HEADINGS = ("number", "given", "by", "command", "parameters", "state", "detail")
LAST = 20
LOOK_SECONDS = 0.2
# The worker ends expired commands in its next round.
LATE_SECONDS = 15
TRUTH = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}


@click.command()
@click.argument("device_id")
def commands(device_id: str) -> None:
    """List the commands for a device, and the last ones sent."""
    with sql_database(load_settings()):
        device = _find(device_id)
        known = [
            (command.name, ", ".join(map(_values, command.parameters)), command.title)
            for row in device.types
            if (datatype := get_registry().get(row.type)) is not None
            for command in datatype.commands
        ]
        statement = select(DeviceCommand).where(DeviceCommand.wire_id == device_id)
        given = list(db.session.scalars(statement.order_by(DeviceCommand.id.desc()).limit(LAST)))
        print_table(KNOWN_HEADINGS, known)
        click.echo()
        print_table(GIVEN_HEADINGS, [_row(row) for row in given])


@click.command()
@click.argument("device_id")
@click.argument("name", metavar="COMMAND")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation before a relay is switched.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the result.")
def tell(device_id: str, name: str, parameters: tuple[str, ...], yes: bool, no_wait: bool) -> None:
    """Send a command to a device and wait for the result.

    Example: greenpower devices tell 33B1225950027 set_interval interval=60. Exits with status 1 if it is not done.
    """
    settings = load_settings()
    with console_audit(settings):
        device = _find(device_id)
        found = find_command(get_registry(), [row.type for row in device.types], name)
        if found is None:
            raise ConfigError(
                f"unknown command {name!r} for {device_id}; `greenpower devices commands {device_id}` lists them"
            )
        type_name, command = found
        values = _read(command, parameters)
        if problem := obstacle(settings, command, device):
            raise ConfigError(problem)
        if command.interlock and not yes:
            click.confirm(f"{command.title} of {device_id}: {_shown(values)}. Send this command?", abort=True)
        try:
            row = queue(db.session, device, type_name, command, values, by=CONSOLE)
            db.session.commit()
        except IntegrityError:
            raise ConfigError(f"{name} is already being sent to {device_id}") from None
        wake_worker(settings.redis_address)
        click.echo(f"command {row.id} is {row.state}")
        if not no_wait:
            sys.exit(_wait(row))


def _find(device_id: str) -> Device:
    device = db.session.scalar(select(Device).where(Device.device_id == device_id))
    if device is None:
        raise ConfigError(f"unknown device {device_id!r}: it is not in the registry")
    return device


def _read(command: Command, texts: tuple[str, ...]) -> dict[str, Value]:
    """Parameters from `name=value`. Raises ConfigError for those that are not declared."""
    declared = {parameter.name: parameter for parameter in command.parameters}
    values: dict[str, Value] = {}
    for text in texts:
        name, _, value = text.partition("=")
        values[name] = _value(declared[name], value) if name in declared else value
    if wrong := command.problems(values):
        raise ConfigError("; ".join(f"{name}: {' '.join(problems)}" for name, problems in sorted(wrong.items())))
    return values


def _value(parameter: Parameter, text: str) -> Value:
    """A text as a value of the parameter's kind; unchanged if it is none, so that the declaration refuses it."""
    if parameter.kind == "boolean":
        return TRUTH.get(text.lower(), text)
    if parameter.kind == "integer" and text.removeprefix("-").isdecimal() and text.isascii():
        return int(text)
    return text


def _wait(row: DeviceCommand) -> int:
    """Print each new state until the final one, or until some time after the command has expired."""
    state, end = row.state, time.monotonic() + (row.expires_at - row.created_at).total_seconds() + LATE_SECONDS
    while row.state in OPEN and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
        db.session.rollback()
        db.session.refresh(row)
        if row.state != state:
            state = row.state
            click.echo(f"{state} {row.detail}".rstrip())
    if row.state in OPEN:
        click.echo("no result: check that a worker is running", err=True)
    return 0 if row.state == CommandState.DONE else 1


def _values(parameter: Parameter) -> str:
    """The values that a parameter accepts."""
    if parameter.choices:
        return f"{parameter.name}={'|'.join(map(str, parameter.choices))}"
    return f"{parameter.name}={'on|off' if parameter.kind == 'boolean' else f'{parameter.low}…{parameter.high}'}"


def _row(row: DeviceCommand) -> tuple[str, ...]:
    told = row.command, _shown(row.parameters)
    return str(row.id), shown_time(row.created_at), row.requested_by, *told, row.state, row.detail


def _shown(values: dict[str, Value]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
