"""Who is restricted to a service zone gets nothing of another one, whatever they ask: every operation of the schema.

All that is outside the zone has a marker: names and ids on the wire a word, numbers of rows a digit sequence, ids of
documents a beginning. No answer has one of them, but where the caller gave it; and what is outside is answered as
something is that does not exist. An operation that no list here knows fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from bson import ObjectId
from werkzeug.test import TestResponse

from greenpower.alarms.subject import AlarmSubject, SubjectKind, device_subject
from greenpower.api.http.context import get_context
from greenpower.api.http.openapi import operations
from greenpower.catalog.facts import counters
from greenpower.mongo.schema.layout import ALARMS, CORRECTIONS, EVENTS, EXCHANGES, INCIDENTS, SEEN, WIRING_FINDINGS
from greenpower.sql import (
    ClosedPeriod,
    Device,
    DeviceCommand,
    DeviceStatusChange,
    DeviceType,
    Divisor,
    EmissionFactor,
    MeterPoint,
    OutboundTarget,
    RoleName,
    ServiceZone,
    Tariff,
    User,
)  # fmt: skip
from greenpower.sql.api_key import new_key
from greenpower.sql.extensions import db
from greenpower.sql.restriction import restrict
from greenpower.sql.setup import make_user
from greenpower.sql.time import now
from greenpower.stack import Mongod
from tests.alarms.one_alarm import raised_alarm
from tests.api.system.test_audit import Site, serving_site
from tests.api.test_roles import KEYS_OF_DEVICES, PUBLIC
from tests.api.world import PASSWORD
from tests.rollups.world import POWER, run_all

Document = dict[str, Any]
HIDDEN, SHOWN, NONE = "hiddenthing", "visiblething", "missingthing"
# Numbers of rows outside the zone begin so, and no other number of an answer does.
NUMBERS, MISSING_NUMBERS = "77142", "77143"
DOCUMENTS, MISSING_DOCUMENTS = "dead77142", "dead77143"
MARKERS = re.compile(rf"{HIDDEN}|{NUMBERS}\d|{DOCUMENTS}")
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)

# Operations that are for the whole site: who is restricted gets 403.
OF_SITE = {
    "GET /api/users/", "POST /api/users/", "GET /api/users/{user_id}/", "PATCH /api/users/{user_id}/",
    "DELETE /api/users/{user_id}/", "GET /api/api-keys/", "POST /api/api-keys/", "GET /api/api-keys/{key_id}/",
    "PATCH /api/api-keys/{key_id}/", "DELETE /api/api-keys/{key_id}/", "GET /api/push-keys/", "POST /api/push-keys/",
    "GET /api/push-keys/{push_key}/", "DELETE /api/push-keys/{push_key}/", "POST /api/devices/",
    "DELETE /api/devices/{id}/", "POST /api/devices/confirm/", "DELETE /api/devices/unconfirmed/",
    "POST /api/service-zones/", "PATCH /api/service-zones/{zone_id}/", "DELETE /api/service-zones/{zone_id}/",
    "POST /api/energy/points/", "PATCH /api/energy/points/{point_id}/", "DELETE /api/energy/points/{point_id}/",
    "GET /api/energy/points/proposal/", "POST /api/energy/points/proposal/", "POST /api/energy/points/table/",
    "POST /api/energy/tariffs/", "PATCH /api/energy/tariffs/{tariff_id}/", "DELETE /api/energy/tariffs/{tariff_id}/",
    "POST /api/energy/tariffs/{tariff_id}/versions/", "DELETE /api/energy/tariffs/{tariff_id}/versions/{version_id}/",
    "POST /api/energy/emission-factors/", "DELETE /api/energy/emission-factors/{factor_id}/",
    "POST /api/energy/divisors/", "PATCH /api/energy/divisors/{divisor_id}/",
    "DELETE /api/energy/divisors/{divisor_id}/",
    "POST /api/energy/periods/", "POST /api/energy/periods/{period_id}/reopen/", "POST /api/telemetry/import/",
    "GET /api/telemetry/import/{upload_id}/",
    "GET /api/notifications/channels/", "POST /api/notifications/channels/", "GET /api/notifications/log/",
    "GET /api/notifications/channels/{channel_id}/", "PATCH /api/notifications/channels/{channel_id}/",
    "DELETE /api/notifications/channels/{channel_id}/", "POST /api/notifications/channels/{channel_id}/test/",
    "GET /api/alarms/rules/", "POST /api/alarms/rules/", "GET /api/alarms/rules/{rule_id}/",
    "PATCH /api/alarms/rules/{rule_id}/", "DELETE /api/alarms/rules/{rule_id}/", "GET /api/alarms/silences/",
    "POST /api/alarms/silences/", "GET /api/alarms/silences/{silence_id}/", "PATCH /api/alarms/silences/{silence_id}/",
    "DELETE /api/alarms/silences/{silence_id}/",
    "GET /api/energy/report-schedules/", "POST /api/energy/report-schedules/",
    "GET /api/energy/report-schedules/{schedule_id}/", "PATCH /api/energy/report-schedules/{schedule_id}/",
    "DELETE /api/energy/report-schedules/{schedule_id}/",
    "GET /api/rollups/", "GET /api/audit/", "GET /api/audit/export/",
}  # fmt: skip
# Operations that are the same for all: they name no zone, and nothing in one.
SAME_FOR_ALL = {
    "GET /api/users/me/", "POST /api/users/me/password/", "GET /api/roles/", "GET /api/data-types/",
    "GET /api/energy/tariffs/", "GET /api/energy/tariffs/{tariff_id}/", "GET /api/energy/emission-factors/",
    "GET /api/alarms/kinds/",
}  # fmt: skip
# What a path asks for, by the name of its parameter: of outside, and what there is not.
PATHS: dict[str, tuple[str, ...]] = {
    "id": (f"device_id:{HIDDEN}1", f"device_id:{HIDDEN}free", f"{NUMBERS}1", f"{NUMBERS}2"),
    "zone_id": (f"{NUMBERS}1", f"{NUMBERS}2"),
    "point_id": (f"{NUMBERS}1", f"{NUMBERS}2"),
    "period_id": (f"{NUMBERS}1", f"{NUMBERS}2"),
    "target_id": (f"{NUMBERS}1", f"{NUMBERS}2"),
    "divisor_id": (f"{NUMBERS}1", f"{NUMBERS}2"),
    "command_id": (f"{NUMBERS}1",),
    "tariff_id": (f"{NUMBERS}1",),
    **dict.fromkeys(("incident", "correction", "exchange", "alarm_id", "finding"), (DOCUMENTS + "0" * 14 + "1",)),
}
QUERIES: dict[str, str] = {
    "device_id": f"{HIDDEN}1", "zone_id": f"{NUMBERS}1", "point_id": f"{NUMBERS}1", "id": DOCUMENTS + "0" * 14 + "1",
    "new_device_id": f"{HIDDEN}1", "per": f"{NUMBERS}1",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Somebody who asks. headers: who they say they are. writes: whether other methods than GET can be used."""

    name: str
    headers: dict[str, str]
    writes: bool = True


class World(Site):
    """A site with a zone that is seen, and others around and beside it that are not."""

    guests: dict[str, Guest]
    schema: Document

    def fill(self) -> None:
        with self.app.app_context():
            registry = get_context().registry
            self.types = {datatype.name: datatype for datatype in registry}
            self._rows()
        for place, (device, number) in enumerate(
            ((f"{HIDDEN}1", "1"), (f"{HIDDEN}free", "2"), (f"{SHOWN}1", ""), (f"{SHOWN}2", ""))
        ):
            self._documents(device, number, place)
        exchange = {
            "_id": self._number("3"), "device_id": f"{SHOWN}1", "new_device_id": f"{HIDDEN}1", "at": AT,
            "readings": {}, "took": {}, "made_by": "x", "made_at": AT, "reason": HIDDEN, "revoked_at": None,
            "applied": True,
        }  # fmt: skip
        self.database[EXCHANGES].insert_one(exchange)
        with self.app.app_context():
            run_all(self.database, [POWER], get_context().settings)
        self.guests = self._guests()
        self.schema = self.client.get("/api/schema/").get_json()

    def _rows(self) -> None:
        hidden = [int(f"{NUMBERS}{place}") for place in range(1, 6)]
        outer = ServiceZone(id=hidden[0], name=f"{HIDDEN} around")
        beside = ServiceZone(id=hidden[1], name=f"{HIDDEN} beside", description=HIDDEN)
        db.session.add_all([outer, beside])
        db.session.flush()
        zone = ServiceZone(id=1, name=f"{SHOWN} zone", parent_id=outer.id)
        inner = ServiceZone(id=2, name=f"{SHOWN} inner", parent_id=1)
        db.session.add_all([zone, inner])
        db.session.flush()
        types = ("power", "rt")
        for number, name, place in (
            (hidden[0], f"{HIDDEN}1", beside.id), (hidden[1], f"{HIDDEN}free", None),
            (hidden[2], f"{HIDDEN}3", outer.id), (1, f"{SHOWN}1", 1), (2, f"{SHOWN}2", 2),
        ):  # fmt: skip
            more = {"replaces": f"{HIDDEN}3", "replaced_by": f"{HIDDEN}1"} if number == 1 else {}
            sent = [DeviceType(type=each) for each in types]
            db.session.add(Device(id=number, device_id=name, name=name, zone_id=place, types=sent, **more))
        db.session.flush()
        tariff = Tariff(name="tariff", carrier="electricity", currency="EUR", timezone="UTC", is_default=True)
        factor = EmissionFactor(carrier="electricity", role="load", valid_from=date(2026, 1, 1), kg_per_unit="0.4")
        db.session.add_all([tariff, factor])
        db.session.flush()
        part = {"type": "power", "field": "c", "sign": 1, "begins_at": None, "ends_at": None}
        for number, point_name, place, above, devices in (
            (hidden[0], f"{HIDDEN} point", beside.id, None, [f"{HIDDEN}1"]),
            (hidden[1], f"{HIDDEN} free point", None, None, [f"{HIDDEN}free"]),
            (1, f"{SHOWN} point", 1, hidden[0], [f"{SHOWN}1"]),
            (2, f"{SHOWN} inner point", 2, 1, [f"{SHOWN}2"]),
            (3, f"{SHOWN} point of a device elsewhere", 1, None, [f"{HIDDEN}1"]),
            (hidden[2], f"{HIDDEN} below", beside.id, 1, [f"{SHOWN}1"]),
        ):
            point = MeterPoint(
                id=number, name=point_name, carrier="electricity", role="load", zone_id=place, parent_id=above,
                parts=[{**part, "device_id": device} for device in devices], tariff_id=tariff.id,
            )  # fmt: skip
            db.session.add(point)
            db.session.flush()
        for number, place in ((hidden[0], beside.id), (hidden[1], None), (1, 1)):
            name = f"{SHOWN} divisor" if place == 1 else f"{HIDDEN} divisor {number}"
            counter = {"counter": {"type": "power", "device_id": f"{HIDDEN}1", "field": "c"}}
            db.session.add(Divisor(id=number, name=name, unit="p", kind="counter", content=counter, zone_id=place))
        figure = {
            "point_id": hidden[0], "name": HIDDEN, "unit": "kWh", "energy": "1", "undecided": False, "corrections": [],
            "parts": [], "kg": None,
        }  # fmt: skip
        for number, place in ((hidden[0], beside.id), (2, None), (1, 1)):
            text = HIDDEN if place == beside.id else ""
            month = {"month": date(2026, 3, 1), "timezone": "UTC", "zone_id": place, "scope": text, "reason": text}
            period = ClosedPeriod(id=number, figures=[figure], **month)
            db.session.add(period)
        for number, target_name, place, devices in (
            (hidden[0], f"{HIDDEN} target", beside.id, []), (hidden[1], f"{HIDDEN} target of the site", None, []),
            (1, f"{SHOWN} target", 1, [f"{HIDDEN}1", f"{SHOWN}1"]),
        ):  # fmt: skip
            target = OutboundTarget(
                id=number, name=target_name, kind="webhook", address=f"https://{HIDDEN}/", secret=HIDDEN,
                content="readings", types=[], devices=devices, fields=[], zone_id=place,
            )  # fmt: skip
            db.session.add(target)
        for number, device_number, name in ((hidden[0], hidden[0], f"{HIDDEN}1"), (1, 1, f"{SHOWN}1")):
            command = DeviceCommand(
                id=number, device_id=device_number, wire_id=name, type="rt", command="set_interval", parameters={},
                requested_by="admin", operation=f"{name}", expires_at=now(),
            )  # fmt: skip
            db.session.add(command)
            db.session.add(DeviceStatusChange(device_id=device_number, status="online", at=AT))
        db.session.commit()

    @staticmethod
    def _number(number: str) -> ObjectId:
        return ObjectId(DOCUMENTS + "0" * 14 + number) if number else ObjectId()

    def _documents(self, device: str, number: str, place: int) -> None:
        for name, datatype in self.types.items():
            fields = {field.name: float(place + 1) for field in datatype.fields[:3]}
            fields |= {**dict.fromkeys(counters(datatype), 100.0 * (place + 1)), "other": 1.0}
            rows = [
                {
                    "device_id": device, "topic": f"t/{device}", "timestamp": AT + timedelta(minutes=minute),
                    "received_at": AT, "updated_at": AT, "complete": True,
                    "payload": {key: value + minute / 60 for key, value in fields.items()},
                }
                for minute in range(0, 60, 10)
            ]  # fmt: skip
            self.database[datatype.collection].insert_many(rows)
            seen = {"first_seen": AT, "last_heard": AT, "last_reading": AT + timedelta(minutes=50)}
            key = f"{name}|{device}"
            self.database[SEEN].insert_one({"_id": key, "type": name, "device_id": device, **seen})
        of_counter = {"type": "power", "device_id": device, "field": "c"}
        event = {
            "_id": self._number(number), "type": "power", "topic": f"t/{device}", "device_id": device,
            "received_at": AT, "outcome": "stored", "raw": device, "timestamp": AT,
        }  # fmt: skip
        nameless = {**event, "_id": ObjectId(), "topic": HIDDEN, "raw": HIDDEN, "outcome": "rejected", "reason": "x"}
        self.database[EVENTS].insert_many(
            [event, {key: value for key, value in nameless.items() if key != "device_id"}]
        )
        incident = {
            "_id": self._number(number), **of_counter, "type": "rt", "at": AT, "swap": False,
            "incident": "suspect_step", "status": "open", "current": True, "value": 9.0, "before": 1.0,
            "reason": device, "updated_at": AT,
        }  # fmt: skip
        self.database[INCIDENTS].insert_one(incident)
        finding = {
            "_id": self._number(number), "device_id": device, "circuit": "", "check": "frequency", "name": "frequency",
            "phases": [], "certainty": "sure", "saw": device, "figures": {}, "faulty": 1, "samples": 1, "follows": "",
            "first_seen": AT, "last_seen": AT, "state": "open", "current": True,
        }  # fmt: skip
        self.database[WIRING_FINDINGS].insert_one(finding)
        correction = {
            "_id": self._number(number), **of_counter, "kind": "exclusion", "number": 0, "begin": AT,
            "end": AT + timedelta(minutes=1), "reason": device, "made_by": "x", "made_at": AT, "revoked_at": None,
            "updated_at": AT, "other_device": f"{HIDDEN}1",
        }  # fmt: skip
        self.database[CORRECTIONS].insert_one(correction)
        exchange = {
            "_id": self._number(number), "device_id": device, "new_device_id": None, "at": AT + timedelta(minutes=1),
            "readings": {"power": {"c": {"last": 1.0, "first": 1.0}}}, "took": {}, "made_by": "x", "made_at": AT,
            "reason": device, "revoked_at": None, "applied": True,
        }  # fmt: skip
        self.database[EXCHANGES].insert_one(exchange)
        subjects = [device_subject("rt", device)]
        if number == "1":  # points and a zone that are not seen
            hidden = int(f"{NUMBERS}1")
            subjects += [
                AlarmSubject(kind, number=hidden, name=HIDDEN) for kind in (SubjectKind.POINT, SubjectKind.ZONE)
            ]
        for order, subject in enumerate(subjects):
            alarm = raised_alarm(subject, AT)
            alarm["_id"] = self._number(number if order == 0 else f"{order + 6}" if number else "")
            self.database[ALARMS].insert_one(alarm)

    def _guests(self) -> dict[str, Guest]:
        found = {}
        with self.app.app_context():
            for name, role in (("viewer", RoleName.VIEWER), ("operator", RoleName.OPERATOR)):
                # An administrator of the whole site, who is none while restricted.
                assert make_user(name, PASSWORD, RoleName.ADMIN)
                user = db.session.query(User).filter_by(username=name).one()
                restrict(user, {1: role})
            scopes = sorted(
                f"{area}:{how}"
                for area in ("telemetry", "devices", "service-zones", "energy", "alarms", "outbound")
                for how in ("read", "write")
            )
            key, text = new_key("key", scopes, now() + timedelta(days=1), None)
            db.session.add(key)
            db.session.flush()
            restrict(key, {1: RoleName.OPERATOR})
            db.session.commit()
        for name in ("viewer", "operator"):
            access = self.log_in(name, PASSWORD).get_json()["access"]
            found[name] = Guest(name=name, headers={"Authorization": f"Bearer {access}"})
        token = self.client.post("/api/api-keys/token/", json={"key": text}).get_json()["access"]
        found["key"] = Guest(name="key", headers={"Authorization": f"Bearer {token}"})
        found["key-itself"] = Guest(name="key-itself", headers={"X-API-Key": text}, writes=False)
        return found

    def admin(self) -> Guest:
        return Guest(name="admin", headers={"Authorization": f"Bearer {self.tokens['access']}"})

    def put(
        self, guest: Guest, method: str, path: str, query: Document | None = None, body: Any = None
    ) -> TestResponse:
        return self.client.open(path, method=method, query_string=query, json=body, headers=guest.headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[World]:
    with serving_site(tmp_path_factory.mktemp("zones"), mongod, "test_zones", World) as site:
        assert isinstance(site, World)
        site.fill()
        yield site


GUESTS = ("viewer", "operator", "key", "key-itself")


def text_of(response: TestResponse) -> str:
    """All that an answer tells, headers included."""
    if response.mimetype == "application/vnd.apache.parquet" and response.status_code == 200:
        return str(pyarrow.parquet.read_table(BytesIO(response.data)).to_pylist())
    return f"{response.headers}\n{response.text}"


def name_of(method: str, path: str) -> str:
    return f"{method.upper()} {path}"


def shown_operations(world: World) -> list[tuple[str, str, Document]]:
    return [item for item in operations(world.schema) if item[2].get("x-in-zones")]


def query_of(operation: Document) -> dict[str, Document]:
    """The parameters of a query, by name."""
    return {item["name"]: item for item in operation.get("parameters", ()) if item["in"] == "query"}


def path_of(path: str) -> list[str]:
    """The names of the parameters of a path."""
    return re.findall(r"\{(\w+)\}", path)


def fill_path(path: str, choose: Callable[[str], str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: choose(found[1]), path)


def test_every_operation_is_known_here(world: World) -> None:
    guarded = {name_of(method, path): item for path, method, item in operations(world.schema) if "x-role" in item}
    closed = {name for name, item in guarded.items() if not item["x-in-zones"]}
    assert closed == OF_SITE
    unguarded = {path for path, _, item in operations(world.schema) if "x-role" not in item}
    assert unguarded == PUBLIC | KEYS_OF_DEVICES
    for path, _, _ in shown_operations(world):
        for parameter in path_of(path):
            assert parameter in PATHS, path


@pytest.mark.parametrize("guest", GUESTS)
def test_what_is_for_the_whole_site_is_refused(world: World, guest: str) -> None:
    who = world.guests[guest]
    for path, method, operation in operations(world.schema):
        if operation.get("x-in-zones") is False and (method == "get" or who.writes):
            place = fill_path(path, lambda name: "1" if name != "push_key" else "0" * 24)
            response = world.put(who, method.upper(), place, body={} if "requestBody" in operation else None)
            assert response.status_code == 403, (method, path, response.text)
            assert not MARKERS.search(text_of(response)), path


def variants(path: str, operation: Document) -> Iterator[Document]:
    """Queries for all that there is, in several forms."""
    names = query_of(operation)
    base: Document = {}
    if "at" in names:
        base["at"] = AT.isoformat()
    if "start_time" in names:
        base |= {"start_time": (AT - timedelta(days=1)).isoformat()}
    if path.endswith(("/demand/", "/profile/", "/consumption/", "/flat/")) and "bucket" in names:
        base["bucket"] = "day"
    yield base
    for name, values in (
        ("format", ("csv", "ndjson", "parquet")), ("resolution", ("1m", "10m")), ("compare", ("previous",)),
        ("count", ("exact", "estimated")), ("order", ("newest", "oldest")), ("cursor", ("",)), ("stats", ("true",)),
        ("confirmed", ("all",)), ("zone_id", ("1",)), ("corrections", ("true",)),
    ):  # fmt: skip
        if name in names:
            choices = names[name]["schema"].get("enum", values)
            yield from ({**base, name: value} for value in values if value in choices)


# How a path is filled with what is in the zone.
INSIDE = {"id": ("1", f"device_id:{SHOWN}1"), "zone_id": ("1", "2"), "point_id": ("1", "3"), "period_id": ("1", "2")}


def questions(world: World, *, with_keys: bool = False, briefly: bool = False) -> Iterator[tuple[str, str, Document]]:
    """Each GET operation, its path filled with what is in the zone, and a query. with_keys: only what keys may ask.
    briefly: one query of each."""
    for path, method, operation in shown_operations(world):
        if method != "get" or (with_keys and "x-scope" not in operation):
            continue
        names = path_of(path)
        choices = INSIDE.get(names[0], ("1",)) if names else ("",)
        for choice in choices:
            place = fill_path(path, lambda name, choice=choice: choice if name in INSIDE else "1")  # type: ignore[misc]
            if {"incident", "correction", "exchange", "alarm_id", "finding"} & {*names}:
                continue  # of one document: below
            for query in islice(variants(path, operation), 1 if briefly else None):
                yield path, place, query


@pytest.mark.parametrize("guest", GUESTS)
def test_no_answer_has_anything_of_another_zone(world: World, guest: str) -> None:
    who, wrong = world.guests[guest], []
    answered, asked = set(), [*questions(world, with_keys=guest.startswith("key"), briefly=guest != "viewer")]
    for path, place, query in asked:
        response = world.put(who, "GET", place, query)
        with response:
            text = text_of(response)
            if found := MARKERS.search(text):
                wrong.append(f"{place} {query}: {text[max(0, found.start() - 80) : found.end() + 80]}")
            if response.status_code == 200:
                answered.add(path)
            if response.status_code >= 500 or response.status_code in (401, 403):
                wrong.append(f"{place} {query}: {response.status_code} {response.text[:300]}")
    assert not wrong, "\n".join(wrong)
    assert {path for path, _, _ in asked} - answered == set()


def test_an_administrator_gets_it_so_the_questions_reach_it(world: World) -> None:
    silent = {name_of("get", path) for path, _, _ in questions(world)}
    for path, place, query in questions(world):
        response = world.put(world.admin(), "GET", place, query)
        with response:
            assert response.status_code in (200, 422), (place, query, response.text)
            if MARKERS.search(text_of(response)):
                silent.discard(name_of("get", path))
    of_one = {
        # of a device in the zone, which has nothing of others
        "GET /api/devices/{id}/status-history/", "GET /api/devices/{id}/commands/", "GET /api/devices/{id}/incidents/",
        "GET /api/devices/{id}/commands/{command_id}/", "GET /api/devices/{id}/meter-exchange/",
    }  # fmt: skip
    assert silent <= SAME_FOR_ALL | of_one


def missing(text: str) -> str:
    """A name of something outside as a name of nothing."""
    return (
        text.replace(HIDDEN, NONE).replace(DOCUMENTS, MISSING_DOCUMENTS).replace(NUMBERS, MISSING_NUMBERS)
        if DOCUMENTS in text
        else text.replace(HIDDEN, NONE).replace(NUMBERS, MISSING_NUMBERS)
    )


@pytest.mark.parametrize("guest", GUESTS)
def test_what_is_outside_is_as_if_it_did_not_exist(world: World, guest: str) -> None:
    who, wrong, asked = world.guests[guest], [], 0
    for path, method, operation in shown_operations(world):
        if method != "get" and not who.writes:
            continue
        names = query_of(operation)
        need: Document = {"at": AT.isoformat()} if "at" in names else {}
        need |= {"reason": "x"} if "reason" in names and method == "delete" else {}
        cases: list[tuple[str, Document]] = []
        paths = path_of(path)
        for place in range(max((len(PATHS[name]) for name in paths), default=0)):
            filled = fill_path(path, lambda name, place=place: PATHS[name][place % len(PATHS[name])])  # type: ignore[misc]
            cases.append((filled, need))
            if len(paths) > 1:  # a document of outside, of a device in the zone
                last = paths[-1]
                inside = fill_path(path, lambda name, last=last: PATHS[last][0] if name == last else "1")  # type: ignore[misc]
                cases.append((inside, need))
        inside = fill_path(path, lambda name: "1")
        if len(paths) < 2:
            cases += [(inside, {**need, name: QUERIES[name]}) for name in QUERIES.keys() & names.keys()]
        for filled, query in cases:
            body = BODIES.get(name_of(method, path)) if method in ("post", "patch") else None
            ours = world.put(who, method.upper(), filled, query, body)
            theirs = world.put(
                who, method.upper(), missing(filled), {key: missing(value) for key, value in query.items()}, body
            )
            asked += 1
            place_of = f"{method} {filled} {query}"
            if ours.status_code != theirs.status_code or missing(stable(ours)) != stable(theirs):
                wrong.append(
                    f"{place_of}: {ours.status_code} {ours.text[:200]} != {theirs.status_code} {theirs.text[:200]}"
                )
            if "tariff_id" not in paths and paths and filled != inside and ours.status_code != (
                403 if guest == "viewer" and operation["x-role"] == "operator" else 404
            ):  # fmt: skip
                wrong.append(f"{place_of}: {ours.status_code} {ours.text[:200]}")
    assert not wrong, "\n".join(wrong)
    assert asked > 50


def stable(response: TestResponse) -> str:
    """An answer without what another one of the same question may have otherwise."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)?", "TIME", response.text)


CORRECTION = {
    "type": "power", "field": "c", "kind": "exclusion", "begin": AT.isoformat(),
    "end": (AT + timedelta(hours=1)).isoformat(), "reason": "why",
}  # fmt: skip
SWAP = {"type": "power", "at": AT.isoformat(), "readings": {"c": {"last": 9.0, "first": 1.0}}, "reason": "x"}
BODIES: dict[str, Document] = {
    "POST /api/users/me/password/": {"old": "wrong", "new": PASSWORD},
    "PATCH /api/devices/{id}/": {"name": "x"},
    "POST /api/devices/{id}/commands/": {"command": "set_interval", "parameters": {"interval": 60}},
    "PATCH /api/devices/{id}/incidents/{incident}/": {"status": "confirmed", "reason": "seen"},
    "POST /api/devices/findings/{finding}/dismiss/": {"note": "intended"},
    "POST /api/devices/{id}/corrections/": CORRECTION,
    "PATCH /api/outbound/targets/{target_id}/": {"enabled": False},
    "PATCH /api/devices/{id}/corrections/{correction}/": {"end": AT.isoformat(), "reason": "x"},
    "POST /api/devices/{id}/meter-swaps/": SWAP,
    "PATCH /api/devices/{id}/meter-swaps/{incident}/": {"at": AT.isoformat(), "reason": "x"},
    "POST /api/devices/{id}/meter-exchange/": {
        "at": AT.isoformat(), "readings": {"power": {"c": {"last": 9, "first": 1}}}, "reason": "old",
    },
    "PATCH /api/devices/{id}/meter-exchanges/{exchange}/": {"at": AT.isoformat(), "reason": "x"},
    "POST /api/alarms/{alarm_id}/acknowledge/": {"note": "x"},
}  # fmt: skip


def test_modules_that_go_around_it_are_few_and_named() -> None:
    root = Path(__file__).parents[2] / "greenpower"
    texts = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.py")}
    found = {
        word: {path for path, text in texts.items() if re.search(word, text) and path.startswith(folders)}
        for word, folders in (
            (r"\bwhole_database\(\)", ""),
            (r"\bseeing_everything\(\)", ""),
            (r"\.mongo\.database\b", "api/"),
        )
    }
    # Points and divisors are chosen by their zone; what they counted is theirs, whichever devices measured it. So are
    # alarms.
    assert found[r"\bwhole_database\(\)"] == {
        "api/http/context.py", "api/energy/point_query.py", "api/energy/divided.py", "api/alarms/occurrences.py",
        "api/outbound/targets.py",
    }  # fmt: skip
    # Tariffs are inherited from points that are not shown; the copy for the gateway is of everybody.
    assert found[r"\bseeing_everything\(\)"] == {
        "sql/visible_zones.py", "energy/site.py", "api/accounts/restriction.py", "api/energy/point_query.py",
    }  # fmt: skip
    # Metrics and health, which name no device.
    assert found[r"\.mongo\.database\b"] == {
        "api/http/context.py", "api/system/job_metrics.py",
    }  # fmt: skip
