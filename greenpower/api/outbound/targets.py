"""`/api/outbound/targets/`: who gets what, and how far each was served. Addresses and secrets never come out; a secret
is shown once, when its target is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy import select

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import get_context, whole_database
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import EXAMPLE_TIME, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, example_page, sql_page_answer
from greenpower.api.http.visible_devices import is_visible
from greenpower.api.outbound.target_rules import (
    OutboundTargetError,
    add_target,
    ask_test,
    change_target,
    delete_target,
    wake_for,
)
from greenpower.api.outbound.target_schema import (
    EXAMPLE_NEW_TARGET,
    EXAMPLE_TARGET,
    NEW_DEFAULTS,
    MadeOutboundTarget,
    NewOutboundTarget,
    OutboundTargetChange,
    OutboundTargetPage,
    OutboundTargetSchema,
    present_target,
)
from greenpower.config import Settings
from greenpower.mongo.outbound.positions import read_positions
from greenpower.mongo.schema.layout import OUTBOUND_POSITIONS
from greenpower.sql import OutboundTarget, RoleName
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

TARGET_PATH = f"/<int(min=1, max={LARGEST_ID}):target_id>/"


class AskedOutboundTest(ma.Schema):
    """A test that waits for the worker."""

    asked_at = time_field("when it was asked for, UTC; `status.test` of the target says what became of it")
    name = ma.fields.String(required=True, metadata=describe("of the target", example="Energy platform"))


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "outbound_targets",
        __name__,
        url_prefix="/api/outbound/targets",
        description="Programs that are sent readings and buckets",
    )

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PageQuery)
    @blueprint.response(200, OutboundTargetPage, example=example_page(EXAMPLE_TARGET))
    def list_outbound_targets(query: dict[str, Any]) -> Response:
        """List outbound targets

        By name, with how far each was served.
        """
        statement = select(OutboundTarget).order_by(OutboundTarget.name)
        return sql_page_answer(query, statement, _present_all, OutboundTarget.name)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewOutboundTarget, location="json")
    @blueprint.response(201, MadeOutboundTarget, example=EXAMPLE_NEW_TARGET)
    def add_outbound_target(body: dict[str, Any]) -> Response:
        """Create an outbound target

        The answer has its signing secret, which is never shown again. Callers who are restricted to service zones name
        one of them. 409 if the name is already used.
        """
        context = get_context()
        values = {**NEW_DEFAULTS, **body, "kind": body["kind"].value, "content": body["content"].value}
        with _refused():
            made = add_target(values, context.registry, context.settings)
        wake_for(whole_database(), context.redis, made)
        return answer({**_present_all([made])[0], "secret": made.secret}, 201)

    @blueprint.route(TARGET_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, OutboundTargetSchema, example=EXAMPLE_TARGET)
    def show_outbound_target(target_id: int) -> Response:
        """Show an outbound target

        With its position, how far it is behind, and why it fails.
        """
        return answer(_present_all([_find(target_id)])[0])

    @blueprint.route(TARGET_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(OutboundTargetChange, location="json")
    @blueprint.response(200, OutboundTargetSchema, example=EXAMPLE_TARGET)
    def change_outbound_target(body: dict[str, Any], target_id: int) -> Response:
        """Change an outbound target

        It goes on from its position; what a wider filter lets through is sent from there on. 409 if the name is already
        used.
        """
        target, context = _find(target_id), get_context()
        with _refused():
            change_target(target, body, context.registry, context.settings)
        wake_for(whole_database(), context.redis, target)
        return answer(_present_all([target])[0])

    @blueprint.route(TARGET_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_outbound_target(target_id: int) -> Response:
        """Delete an outbound target

        With its position.
        """
        delete_target(whole_database(), _find(target_id))
        return Response(status=204)

    @blueprint.route(f"{TARGET_PATH}test/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(201, AskedOutboundTest, example={"name": EXAMPLE_TARGET["name"], "asked_at": EXAMPLE_TIME})
    def try_outbound_target(target_id: int) -> Response:
        """Send a test to an outbound target

        The worker sends it, also where the target is disabled; `status.test` of the target says what became of it.
        """
        target, asked_at = _find(target_id), _now()
        ask_test(whole_database(), get_context().redis, target, asked_at)
        return answer({"name": target.name, "asked_at": asked_at}, 201)

    return blueprint


def settled_until(settings: Settings, now: datetime) -> datetime:
    """Up to when rows are sent."""
    return now - timedelta(seconds=settings.changes_horizon_seconds)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except OutboundTargetError as error:
        if not error.field:
            abort(409, str(error))
        abort_body({error.field: [str(error)]})


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _find(target_id: int) -> OutboundTarget:
    found = db.session.scalar(select(OutboundTarget).where(OutboundTarget.id == target_id))
    if found is None:
        abort(404, f"There is no outbound target {target_id}.")
    return found


def _present_all(targets: list[OutboundTarget]) -> list[dict[str, Any]]:
    positions = read_positions(whole_database()[OUTBOUND_POSITIONS], [target.id for target in targets])
    until = settled_until(get_context().settings, _now())
    shown = [present_target(target, positions.get(target.id), until) for target in targets]
    # A target of the caller's zone may name devices that have moved elsewhere, which it gets nothing of.
    return [{**row, "devices": [device for device in row["devices"] if is_visible(device)]} for row in shown]
