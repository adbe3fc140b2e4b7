"""`/api/ready/` and `/api/health/`: whether this API can serve, whether the system does its work. No token."""

from __future__ import annotations

import marshmallow as ma
from flask import Response
from sqlalchemy import Engine

from greenpower.api.blueprint import Blueprint, describe
from greenpower.api.check import Check, Finding, check_ingest, check_mongo, check_redis, check_sql, run_checks
from greenpower.api.context import Context
from greenpower.api.error import problem
from greenpower.api.json import answer

OK, DEGRADED = "ok", "degraded"
# Without these nothing is measured or shown. Without Redis readings still come in and go out.
VITAL = frozenset({"mongo", "sql", "ingest"})


class PartSchema(ma.Schema):
    """How one part is."""

    status = ma.fields.String(required=True, validate=ma.validate.OneOf(("ok", "down")), metadata=describe("its state"))
    detail = ma.fields.String(required=True, metadata=describe("what is wrong with it"))
    milliseconds = ma.fields.Float(required=True, metadata=describe("how long it took to answer"))


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
    health_checks = [*ready_checks, check_ingest(context.settings)]
    if context.settings.redis_address:
        health_checks.append(check_redis(context.settings.redis_address))

    @blueprint.route("/ready/")
    @blueprint.errors(503)
    @blueprint.response(200, HealthSchema)
    def ready() -> Response:
        """Whether this process can answer

        Cheap; for load balancers. 503 while a database that every answer needs is away.
        """
        return _report(ready_checks)

    @blueprint.route("/health/")
    @blueprint.errors(503)
    @blueprint.response(200, HealthSchema)
    def health() -> Response:
        """Whether the system does its work

        For monitoring. 503 while readings are not taken in or cannot be shown; `degraded` while something less is down.
        """
        return _report(health_checks)

    return blueprint


def _report(checks: list[Check]) -> Response:
    found = run_checks(checks)
    parts = {name: _part(finding) for name, finding in found.items()}
    down = {name: finding.detail for name, finding in found.items() if not finding.ok}
    if lost := VITAL & down.keys():
        response = problem(503, f"Down: {', '.join(sorted(lost))}.", down, parts=parts)
    else:
        response = answer({"status": DEGRADED if down else OK, "parts": parts})
    response.headers["Cache-Control"] = "no-store"
    return response


def _part(finding: Finding) -> dict[str, object]:
    return {"status": "ok" if finding.ok else "down", "detail": finding.detail, "milliseconds": finding.milliseconds}
