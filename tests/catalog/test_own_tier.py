"""A plugin with its own tier: one line in its declaration, and everything else follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from greenpower.app import create_app
from greenpower.catalog.registry import Registry, RegistryError, discover
from greenpower.catalog.retention import tier_retention
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.datatype.tier import RETENTION_SETTINGS, Retention, Tier
from greenpower.jobs.schedule import rollup_entry
from greenpower.mongo.client import sync_client
from greenpower.mongo.rollups.tier_view import read_tier_views
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.rollups.plan import find_plan, make_plans
from tests.api.conftest import Api, close_app
from tests.catalog.conftest import Install
from tests.rollups.world import World

PLUGIN = """
from datetime import timedelta
from greenpower.datatype import DataType, Field, Mqtt, STANDARD_TIERS, Tier, json_parser
DATATYPE = DataType(
    name="gp_boiler", title="Boiler", endpoint="boiler-data", collection="boiler_data", match=(Mqtt("gp_boiler"),),
    fields=(Field("power", unit="kW"),), parse=json_parser(device="id", time="time"),
    tiers=(
        STANDARD_TIERS[0],
        Tier(prefix="last_3_days_", window=300, retention={retention}),
        *STANDARD_TIERS[1:],
    ),
)
"""
OWN = "last_3_days_boiler_data"
DAYS = 3 * 86_400


@pytest.fixture
def registry(install: Install) -> Registry:
    install("gp_boiler", PLUGIN.replace("{retention}", "timedelta(days=3)"))
    return discover()


def test_the_tier_is_kept_computed_and_served(registry: Registry, settings: Settings) -> None:
    boiler = registry["gp_boiler"]
    assert OWN in boiler.collections
    init_sql(settings)
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, registry, settings)
        indexes = db[OWN].index_information()
        assert indexes["timestamp"]["expireAfterSeconds"] == DAYS
        assert indexes["device_id_timestamp"]["unique"]

        plan = find_plan(boiler, "last_3_days_", settings)
        assert plan is not None and plan.ttl == DAYS and plan.next == "last_7_days_"
        assert "last_3_days_" in rollup_entry(plan).name
        # The tier above is merged from it.
        assert [source.prefix for source in make_plans(boiler, settings)[2].sources] == ["last_3_days_", "today_", ""]

        now = datetime.now(UTC).replace(microsecond=0)
        begin = now.replace(minute=0, second=0) - timedelta(hours=1)
        world = World(db, settings, now)
        world.store(boiler, "B1", [(begin + timedelta(seconds=n * 60), {"power": float(n)}) for n in range(30)])
        world.run(boiler)
        assert world.check(boiler) > 0
        assert db[OWN].count_documents({}) == 6
        [view] = [view for view in read_tier_views(db, boiler, settings) if view.collection == OWN]
        assert view.resolution == "5m" and now - view.kept_from > timedelta(days=2)

    app = create_app(settings, registry)
    try:
        api = Api(app, settings)
        [described] = [
            item for item in api.get("/api/data-types/").get_json()["results"] if item["name"] == "gp_boiler"
        ]
        assert "5m" in described["resolutions"]
        assert {"prefix": "last_3_days_", "resolution": "5m", "retention_seconds": DAYS} in described["tiers"]
        path = "/api/telemetry/boiler-data/"
        span = {"start_time": begin.isoformat(), "end_time": (begin + timedelta(minutes=29)).isoformat()}
        assert api.get(path, resolution="5m", **span).get_json()["count"] == 6
        assert api.get(path, resolution="7m", **span).status_code == 422
    finally:
        close_app(app)


def test_a_wrong_retention_names_the_plugin_at_load(install: Install) -> None:
    install("gp_boiler", PLUGIN.replace("{retention}", "'MONGO_LAST_3_DAYS_TTL_SECONDS'"))
    with pytest.raises(RegistryError) as caught:
        discover()
    [line] = str(caught.value).splitlines()
    assert all(name in line for name in ("gp_boiler", "last_3_days_", "MONGO_LAST_3_DAYS_TTL_SECONDS"))


@pytest.mark.parametrize("name", RETENTION_SETTINGS)
def test_every_setting_is_read(name: str, settings: Settings, tmp_path: Path) -> None:
    changed = settings.model_copy(update={name.lower(): 12_345})
    tier = Tier(prefix="own_", window=60, retention=Retention(setting=name))  # type: ignore[arg-type]
    assert tier_retention(tier, changed) == 12_345
