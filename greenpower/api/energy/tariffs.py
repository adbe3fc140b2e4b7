"""`/api/energy/tariffs/`: what energy costs. A version never changes: what was billed with it can be computed again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.api.energy.tariffs_schema import (
    EXAMPLE_CONTENT,
    EXAMPLE_TARIFF,
    NewTariff,
    NewTariffVersion,
    TariffChange,
    TariffListQuery,
    TariffPage,
    TariffSchema,
)
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.cache import with_etag
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.json import answer
from greenpower.api.http.paging import example_page, sql_page_answer
from greenpower.energy.tariff import TariffError
from greenpower.energy.tariff_content import read_version, write_version
from greenpower.sql import MeterPoint, RoleName, StoredTariffVersion, Tariff
from greenpower.sql.actor import current_actor
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from greenpower.sql.user import LARGEST_ID

ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):tariff_id>/"
VERSION_PATH = f"{ITEM_PATH}versions/"
ONE_VERSION_PATH = f"{VERSION_PATH}<int(min=1, max={LARGEST_ID}):version_id>/"
VERSION_DESCRIPTION = """From its day on it says what the tariff says, until the next version begins. One for a day that
has a version already takes its place: bills that are computed again change then, those of closed months do not."""


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("tariffs", __name__, url_prefix="/api/energy/tariffs", description="Tariffs")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(TariffListQuery)
    @blueprint.response(200, TariffPage, example=example_page(EXAMPLE_TARIFF))
    def list_tariffs(query: dict[str, Any]) -> Response:
        """List tariffs

        Ordered by name, each with all its versions.
        """
        statement = select(Tariff).order_by(Tariff.name)
        if "carrier" in query:
            statement = statement.where(Tariff.carrier == query["carrier"].value)
        return sql_page_answer(query, statement, _present_all, Tariff.name)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewTariff, location="json")
    @blueprint.response(201, TariffSchema, example=EXAMPLE_TARIFF)
    def add_tariff(body: dict[str, Any]) -> Response:
        """Create a tariff with its first version

        409 if the name is already used.
        """
        tariff = Tariff(
            name=body["name"],
            carrier=body["carrier"].value,
            currency=body["currency"],
            timezone=body.get("timezone") or get_context().settings.device_timezone,
            is_default=False,
        )
        version = _version(tariff, body)
        db.session.add(tariff)
        _flush(tariff.name)
        version.tariff_id = tariff.id
        db.session.add(version)
        if body["is_default"]:
            _make_default(tariff)
        db.session.commit()
        return answer(_present(tariff), 201)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, TariffSchema, example=EXAMPLE_TARIFF)
    def show_tariff(tariff_id: int) -> Response:
        """Show a tariff with all its versions"""
        return with_etag(answer(_present(_find(tariff_id))))

    @blueprint.route(ITEM_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(TariffChange, location="json")
    @blueprint.response(200, TariffSchema, example=EXAMPLE_TARIFF)
    def change_tariff(body: dict[str, Any], tariff_id: int) -> Response:
        """Rename a tariff, or make it the default of its carrier

        Prices are changed by a new version. 409 if the name is already used.
        """
        tariff = _find(tariff_id)
        tariff.name = body.get("name", tariff.name)
        _flush(tariff.name)
        if body.get("is_default"):
            _make_default(tariff)
        elif "is_default" in body:
            tariff.is_default = False
        db.session.commit()
        return answer(_present(tariff))

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 409, 503)
    @blueprint.response(204)
    def delete_tariff(tariff_id: int) -> Response:
        """Delete a tariff

        409 while a meter point has it.
        """
        tariff = _find(tariff_id)
        names = db.session.scalars(select(MeterPoint.name).where(MeterPoint.tariff_id == tariff_id).limit(3)).all()
        if names:
            abort(409, f"Meter points have it: {', '.join(names)}.")
        db.session.delete(tariff)
        db.session.commit()
        return Response(status=204)

    @blueprint.route(VERSION_PATH, methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.doc(summary="Add a version to a tariff", description=VERSION_DESCRIPTION)
    @blueprint.errors(400, 404, 413, 415, 422, 503)
    @blueprint.arguments(NewTariffVersion, location="json")
    @blueprint.response(201, TariffSchema, example=EXAMPLE_TARIFF)
    def add_tariff_version(body: dict[str, Any], tariff_id: int) -> Response:
        tariff = _find(tariff_id)
        version = _version(tariff, body)
        for other in tariff.current_versions:
            if other.valid_from == version.valid_from:
                other.replaced_at = now()
        version.tariff_id = tariff.id
        db.session.add(version)
        db.session.commit()
        db.session.refresh(tariff)
        return answer(_present(tariff), 201)

    @blueprint.route(ONE_VERSION_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 409, 503)
    @blueprint.response(200, TariffSchema, example=EXAMPLE_TARIFF)
    def withdraw_tariff_version(tariff_id: int, version_id: int) -> Response:
        """Withdraw a version of a tariff

        The version before it stays valid. It is kept, with the time. 409 for the last one in force.
        """
        tariff = _find(tariff_id)
        version = next((item for item in tariff.current_versions if item.id == version_id), None)
        if version is None:
            abort(404, f"Tariff {tariff_id} has no version {version_id} in force.")
        if len(tariff.current_versions) == 1:
            abort(409, "A tariff needs a version. Delete the tariff instead.")
        version.replaced_at = now()
        db.session.commit()
        return answer(_present(tariff))

    return blueprint


def _version(tariff: Tariff, body: Mapping[str, Any]) -> StoredTariffVersion:
    """A version from a body. Aborts with 422 for one that cannot be used."""
    content = {
        "rates": [{**rate, "direction": rate["direction"].value} for rate in body["rates"]],
        "standing": [{**charge, "per": charge["per"].value} for charge in body["standing"]],
        "demand": body["demand"],
        "holidays": [day.isoformat() for day in body["holidays"]],
    }
    valid_from: date = body["valid_from"]
    try:
        version = read_version(
            content, number=0, valid_from=valid_from, currency=tariff.currency, timezone=tariff.timezone
        )
    except TariffError as error:
        abort_body({"rates": [f"{error}."]})
    actor = current_actor()
    return StoredTariffVersion(
        valid_from=valid_from, content=write_version(version), created_by=None if actor is None else actor.name
    )


def _make_default(tariff: Tariff) -> None:
    for other in db.session.scalars(select(Tariff).where(Tariff.carrier == tariff.carrier, Tariff.is_default)):
        other.is_default = False
    tariff.is_default = True


def _present_all(tariffs: list[Tariff]) -> list[dict[str, Any]]:
    return [_present(tariff) for tariff in tariffs]


def _present(tariff: Tariff) -> dict[str, Any]:
    """A tariff as the API shows it."""
    return {
        **{name: getattr(tariff, name) for name in EXAMPLE_TARIFF if name != "versions"},
        "versions": [
            {
                "id": version.id,
                "valid_from": version.valid_from.isoformat(),
                **{name: version.content[name] for name in EXAMPLE_CONTENT},
                "created_at": version.created_at,
                "created_by": version.created_by,
                "replaced_at": version.replaced_at,
            }
            for version in sorted(tariff.versions, key=lambda item: (item.valid_from, item.id))
        ],
    }


def _find(tariff_id: int) -> Tariff:
    tariff = db.session.get(Tariff, tariff_id)
    if tariff is None:
        abort(404, f"There is no tariff {tariff_id}.")
    return tariff


def _flush(name: str) -> None:
    """Aborts with 409 if the name is already used."""
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        abort(409, f"There is already a tariff {name!r}.")
