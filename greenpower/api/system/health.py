"""`/api/ready/` and `/api/health/`: whether this API can serve, and whether the whole system works. No token.

What belongs here: which checks belong to which question, and what their results mean. What does not: how a part is
asked (`greenpower.api.system.health_check`), the checks (`data_checks`, `process_checks`).
"""

from __future__ import annotations

import marshmallow as ma
from flask import Response
from sqlalchemy import Engine

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import Context
from greenpower.api.http.errors import ErrorSchema, problem
from greenpower.api.http.json import answer
from greenpower.api.system.data_checks import (
    check_disk,
    check_mongo,
    check_plugins,
    check_redis,
    check_rollups,
    check_sql,
)
from greenpower.api.system.health_check import Check, Finding, run_checks
from greenpower.api.system.process_checks import check_ingest, check_port, check_scheduler, check_source, check_worker
from greenpower.config import Settings

OK, DEGRADED = "ok", "degraded"
# Without these nothing is stored or served. Without Redis, readings are still stored and served.
VITAL = frozenset({"mongo", "sql", "ingest"})
SOURCES = ("mqtt", "tcp")


class PartSchema(ma.Schema):
    """The state of one part."""

    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(("ok", "down")), metadata=describe("whether it works")
    )
    detail = ma.fields.String(required=True, metadata=describe("what is wrong; empty if nothing is"))
    milliseconds = ma.fields.Float(required=True, metadata=describe("how long it took to answer"))


class UnhealthySchema(ErrorSchema):
    """An error with the state of each part."""

    parts = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(),
        values=ma.fields.Nested(PartSchema),
        metadata=describe("each part, by name"),
    )


class HealthSchema(ma.Schema):
    """The state of the system."""

    status = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf((OK, DEGRADED)),
        metadata=describe("degraded: a part is down that is not vital"),
    )
    parts = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(),
        values=ma.fields.Nested(PartSchema),
        metadata=describe("each part, by name"),
    )


def make_blueprint(context: Context, engine: Engine, revision: str | None) -> Blueprint:
    """The resource. engine: of the user database; revision: the one it should have."""
    blueprint = Blueprint("health", __name__, url_prefix="/api", description="Health checks")
    ready_checks = [check_mongo(context.mongo), check_sql(engine, revision)]
    health_checks = [*ready_checks, *_health_checks(context)]
    sources = {name: _source_checks(context.settings, name) for name in SOURCES}

    @blueprint.route("/ready/")
    @blueprint.alternative(503, UnhealthySchema)
    @blueprint.response(200, HealthSchema)
    def ready() -> Response:
        """Check whether this process can serve requests

        Cheap; for load balancers. 503 while a database that every request needs does not answer.
        """
        return _report(ready_checks)

    @blueprint.route("/health/")
    @blueprint.alternative(503, UnhealthySchema)
    @blueprint.response(200, HealthSchema)
    def health() -> Response:
        """Check whether the whole system works

        For monitoring. 503 while readings cannot be stored or served; `degraded` while another part is down.
        """
        return _report(health_checks)

    @blueprint.route("/health/mqtt/")
    @blueprint.alternative(503, UnhealthySchema)
    @blueprint.response(200, HealthSchema)
    def health_mqtt() -> Response:
        """Check whether frames can arrive over MQTT

        503 if the broker accepts no connections or ingest is not connected to it.
        """
        return _report(sources["mqtt"], vital=None)

    @blueprint.route("/health/tcp/")
    @blueprint.alternative(503, UnhealthySchema)
    @blueprint.response(200, HealthSchema)
    def health_tcp() -> Response:
        """Check whether gateways can connect over TCP

        503 if ingest does not listen for them.
        """
        return _report(sources["tcp"], vital=None)

    return blueprint


def _health_checks(context: Context) -> list[Check]:
    settings = context.settings
    checks = [check_ingest(settings), check_rollups(context.mongo, context.registry)]
    if context.registry.stopped:
        checks.append(check_plugins(context.registry))
    checks.append(check_disk(context.mongo, settings.greenpower_home))
    if settings.mqtt_broker:
        checks.append(check_port("broker", settings.mqtt_broker, settings.mqtt_port))
    if url := settings.redis_address:
        checks += [check_redis(url), check_worker(url), check_scheduler(url)]
    return checks


def _source_checks(settings: Settings, name: str) -> list[Check]:
    if name == "tcp":
        return [check_source(settings, name)]
    port = [check_port("broker", settings.mqtt_broker, settings.mqtt_port)] if settings.mqtt_broker else []
    return [*port, check_source(settings, name)]


def _report(checks: list[Check], vital: frozenset[str] | None = VITAL) -> Response:
    """The answer. vital: the parts without which it is 503, None for all."""
    found = run_checks(checks)
    parts = {name: _part(finding) for name, finding in found.items()}
    down = {name: finding.detail for name, finding in found.items() if not finding.ok}
    if lost := down.keys() if vital is None else vital & down.keys():
        response = problem(503, f"Down: {', '.join(sorted(lost))}.", down, parts=parts)
    else:
        response = answer({"status": DEGRADED if down else OK, "parts": parts})
    response.headers["Cache-Control"] = "no-store"
    return response


def _part(finding: Finding) -> dict[str, object]:
    return {"status": "ok" if finding.ok else "down", "detail": finding.detail, "milliseconds": finding.milliseconds}
