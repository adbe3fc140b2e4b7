"""`/api/devices/<id>/commands/`: commands to devices. How they are sent is in `greenpower.control`."""

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
from greenpower.api.devices.device import DEVICE_PATH, DeviceKey, find_device
from greenpower.api.http.auth import Caller, current_caller
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.cache import private, with_etag
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body, abort_query
from greenpower.api.http.json import answer
from greenpower.api.http.known import unknown_devices
from greenpower.api.http.paging import example_page, sql_page_answer
from greenpower.control.interlock import CONFIRMATION_SECONDS, check_confirmation, make_confirmation
from greenpower.control.order import find_command, obstacle, queue, wake_worker
from greenpower.datatype import Command
from greenpower.sql import CommandState, DeviceCommand, RoleName
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("commands", __name__, url_prefix="/api/devices", description="Commands to devices")

    @blueprint.route("/commands/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(AuditQuery)
    @blueprint.response(200, CommandPage, example=example_page(EXAMPLE_COMMAND))
    def list_all_commands(query: dict[str, Any]) -> Response:
        """List commands to all devices

        Newest first, including those to deleted devices: who sent which command, when, and with what result.
        """
        statement = _matching(query)
        if "device_id" in query:
            wire_id = query["device_id"]
            statement = statement.where(DeviceCommand.wire_id == wire_id)
            to_it = select(DeviceCommand.id).where(DeviceCommand.wire_id == wire_id).limit(1)
            if db.session.scalar(to_it) is None and unknown_devices([wire_id]):
                abort_query("device_id", f"unknown device: {wire_id!r}")
        if "requested_by" in query:
            statement = statement.where(DeviceCommand.requested_by == query["requested_by"])
        return sql_page_answer(query, statement, _present_all, DeviceCommand.id, descending=True, ranged=True)

    @blueprint.route(f"{DEVICE_PATH}commands/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(CommandQuery)
    @blueprint.response(200, CommandPage, example=example_page(EXAMPLE_COMMAND))
    def list_commands(query: dict[str, Any], id: DeviceKey) -> Response:
        """List commands to a device

        Newest first.
        """
        statement = _matching(query).where(DeviceCommand.device_id == find_device(id).id)
        return sql_page_answer(query, statement, _present_all, DeviceCommand.id, descending=True, ranged=True)

    @blueprint.route(f"{DEVICE_PATH}commands/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewCommand, location="json")
    @blueprint.response(201, CommandSchema, example={**EXAMPLE_COMMAND, "state": "queued"})
    @blueprint.alternative(202, ConfirmationSchema)
    def send_command(body: dict[str, Any], id: DeviceKey) -> Response:
        """Send a command to a device

        `/api/data-types/` lists the commands of each data type. The command is queued; read it again to see its state.
        409 while the same command to the device is still open.

        Commands with an interlock (relays) are for users whom the site allows, and only while the device is online. The
        first request does nothing and answers 202 with a confirmation; the same request with that confirmation, by the
        same user within a minute, sends the command. A confirmation can be used once.
        """
        device, caller, context = find_device(id), current_caller(), get_context()
        found = find_command(context.registry, [row.type for row in device.types], body["command"])
        if found is None:
            text = f"{device.device_id} has no command {body['command']!r}; see `/api/data-types/`."
            abort_body({"command": [text]})
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
                return private(answer({"confirmation": confirmation, "expires_in": CONFIRMATION_SECONDS}, 202))
            operation = check_confirmation(context.settings, body["confirmation"], *matter)
            if operation is None:
                abort_body({"confirmation": ["Not valid for this command and user, or expired."]})
        try:
            row = queue(db.session, device, type_name, command, parameters, by=caller.username, operation=operation)
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            abort(409, f"{command.name!r} to {device.device_id} is still open, or the confirmation was already used.")
        wake_worker(context.settings.redis_address)
        return answer(_present(row), 201)

    @blueprint.route(f"{DEVICE_PATH}commands/<int(min=1, max={LARGEST_ID}):command_id>/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, CommandSchema, example=EXAMPLE_COMMAND)
    def show_command(id: DeviceKey, command_id: int) -> Response:
        """Show a command to a device"""
        row = db.session.get(DeviceCommand, command_id)
        if row is None or row.device_id != find_device(id).id:
            abort(404, f"There is no command {command_id} to device {id}.")
        return with_etag(answer(_present(row)))

    return blueprint


def _check_caller(caller: Caller, command: Command) -> None:
    """Abort with 403 if the caller may not send a command."""
    if not caller.role.includes(RoleName(command.role)):
        abort(403, f"This needs the role {command.role}; {caller.username} has the role {caller.role}.")
    if command.interlock and caller.scopes is not None:
        abort(403, "This is for users, not for API keys.")


def _matching(query: dict[str, Any]) -> Select[DeviceCommand]:
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
