"""A process that ends between a change in MongoDB and its entry of the audit: the worker writes the entry, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from greenpower.api.http import audited_change
from greenpower.jobs.missing_entries import write_missing_entries
from greenpower.mongo.unaudited import unaudited_entries
from greenpower.sql import AuditObject
from greenpower.sql.extensions import Base
from greenpower.sql.session import sql_session
from greenpower.sql.time import now
from greenpower.stack import Mongod
from tests.api.system.test_audit import CHANGING, Document, Site, serving_site
from tests.killed import Killed, end_process

IN_SQL = {mapper.class_.audited.object_type for mapper in Base.registry.mappers if hasattr(mapper.class_, "audited")}
# An import has its entry when it ends: what it changes is not one document.
IN_MONGO = {*AuditObject} - IN_SQL - {AuditObject.IMPORT}
ROUTES = [route for route, (kind, _) in CHANGING.items() if kind in IN_MONGO]
# What a process has done last: the change, or the entry, too.
MOMENTS = {"the change": "note_change", "the entry": "take_out"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    with serving_site(tmp_path_factory.mktemp("killed"), mongod, "test_audit_killed") as site:
        yield site


def change(site: Site, route: str, request_id: str) -> None:
    path, body = CHANGING[route][1](site)
    answer = site.ask(route.partition(" ")[0], path, body, **{"X-Request-ID": request_id})
    assert answer.status_code in (200, 201, 204), answer.text


def entries(site: Site, request_id: str) -> list[Document]:
    return [entry for entry in site.entries() if entry["request_id"] == request_id]


def shape(entry: Document) -> tuple[Any, ...]:
    """What two changes by the same route have in common."""
    sides = [None if entry[side] is None else {*entry[side]} for side in ("before", "after")]
    return *(entry[name] for name in ("actor", "actor_kind", "address", "action", "object_type")), *sides


def write_missing(site: Site) -> int:
    with sql_session(site.settings) as session:
        return write_missing_entries(session, site.database, now())


def test_each_kind_that_is_in_mongodb_is_changed_by_a_route() -> None:
    assert {CHANGING[route][0] for route in ROUTES} == IN_MONGO


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_change_whose_process_ended_has_one_entry(
    site: Site, route: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, request_id = site.name("request-"), site.name("request-")
    change(site, route, usual)
    [wanted] = entries(site, usual)
    assert not list(unaudited_entries(site.database))

    prepared = CHANGING[route][1](site)  # with changes of its own, which end well
    monkeypatch.setitem(CHANGING, route, (CHANGING[route][0], lambda _: prepared))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(audited_change, MOMENTS[moment], end_process)
        change(site, route, request_id)
    assert len(entries(site, request_id)) == (moment == "the entry")
    assert write_missing(site) == 1
    assert write_missing(site) == 0
    [entry] = entries(site, request_id)
    assert shape(entry) == shape(wanted)
    assert len(entry["object_id"]) == len(wanted["object_id"]) and entry["object_name"]
    assert not list(unaudited_entries(site.database))
