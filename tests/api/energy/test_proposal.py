"""Meter points of a new site, over the API and at the console: proposed, from a table, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from greenpower.catalog.registry import Registry
from greenpower.cli import point_changes, points
from greenpower.config import ConfigError
from greenpower.sql import Device, DeviceType, MeterPoint
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.api.conftest import close_app, refused
from tests.api.energy.meter import METER, Meters, make_meters
from tests.api.world import SqlApi

PATH = "/api/energy/points/proposal/"
Run = Callable[..., str]


class NewSite(Meters, SqlApi):
    """A site whose devices have sent readings, and nobody has made a meter point."""


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[NewSite]:
    app, meters = make_meters(tmp_path_factory.mktemp("new"), mongod.uri, "test_proposal")
    found = NewSite(app, meters.settings)
    found.clear()
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
    for device, energy in (("counts", 100.0), ("nothing", 0.0)):
        times = [begin + number * timedelta(minutes=5) for number in range(60)]
        found.store(device, [(at, {"energy": energy and energy + number}) for number, at in enumerate(times)])
    found.run_rollups()
    with app.app_context():
        for device, name in (("counts", "Hall"), ("nothing", ""), ("silent", "")):
            db.session.add(Device(device_id=device, name=name, types=[DeviceType(type="meter")]))
        db.session.commit()
    yield found
    close_app(app)


@pytest.fixture
def new_site(shared_site: NewSite) -> Iterator[NewSite]:
    yield shared_site
    with shared_site.app.app_context():
        db.session.query(MeterPoint).delete()
        db.session.commit()


def test_a_proposal_is_shown_made_once_and_answers(new_site: NewSite) -> None:
    shown: dict[str, Any] = new_site.body(PATH)
    [point] = shown["points"]
    assert (point["name"], point["role"], point["unit"]) == ("Hall", "load", "kWh")
    assert [(part["device_id"], part["field"]) for part in point["parts"]] == [("counts", "energy")]
    assert {item["device_id"]: item["why"] for item in shown["left_out"]} == {
        "nothing": "nothing_counted",
        "silent": "not_shown",
    }
    assert not new_site.body("/api/energy/points/")["results"], "nothing was made yet"
    [made] = new_site.good("POST", PATH)["made"]
    assert made["proposed"] and made["name"] == "Hall"
    assert new_site.good("POST", PATH) == {"made": [], "more": False}
    assert new_site.body(PATH)["in_points"] == 1
    [found] = new_site.body("/api/energy/consumption/", bucket="day")["points"]
    assert found["total"]["energy"] == pytest.approx(59)
    entries = new_site.body("/api/audit/", object_type="meter_point")["results"]
    assert entries[0]["action"] == "create" and entries[0]["object_name"] == "Hall"


def test_a_viewer_sees_a_proposal_and_makes_none(new_site: NewSite) -> None:
    token = new_site.user("proposal-viewer")["access"]
    assert len(new_site.good("GET", PATH, token=token)["points"]) == 1
    assert refused(new_site.ask("POST", PATH, token=token), 403)


@pytest.fixture
def run(new_site: NewSite, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command at the console of the site."""
    for module in (points, point_changes):
        monkeypatch.setattr(module, "load_settings", lambda: new_site.settings)
        monkeypatch.setattr(module, "get_registry", lambda: Registry.of(METER))

    def called(*arguments: str, error: str = "") -> str:
        result = CliRunner().invoke(points.points, arguments)
        if error:
            assert isinstance(result.exception, ConfigError) and error in str(result.exception), result
        else:
            assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    return called


def test_the_console_shows_and_makes_the_same(new_site: NewSite, run: Run) -> None:
    assert "counts" in run("propose") and "Hall" not in run("list")
    assert "1 meter points made" in run("propose", "--make")
    assert "0 meter points made" in run("propose", "--make")
    [row] = run("list").splitlines()[1:]
    assert row.split()[1:4] == ["Hall", "electricity", "load"]
    [entry] = new_site.body("/api/audit/", object_type="meter_point", page_size=1)["results"]
    assert entry["actor"].startswith("cli:")


COUNTER = ("meter", "counts", "energy")


def test_points_are_made_changed_and_removed_at_the_console(new_site: NewSite, run: Run) -> None:
    run("add", "Grid", "--role", "grid_import", "--part", *COUNTER)
    run("add", "Shop", "--role", "load", "--below", "Grid", "--part", *COUNTER, "--until", "2026-03-29T10:00")
    run("change", "Shop", "--part", "meter", "nothing", "energy", "--from", "2026-03-29T10:00", "--rename", "Store")
    grid, shop = new_site.body("/api/energy/points/")["results"]
    assert (shop["name"], shop["parent_id"], grid["role"]) == ("Store", grid["id"], "grid_import")
    assert [(part["device_id"], part["begins_at"], part["ends_at"]) for part in shop["parts"]] == [
        ("counts", None, "2026-03-29T10:00:00.000Z"),
        ("nothing", "2026-03-29T10:00:00.000Z", None),
    ]
    run("change", "Grid", "--end", *COUNTER, "--until", "2026-03-30T00:00", "--description", "main")
    run("change", "Store", "--drop", *COUNTER, "--below", "-")
    grid, shop = new_site.body("/api/energy/points/")["results"]
    assert (grid["parts"][0]["ends_at"], grid["description"]) == ("2026-03-30T00:00:00.000Z", "main")
    assert len(shop["parts"]) == 1 and shop["parent_id"] is None
    run("remove", "Store")
    assert [point["name"] for point in new_site.body("/api/energy/points/")["results"]] == ["Grid"]


def test_what_cannot_be_is_one_line_at_the_console(new_site: NewSite, run: Run) -> None:
    run("add", "Grid", "--role", "grid_import", "--part", *COUNTER)
    run("add", "Grid", "--role", "load", error="already a meter point 'Grid'")
    run("add", "New", "--role", "load", "--zone", "Nowhere", error="--zone: there is none of the name 'Nowhere'")
    run("add", "New", "--role", "load", "--part", "meter", "gone", "energy", error="unknown device: 'gone'")
    run("change", "Grid", "--below", "Grid", error="below itself")
    run("change", "Grid", "--drop", "meter", "nothing", "energy", error="has no counter meter nothing energy")
    run("remove", "Shop", error="no meter point 'Shop'")
    assert [point["name"] for point in new_site.body("/api/energy/points/")["results"]] == ["Grid"]


def test_a_table_is_checked_and_taken_over_the_api_and_at_the_console(
    new_site: NewSite, run: Run, tmp_path: Path
) -> None:
    text = "device,point,role,type\ncounts,Grid,grid_import,\nnothing,Shop,load,\n"
    path = "/api/energy/points/table/"
    dry = new_site.good("POST", path, {"table": text, "dry_run": True})
    assert dry["points_made"] == ["Grid", "Shop"] and not new_site.body("/api/energy/points/")["results"]
    bad = new_site.ask("POST", path, {"table": text + "gone,Hall,load,\nnothing,Hall,sink,\n"})
    assert refused(bad, 422) and "line 5, column role" in bad.text
    bad = new_site.ask("POST", path, {"table": text + "gone,Hall,load,\n"})
    assert refused(bad, 422) and "line 4, column device" in bad.text
    assert not new_site.body("/api/energy/points/")["results"]
    assert new_site.good("POST", path, {"table": text}) == {**dry, "dry_run": False}
    token = new_site.user("table-viewer")["access"]
    assert refused(new_site.ask("POST", path, {"table": text}, token=token), 403)
    file = tmp_path / "points.csv"
    file.write_text(text, "utf-8")
    assert "points as they were: 2" in run("table", str(file))
    file.write_text(f"{text}gone,Hall,load,\n", "utf-8")
    run("table", str(file), error=f"{file}, line 4, column device: unknown device 'gone'")
    file.write_bytes(b"device,name\ncounts,H\xe4lfte\n")
    run("table", str(file), error="is not UTF-8")
