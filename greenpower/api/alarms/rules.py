"""`/api/alarms/rules/`: what people are to be told of."""

from __future__ import annotations

from typing import Any

from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.alarms.kind import read_params
from greenpower.alarms.kind_table import alarm_kinds
from greenpower.alarms.rule import AlarmRule, is_about_devices
from greenpower.alarms.subject import SubjectKind
from greenpower.api.alarms.rules_schema import (
    EXAMPLE_RULE,
    AlarmRuleChange,
    AlarmRulePage,
    AlarmRuleQuery,
    AlarmRuleSchema,
    NewAlarmRule,
)
from greenpower.api.alarms.wake import wake_alarms
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.cache import with_etag
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.json import answer
from greenpower.api.http.paging import example_page, sql_page_answer
from greenpower.mongo.alarms.progress import read_statuses
from greenpower.mongo.schema.layout import ALARM_PROGRESS
from greenpower.sql import MeterPoint, RoleName, ServiceZone, StoredAlarmRule
from greenpower.sql.actor import current_actor
from greenpower.sql.alarm_rule import AlarmSeverity
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from greenpower.sql.user import LARGEST_ID

ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):rule_id>/"
# Where one of these changes, what was measured before is not judged again.
JUDGING = ("params", "type", "devices", "zone_id", "points", "for_s")


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("alarm-rules", __name__, url_prefix="/api/alarms/rules", description="Rules of alarms")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(422, 503)
    @blueprint.arguments(AlarmRuleQuery)
    @blueprint.response(200, AlarmRulePage, example=example_page(EXAMPLE_RULE))
    def list_alarm_rules(query: dict[str, Any]) -> Response:
        """List rules of alarms

        Ordered by name. `status` says how many subjects each has, and why it cannot be judged.
        """
        statement = select(StoredAlarmRule).order_by(StoredAlarmRule.name)
        for name in ("kind", "enabled"):
            if name in query:
                statement = statement.where(getattr(StoredAlarmRule, name) == query[name])
        return sql_page_answer(query, statement, _present_all, StoredAlarmRule.name)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewAlarmRule, location="json")
    @blueprint.response(201, AlarmRuleSchema, example=EXAMPLE_RULE)
    def add_alarm_rule(body: dict[str, Any]) -> Response:
        """Create a rule of alarms

        It judges what is measured from now on. 409 if the name is already used.
        """
        actor = current_actor()
        rule = StoredAlarmRule(
            name=body["name"],
            kind=body["kind"],
            params=body.get("params", {}),
            type=body.get("type"),
            devices=body.get("devices", []),
            zone_id=body.get("zone_id"),
            points=body.get("points", []),
            for_s=body.get("for_s", 0),
            severity=body.get("severity", AlarmSeverity.WARNING).value,
            enabled=body.get("enabled", True),
            text=body.get("text", ""),
            channels=body.get("channels", []),
            since=now(),
            created_by=None if actor is None else actor.name,
        )
        _check(rule)
        db.session.add(rule)
        _flush(rule.name)
        db.session.commit()
        wake_alarms()
        return answer(_present_all([rule])[0], 201)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(404, 503)
    @blueprint.response(200, AlarmRuleSchema, example=EXAMPLE_RULE)
    def show_alarm_rule(rule_id: int) -> Response:
        """Show a rule of alarms"""
        return with_etag(answer(_present_all([_find(rule_id)])[0]))

    @blueprint.route(ITEM_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(AlarmRuleChange, location="json")
    @blueprint.response(200, AlarmRuleSchema, example=EXAMPLE_RULE)
    def change_alarm_rule(body: dict[str, Any], rule_id: int) -> Response:
        """Change a rule of alarms

        Where what it judges changes, or it is enabled, it judges what is measured from now on; its open alarms go on.
        Disabled, its open alarms are cleared. 409 if the name is already used.
        """
        rule = _find(rule_id)
        anew = any(name in body and getattr(rule, name) != body[name] for name in JUDGING)
        if anew or (body.get("enabled") and not rule.enabled):
            rule.since = now()
        for name, value in body.items():
            setattr(rule, name, value.value if isinstance(value, AlarmSeverity) else value)
        with db.session.no_autoflush:
            _check(rule)
        _flush(rule.name)
        db.session.commit()
        wake_alarms()
        return answer(_present_all([rule])[0])

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_alarm_rule(rule_id: int) -> Response:
        """Delete a rule of alarms

        Its open alarms are cleared within seconds; those that are over stay.
        """
        db.session.delete(_find(rule_id))
        db.session.commit()
        wake_alarms()
        return Response(status=204)

    return blueprint


def _check(row: StoredAlarmRule) -> None:
    """Abort with 422 for a rule that cannot be judged."""
    errors: dict[str, Any] = {}
    kind = alarm_kinds().get(row.kind)
    if kind is None:
        db.session.rollback()
        abort_body({"kind": [f"There is no kind {row.kind!r}. Kinds are {', '.join(alarm_kinds())}."]})
    params, wrong = read_params(kind, row.params)
    if wrong:
        errors["params"] = {name: [text] for name, text in wrong.items()}
    rule = AlarmRule.of(row)
    registry = get_context().registry
    datatype = None if row.type is None else registry.get(row.type)
    if row.type is not None and datatype is None:
        errors["type"] = [f"There is no data type {row.type!r}. Data types are {', '.join(t.name for t in registry)}."]
    if is_about_devices(rule, kind):
        if row.points:
            errors["points"] = [f"A rule about devices of the kind {kind.name} has no points."]
        if kind.needs_type and row.type is None:
            errors["type"] = [f"A rule about devices of the kind {kind.name} names their data type."]
        if datatype is not None and not wrong and (problem := kind.type_problem(params, datatype)) is not None:
            errors["params"] = {kind.params[0].name: [f"{problem[:1].upper()}{problem[1:]}."]}
    elif SubjectKind.DEVICE not in kind.subjects and (row.devices or row.type is not None):
        errors["devices"] = [f"A rule of the kind {kind.name} is about points."]
    if row.zone_id is not None and db.session.get(ServiceZone, row.zone_id) is None:
        errors["zone_id"] = [f"There is no service zone {row.zone_id}."]
    if row.points:
        there = set(db.session.scalars(select(MeterPoint.id).where(MeterPoint.id.in_(row.points))))
        if gone := [str(number) for number in row.points if number not in there]:
            errors["points"] = [f"There is no meter point {', '.join(gone)}."]
    if errors:
        db.session.rollback()
        abort_body(errors)


def _present_all(rules: list[StoredAlarmRule]) -> list[dict[str, Any]]:
    """Rules as the API shows them."""
    known = read_statuses(database()[ALARM_PROGRESS], [rule.id for rule in rules])
    rows = []
    for rule in rules:
        status = known.get(rule.id) if rule.enabled else None
        shown = {name: getattr(rule, name) for name in EXAMPLE_RULE if name != "status"}
        shown["status"] = None if status is None else {name: status[name] for name in EXAMPLE_RULE["status"]}
        rows.append(shown)
    return rows


def _find(rule_id: int) -> StoredAlarmRule:
    rule = db.session.get(StoredAlarmRule, rule_id)
    if rule is None:
        abort(404, f"There is no rule {rule_id}.")
    return rule


def _flush(name: str) -> None:
    """Aborts with 409 if the name is already used."""
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        abort(409, f"There is already a rule {name!r}.")
