"""Devices, zones and points from a table: whole or not at all, and again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select

from greenpower.app import sql_context
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.energy.onboarding import Onboarded, Onboarding
from greenpower.energy.point_table import TableError, read_table
from greenpower.sql import AuditEntry, Device, DeviceType, MeterPoint, ServiceZone
from greenpower.sql.extensions import db
from tests.api.conftest import KEY
from tests.energy.test_proposal import PLAIN, TAP, TWO_WAY, counter, datatype

GAS = datatype("gas", counter("volume", "m³"))
TYPES = Registry.of(TWO_WAY, PLAIN, GAS, TAP)
TABLE = """device,name,zone,role,point,type,carrier,below
M1,Main,Site,,Grid,,,
M1,,,grid_export,Sold,,,
P1,Hall 1,Halls,load,Hall,plain,,Grid
P2,Hall 2,,,Hall,plain,,
G1,Boiler,Site,load,,gas,gas,
"""


@pytest.fixture(scope="module")
def sql_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    found = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path_factory.mktemp("onboarding"),
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
    )
    init_sql(found)
    return found


@pytest.fixture
def registered(sql_settings: Settings) -> Iterator[None]:
    with sql_context(sql_settings):
        for model in (MeterPoint, Device, ServiceZone):
            db.session.execute(delete(model))
        db.session.add(Device(device_id="M1", types=[DeviceType(type="two")], confirmed_at=None))
        db.session.add(Device(device_id="B", name="B", types=[DeviceType(type="two"), DeviceType(type="plain")]))
        db.session.commit()
        yield


def take(text: str, *, dry: bool = False) -> Onboarded:
    return Onboarding(db.session, TYPES).run(read_table(text), dry=dry)


def site() -> dict[str, tuple[str, str, str | None, str | None, list[str]]]:
    zones = {row.id: row.name for row in db.session.scalars(select(ServiceZone))}
    points = {row.id: row for row in db.session.scalars(select(MeterPoint))}
    return {
        row.name: (
            row.carrier,
            row.role,
            zones.get(row.zone_id or 0),
            points[row.parent_id].name if row.parent_id else None,
            [f"{part['device_id']}.{part['field']}" for part in row.parts],
        )
        for row in points.values()
    }


EXPECTED = {
    "Grid": ("electricity", "grid_import", "Site", None, ["M1.used_1", "M1.used_2"]),
    "Sold": ("electricity", "grid_export", None, None, ["M1.sold"]),
    "Hall": ("electricity", "load", "Halls", "Grid", ["P1.energy", "P2.energy"]),
    "Boiler": ("gas", "load", "Site", None, ["G1.volume"]),
}


def test_a_table_makes_a_site_and_makes_it_once(registered: None) -> None:
    dry = take(TABLE, dry=True)
    assert not site() and not db.session.scalars(select(ServiceZone)).all()
    done = take(TABLE)
    assert done == dry
    assert (done.zones, done.devices_made, done.devices_changed) == (["Site", "Halls"], ["P1", "P2", "G1"], ["M1"])
    assert done.points_made == list(EXPECTED)
    assert site() == EXPECTED
    main = db.session.scalars(select(Device).where(Device.device_id == "M1")).one()
    assert main.name == "Main" and main.confirmed_at is not None and main.zone is not None
    entries = len(db.session.scalars(select(AuditEntry)).all())
    again = take(TABLE)
    assert again == Onboarded(unchanged=4)
    assert site() == EXPECTED
    assert len(db.session.scalars(select(AuditEntry)).all()) == entries, "nothing changed, and nothing is written"


def test_a_second_table_changes_what_it_says_and_takes_nothing_away(registered: None) -> None:
    take(TABLE)
    done = take("device;point;type;role;zone\nP3;Hall;plain;;Site\nM1;Sold;;grid_export;\n")
    assert (done.points_changed, done.points_made, done.unchanged) == (["Hall"], [], 1)
    assert site() == {
        **EXPECTED,
        "Hall": ("electricity", "load", "Site", "Grid", ["P1.energy", "P2.energy", "P3.energy"]),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("device\nX\n", "line 2, column device: unknown device 'X'"),
        ("device\nB\n", "line 2, column type: B sends several: name one of plain, two"),
        ("device,type\nX,frozen\n", "line 2, column type: 'frozen' is no data type with counters"),
        ("device,type,field\nX,plain,volts\n", "line 2, column field: plain has no counter 'volts': energy"),
        ("device,type\nX,gas\n", "line 2, column carrier: volume counts m³: name one of gas, water"),
        ("device,type,carrier\nX,plain,water\n", "line 2, column carrier: energy counts Wh: name one of"),
        ("device,type,below\nX,plain,None\n", "line 2, column below: there is no meter point 'None'"),
        ("device,type,point,below\nX,plain,a,b\nY,plain,b,a\n", "column below: 'a': a point cannot lie below itself"),
        ("device,type,point,carrier,below\nX,plain,a,,b\nG,gas,b,gas,\n", "column below: 'a': 'b' measures gas"),
        ("device,type,point\nX,plain,a\nX,plain,a\n", "line 2, column point: 'a': plain X energy counts twice"),
        ("device,type,point,role\nX,plain,a,load\nY,plain,a,solar\n", "line 3, column role: line 2 says otherwise"),
        ("device,type,point,carrier\nG,gas,Old,gas\n", "column carrier: 'Old' is there, and measures electricity"),
    ],
)  # fmt: skip
def test_a_table_with_a_fault_writes_nothing(registered: None, text: str, said: str) -> None:
    db.session.add(MeterPoint(name="Old", carrier="electricity", role="load", parts=[]))
    db.session.commit()
    first, _, rest = text.partition("\n")
    good = ",".join({"device": "OK", "type": "plain"}.get(name, "") for name in first.split(","))
    with pytest.raises(TableError) as error:
        take(f"{first}\n{rest}{good}\n" if "type" in first else text)
    assert said in str(error.value)
    assert {*site()} == {"Old"}
    assert {row.device_id for row in db.session.scalars(select(Device))} == {"M1", "B"}
