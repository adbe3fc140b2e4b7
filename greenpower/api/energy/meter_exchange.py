"""`/api/devices/<id>/meter-exchange/` and `meter-exchanges/`: a meter that is replaced by another, as one step.

`meter-exchange/` proposes one and takes it; `meter-exchanges/` are those that were entered. What belongs here: the
views. What does not: what they do (`greenpower.api.energy.exchange`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pymongo
from bson import ObjectId
from flask import Response
from webargs.flaskparser import abort

from greenpower.api.devices.device import DEVICE_PATH, DeviceKey, find_device
from greenpower.api.energy.exchange import ExchangeError, move, propose, record, revoke
from greenpower.api.energy.exchange_schema import (
    EXAMPLE_EXCHANGE,
    ExchangeMove,
    ExchangePage,
    ExchangeProposal,
    ExchangeQuery,
    ExchangeSchema,
    NewExchange,
    Revocation,
)
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.context import database
from greenpower.api.http.json import answer
from greenpower.api.http.paging import example_page
from greenpower.api.http.timed_list import TimedPageQuery, timed_page_answer
from greenpower.mongo.client import Document
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.rollups.exchanges import exchanges_of, find_exchange
from greenpower.mongo.schema.layout import EXCHANGES
from greenpower.sql import RoleName
from greenpower.sql.extensions import db

PATH = f"{DEVICE_PATH}meter-exchange/"
LIST_PATH = f"{DEVICE_PATH}meter-exchanges/"
ONE_PATH = f"{LIST_PATH}<string(length=24):exchange>/"
SHOWN_KEYS = ("device_id", "new_device_id", "at", "readings", "reason", "made_by", "made_at", "applied")
REVOKED_KEYS = ("revoked_by", "revoked_at", "revoke_reason")


def add_meter_exchange(blueprint: Blueprint, device_id_of: Callable[[DeviceKey], str]) -> None:
    """Add the resources. device_id_of: gives the id that a registered device sends, or aborts with 404."""

    @blueprint.route(PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(ExchangeQuery, location="query")
    @blueprint.response(200, ExchangeProposal)
    def propose_exchange(query: dict[str, Any], id: DeviceKey) -> Response:
        """Propose a meter exchange

        The registers next to a time, for a form to be filled in, and what an exchange then would add to the energy
        counted now. Nothing is changed.
        """
        with _refusals("query"), pymongo.timeout(QUERY_SECONDS):
            return answer(propose(find_device(id), query["at"], query["new_device_id"]))

    @blueprint.route(PATH, methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewExchange, location="json")
    @blueprint.response(201, ExchangeSchema, example=EXAMPLE_EXCHANGE)
    def add_exchange(body: dict[str, Any], id: DeviceKey) -> Response:
        """Record a meter exchange

        Counts the energy of both meters, of all counters of the device. A register that is not given is the last one
        that the old meter sent, or the first one that the new meter sends: nothing is lost or invented. With
        `new_device_id`, the old device ends, and the new one begins and takes over name, service zone and greatest
        power where it has none. The same request again replaces the first. 409 where another exchange is in its way.
        """
        with _refusals():
            return answer(present_exchange(record(find_device(id), body, _caller())), 201)

    @blueprint.route(LIST_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(TimedPageQuery)
    @blueprint.response(200, ExchangePage, example=example_page(EXAMPLE_EXCHANGE))
    def list_device_exchanges(query: dict[str, Any], id: DeviceKey) -> Response:
        """List meter exchanges of a device

        Those in which it is the old or the new device, newest first; revoked ones stay in the list.
        """
        wanted = exchanges_of(device_id_of(id))
        return timed_page_answer(query, database()[EXCHANGES], wanted, present_exchange, by="at", ranged=False)

    @blueprint.route(ONE_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, ExchangeSchema, example=EXAMPLE_EXCHANGE)
    def show_exchange(id: DeviceKey, exchange: str) -> Response:
        """Show a meter exchange"""
        return answer(present_exchange(_find(device_id_of(id), exchange)))

    @blueprint.route(ONE_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(ExchangeMove, location="json")
    @blueprint.response(200, ExchangeSchema, example=EXAMPLE_EXCHANGE)
    def move_exchange(body: dict[str, Any], id: DeviceKey, exchange: str) -> Response:
        """Move a meter exchange to another time

        Its registers stay. The next rollup run computes the affected energy again.
        """
        found = _find(device_id_of(id), exchange)
        at: datetime = body["at"]
        with _refusals():
            return answer(present_exchange(move(found, at, _caller(), body["reason"])))

    @blueprint.route(ONE_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(404, 409, 422, 503)
    @blueprint.arguments(Revocation, location="query")
    @blueprint.response(200, ExchangeSchema, example=EXAMPLE_EXCHANGE)
    def revoke_exchange(query: dict[str, Any], id: DeviceKey, exchange: str) -> Response:
        """Revoke a meter exchange

        All of it is undone, and the energy is as it was before. It stays in the list. 409 if it was revoked already,
        and if the readings of that time have expired.
        """
        found = _find(device_id_of(id), exchange)
        with _refusals():
            return answer(present_exchange(revoke(found, _caller(), query["reason"])))


def present_exchange(document: Document) -> Document:
    """An exchange as the API shows it."""
    shown = {name: document[name] for name in SHOWN_KEYS} | {name: document.get(name) for name in REVOKED_KEYS}
    return {"id": str(document["_id"]), **shown}


@contextmanager
def _refusals(place: str = "json") -> Iterator[None]:
    """Answer 422 or 409 for an exchange that cannot be. place: where its values were given."""
    try:
        yield
    except ExchangeError as error:
        db.session.rollback()
        if error.errors:
            abort(422, errors={place: dict(error.errors)})
        abort(409, message=str(error))


def _caller() -> str:
    return str(current_caller().username)


def _find(device: str, exchange: str) -> Document:
    """An exchange of a device. Aborts with 404."""
    collection = database()[EXCHANGES]
    found = find_exchange(collection, device, ObjectId(exchange)) if ObjectId.is_valid(exchange) else None
    if found is None:
        abort(404, message=f"There is no exchange {exchange!r} of {device}.")
    return found
