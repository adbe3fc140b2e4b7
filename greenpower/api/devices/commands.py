"""`/api/devices/{id}/commands/`: telling devices something. How it gets there, is in `greenpower.control`."""

from __future__ import annotations

from typing import Any

from flask import Response, abort
from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError

from greenpower.api.devices.command_schema import (
    EXAMPLE_COMMAND,
    AuditQuery,
    CommandPage,
    CommandQuery,
    CommandSchema,
    ConfirmationSchema,
    NewCommand,
)
from greenpower.api.devices.devices import DEVICE_PATH
from greenpower.api.http.auth import Caller, current_caller
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.cache import private, with_etag
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.json import answer
from greenpower.api.http.paging import sql_page_answer
from greenpower.control.interlock import SECONDS, check_confirmation, make_confirmation
from greenpower.control.order import find_command, obstacle, queue
from greenpower.control.wake_worker import kick
from greenpower.datatype import Command
from greenpower.sql import CommandState, Device, DeviceCommand, RoleName
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

PAGE_EXAMPLE = {"count": 1, "next": None, "previous": None, "results": [EXAMPLE_COMMAND]}


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("commands", __name__, url_prefix="/api/devices", description="Commands to devices")

    @blueprint.route("/commands/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(422, 503)
    @blueprint.arguments(AuditQuery)
    @blueprint.response(200, CommandPage, example=PAGE_EXAMPLE)
    def list_all_commands(query: dict[str, Any]) -> Response:
        """List the commands to all devices

        Newest first, those to devices that are registered no more as well: who gave which, when, what became of it.
        """
        statement = _narrowed(query)
        if "device_id" in query:
            statement = statement.where(DeviceCommand.wire_id == query["device_id"])
        if "requested_by" in query:
            statement = statement.where(DeviceCommand.requested_by == query["requested_by"])
        return sql_page_answer(query, statement, _present_all)

    @blueprint.route(f"{DEVICE_PATH}commands/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(CommandQuery)
    @blueprint.response(200, CommandPage, example=PAGE_EXAMPLE)
    def list_commands(query: dict[str, Any], id: int) -> Response:
        """List the commands to a device

        Newest first.
        """
        _find(id)
        return sql_page_answer(query, _narrowed(query).where(DeviceCommand.device_id == id), _present_all)

    @blueprint.route(f"{DEVICE_PATH}commands/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewCommand, location="json")
    @blueprint.response(201, CommandSchema, example={**EXAMPLE_COMMAND, "state": "queued"})
    @blueprint.alternative(202, ConfirmationSchema)
    def give_command(body: dict[str, Any], id: int) -> Response:
        """Give a device a command

        Which there are, `/api/data-types/` says. It is queued; ask for it again to see what becomes of it. 409 while
        the same command to the device is open.

        A command with an interlock (relays) is for users whom the site lets, while the device is online. The first
        request does nothing and answers 202 with a confirmation; the same request with it, by the same user within a
        minute, gives the command. A confirmation is good once.
        """
        device, caller, context = _find(id), current_caller(), get_context()
        found = find_command(context.registry, [row.type for row in device.types], body["command"])
        if found is None:
            abort_body({"command": ["Devices of this kind take no such command."]})
        type_name, command = found
        _check_caller(caller, command)
        parameters, operation = body["parameters"], None
        if wrong := command.problems(parameters):
            abort_body({"parameters": wrong})
        if problem := obstacle(context.settings, command, device):
            abort(409, problem)
        if command.interlock:
            matter = (caller.username, device.device_id, command.name, parameters)
            if "confirmation" not in body:
                confirmation = make_confirmation(context.settings, *matter)
                return private(answer({"confirmation": confirmation, "expires_in": SECONDS}, 202))
            operation = check_confirmation(context.settings, body["confirmation"], *matter)
            if operation is None:
                abort_body({"confirmation": ["Not of this command by this user, or too old."]})
        try:
            row = queue(db.session, device, type_name, command, parameters, by=caller.username, operation=operation)
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            abort(409, "This command to this device is under way, or the confirmation was used.")
        kick(context.settings.redis_address)
        return answer(_present(row), 201)

    @blueprint.route(f"{DEVICE_PATH}commands/<int(min=1, max={LARGEST_ID}):command_id>/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(404, 503)
    @blueprint.response(200, CommandSchema, example=EXAMPLE_COMMAND)
    def show_command(id: int, command_id: int) -> Response:
        """Show a command to a device"""
        row = db.session.get(DeviceCommand, command_id)
        if row is None or row.device_id != id:
            abort(404, "There is no such command.")
        return with_etag(answer(_present(row)))

    return blueprint


def _find(id: int) -> Device:
    device = db.session.get(Device, id)
    if device is None:
        abort(404, "There is no such device.")
    return device


def _check_caller(caller: Caller, command: Command) -> None:
    """Abort with 403 for who may not give a command."""
    if not caller.role.includes(RoleName(command.role)):
        abort(403, f"This needs the role {command.role}; {caller.username} is {caller.role}.")
    if command.interlock and caller.scopes is not None:
        abort(403, "This is for users, not for keys.")


def _narrowed(query: dict[str, Any]) -> Select[DeviceCommand]:
    statement = select(DeviceCommand).order_by(DeviceCommand.id.desc())
    if "state" in query:
        statement = statement.where(DeviceCommand.state == query["state"])
    if "start_time" in query:
        statement = statement.where(DeviceCommand.created_at >= query["start_time"])
    if "end_time" in query:
        statement = statement.where(DeviceCommand.created_at <= query["end_time"])
    return statement


def _present_all(rows: list[DeviceCommand]) -> list[dict[str, Any]]:
    return [_present(row) for row in rows]


def _present(row: DeviceCommand) -> dict[str, Any]:
    """A command as the API shows it."""
    kept = ("id", "type", "command", "parameters", "requested_by", "state", "detail", "answer", "created_at")
    times = ("expires_at", "sent_at", "answered_at", "verified_at", "finished_at")
    return {
        **{name: getattr(row, name) for name in (*kept, *times)},
        "device_id": row.wire_id,
        "verified": row.verified_at is not None and row.state == CommandState.DONE,
        "steps": [{"state": step.state, "at": step.at, "detail": step.detail} for step in row.steps],
    }
