"""`/api/ready/` and `/api/health/`: whether this API can serve, whether the system does its work. No token.

What belongs here: which parts are asked for which question, and what their answers mean. How a part is asked is in
`greenpower.api.system.health_check` and `greenpower.api.system.service_checks`.
"""

from __future__ import annotations

import marshmallow as ma
from flask import Response
from sqlalchemy import Engine

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import Context
from greenpower.api.http.errors import ErrorSchema, problem
from greenpower.api.http.json import answer
from greenpower.api.system.health_check import Check, Finding, check_mongo, check_redis, check_sql, run_checks
from greenpower.api.system.service_checks import (
    check_disk,
    check_ingest,
    check_port,
    check_rollups,
    check_scheduler,
    check_source,
    check_worker,
)
from greenpower.config import Settings

OK, DEGRADED = "ok", "degraded"
# Without these nothing is measured or shown. Without Redis readings still come in and go out.
VITAL = frozenset({"mongo", "sql", "ingest"})
SOURCES = ("mqtt", "tcp")


class PartSchema(ma.Schema):
    """How one part is."""

    status = ma.fields.String(required=True, validate=ma.validate.OneOf(("ok", "down")), metadata=describe("its state"))
    detail = ma.fields.String(required=True, metadata=describe("what is wrong with it"))
    milliseconds = ma.fields.Float(required=True, metadata=describe("how long it took to answer"))


class UnhealthySchema(ErrorSchema):
    """An error that says how each part is."""

    parts = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(),
        values=ma.fields.Nested(PartSchema),
        metadata=describe("each part by name"),
    )


class HealthSchema(ma.Schema):
    """How the system is."""

    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf((OK, DEGRADED)), metadata=describe("degraded: a part is down")
    )
    parts = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(),
        values=ma.fields.Nested(PartSchema),
        metadata=describe("each part by name"),
    )


def make_blueprint(context: Context, engine: Engine, revision: str | None) -> Blueprint:
    """The resource. engine: of the user database; revision: the one that it should have."""
    blueprint = Blueprint("health", __name__, url_prefix="/api", description="Whether all is well")
    ready_checks = [check_mongo(context.mongo), check_sql(engine, revision)]
    health_checks = [*ready_checks, *_health_checks(context)]
    sources = {name: _source_checks(context.settings, name) for name in SOURCES}

    @blueprint.route("/ready/")
    @blueprint.alternative(503, UnhealthySchema)
    @blueprint.response(200, HealthSchema)
    def ready() -> Response:
        """Whether this process can answer

        Cheap; for load balancers. 503 while a database that every answer needs is away.
        """
        return _report(ready_checks)

    @blueprint.route("/health/")
    @blueprint.alternative(503, UnhealthySchema)
    @blueprint.response(200, HealthSchema)
    def health() -> Response:
        """Whether the system does its work

        For monitoring. 503 while readings are not taken in or cannot be shown; `degraded` while something less is down.
        """
        return _report(health_checks)

    @blueprint.route("/health/mqtt/")
    @blueprint.alternative(503, UnhealthySchema)
    @blueprint.response(200, HealthSchema)
    def health_mqtt() -> Response:
        """Whether frames come in over MQTT

        503 where the broker takes no connection or ingest has none.
        """
        return _report(sources["mqtt"], vital=None)

    @blueprint.route("/health/tcp/")
    @blueprint.alternative(503, UnhealthySchema)
    @blueprint.response(200, HealthSchema)
    def health_tcp() -> Response:
        """Whether gateways can connect over TCP

        503 where ingest does not listen for them.
        """
        return _report(sources["tcp"], vital=None)

    return blueprint


def _health_checks(context: Context) -> list[Check]:
    settings = context.settings
    checks = [check_ingest(settings), check_rollups(context.mongo, context.registry)]
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
    """The answer. vital: the parts that it depends on, None for all."""
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
