"""What simulated devices send is what ingest stores, from one process to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pymongo import MongoClient

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from tests.process import Command
from tests.wait import wait_until

READINGS = 80
#: why a frame may be rejected when all goes wrong that can
SPOILED = {
    "zero-frame", "not-json", "not-utf8", "not-object", "bad-id", "no-id", "bad-time", "no-values", "duplicate-keys",
    "too-deep", "too-many-keys", "bad-key", "too-large", "bad-shape", "bad-point",
}  # fmt: skip


def simulated(settings: Settings, folder: Path, *args: str) -> tuple[int, int]:
    """Readings made and packets acknowledged by a run of the simulator."""
    args = ("simulate", "--devices", "20", "--rate", "60", "--count", str(READINGS), *args)
    with Command(settings.model_copy(update={"log_format": "json"}), *args, folder=folder) as command:
        assert command.process.wait(60) == 0
        told = command.entries()[-1]
    assert told["open"] == 0
    return told["readings"], told["packets"]


def rounds(settings: Settings, folder: Path, *args: str) -> int:
    """Rounds answered by 20 simulated gateways."""
    args = ("simulate", "--type", "solar", "--devices", "20", "--rate", "20", *args)
    with Command(settings.model_copy(update={"log_format": "json"}), *args, folder=folder) as command:
        assert command.process.wait(60) == 0
        return int(command.entries()[-1]["readings"])


def stored(db: Any) -> dict[str, int]:
    return {datatype.name: db[datatype.collection].count_documents({}) for datatype in get_registry()}


def test_every_reading_is_stored_once(settings: Settings, tmp_path: Path) -> None:
    with (
        Command(settings, "ingest", "--mqtt", folder=tmp_path) as ingest,
        MongoClient[dict[str, Any]](settings.mongo_db_uri.get_secret_value()) as client,
    ):
        ingest.wait_healthy()
        db = client[settings.mongo_db_name]
        readings, packets = simulated(settings, tmp_path, "--type", "rt,eny_now,generator,environment")
        wait_until(lambda: db.telemetry_events.count_documents({}) >= packets)
        assert ingest.stop() == 0
        found = stored(db)
        assert sum(found.values()) == readings == READINGS
        assert all(found[name] for name in ("rt", "eny_now", "generator", "environment"))
        # A part that comes before the one that names its device may have to wait, and says so.
        assert set(db.telemetry_events.distinct("reason")) <= {"awaiting-id"}
        assert set(db.telemetry_events.distinct("outcome")) <= {"stored", "noted"}
        assert not db.telemetry_events.count_documents({"left_out": {"$exists": True}})
        values = db.grid_rt_data.find_one({"payload.uplus": {"$exists": True}})
        assert values and len(values["payload"]) == len(get_registry()["rt"].fields)


def test_the_books_balance_when_all_goes_wrong(settings: Settings, tmp_path: Path) -> None:
    faults = "duplicates,zero,clock,split,reorder,drop,garbage"
    with (
        Command(settings, "ingest", "--mqtt", folder=tmp_path) as ingest,
        MongoClient[dict[str, Any]](settings.mongo_db_uri.get_secret_value()) as client,
    ):
        ingest.wait_healthy()
        db = client[settings.mongo_db_name]
        types = ("--type", "rt,eny_now,generator,environment", "--faults", faults)
        readings, packets = simulated(settings, tmp_path, *types)
        wait_until(lambda: db.telemetry_events.count_documents({}) >= packets)
        assert ingest.stop() == 0
        assert db.telemetry_events.count_documents({}) == packets
        assert set(db.telemetry_events.distinct("reason", {"outcome": "rejected"})) <= SPOILED
        assert readings * 0.7 < sum(stored(db).values()) <= readings
        # Every meter that dreams of 2005 is stored at the time that it is.
        assert not db.grid_rt_data.count_documents(
            {"timestamp": {"$lt": db.command("hello")["localTime"].replace(month=1)}}
        )


def test_every_round_of_a_gateway_is_stored(settings: Settings, tmp_path: Path) -> None:
    with (
        Command(settings, "ingest", "--tcp", folder=tmp_path) as ingest,
        MongoClient[dict[str, Any]](settings.mongo_db_uri.get_secret_value()) as client,
    ):
        ingest.wait_healthy()
        db = client[settings.mongo_db_name]
        answered = rounds(settings, tmp_path, "--count", "60")
        wait_until(lambda: stored(db)["solar"] >= answered)
        assert ingest.stop() == 0
        assert stored(db)["solar"] == answered >= 60
        # The run ends amid rounds, and that is all that there is to note.
        assert set(db.telemetry_events.distinct("reason")) <= {"unfinished-round"}
        assert len(db.solar_data.distinct("device_id")) == 20


def test_gateways_that_misbehave_spoil_no_value(settings: Settings, tmp_path: Path) -> None:
    faults = ("--faults", "duplicates,split,reorder,drop,garbage", "--count", "30")
    with (
        Command(settings, "ingest", "--tcp", folder=tmp_path) as ingest,
        MongoClient[dict[str, Any]](settings.mongo_db_uri.get_secret_value()) as client,
    ):
        ingest.wait_healthy()
        db = client[settings.mongo_db_name]
        rounds(settings, tmp_path, *faults)
        wait_until(lambda: stored(db)["solar"] > 10)
        assert ingest.stop() == 0
        assert {"exception", "noise"} <= set(db.telemetry_events.distinct("reason"))
        for reading in db.solar_data.find():
            payload = reading["payload"]
            assert all(0 <= payload[name] < 200 for name in payload if name.startswith(("current", "active_power")))
            assert payload.get("active_energy_received", 0) == 0
            assert payload.get("active_energy_delivered", 1e7) > 1e6
