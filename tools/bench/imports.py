"""Bench of imports: rows a second from a file to MongoDB, all that rollups need noted, beside bare inserts.

The file has a year of quarter-hours of several meters with four values each. The floor inserts the same documents, made
before, in batches of the same size, with the indexes of the collection; product and floor take turns. A second run of
the same file, all duplicates, is measured too. `python -m tools.bench.imports` prints the rows.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from bson import ObjectId
from pydantic import SecretStr
from pymongo import MongoClient

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.importing.known_devices import ImportDevices
from greenpower.importing.mapping import make_mapping
from greenpower.importing.run import ROWS_PER_BATCH, open_file, run_import
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.stack import Mongod

Document = dict[str, Any]
Row = dict[str, Any]
METERS, YEAR_QUARTERS, FEW_QUARTERS = 2, 35_040, 10_000
QUARTER = timedelta(minutes=15)
BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
FIELDS = ("zygsz", "fygsz", "dmpmax", "uathd")
ROUNDS = 3
#: of the floor
IMPORT_GOAL = 0.4


class AllDevices(ImportDevices):
    """Takes every device: the registry is not what is measured."""

    def __init__(self) -> None:
        pass

    def problem(self, device_id: str) -> tuple[str, str] | None:
        return None

    def register(self, device_ids: Iterable[str]) -> list[str]:
        return []


def values(number: int) -> tuple[float, ...]:
    """What a meter shows in a quarter of an hour."""
    return 1_000 + number / 4, 12.5, number % 50 / 10, 2 + number % 9 / 100


def make_file(quarters: int) -> bytes:
    """The file: a row per meter and quarter-hour."""
    lines = [",".join(("device_id", "timestamp", *FIELDS))]
    for number in range(quarters):
        at = (BEGIN + number * QUARTER).isoformat()
        lines += [f"M{meter},{at}," + ",".join(map(str, values(number))) for meter in range(METERS)]
    return "\n".join(lines).encode() + b"\n"


def make_documents(quarters: int) -> list[Document]:
    """What is stored of it."""
    now = datetime.now(UTC)
    return [
        {
            "_id": ObjectId(), "device_id": f"M{meter}", "topic": "import", "timestamp": BEGIN + number * QUARTER,
            "received_at": now, "updated_at": now, "payload": dict(zip(FIELDS, values(number), strict=True)),
            "complete": True, "clock": "imported",
        }
        for number in range(quarters)
        for meter in range(METERS)
    ]  # fmt: skip


def run(quick: bool = True) -> list[Row]:
    """The rows: a first import and a second one, each with the bare inserts of the same run."""
    quarters = FEW_QUARTERS if quick else YEAR_QUARTERS
    data, datatype, count = make_file(quarters), get_registry()["eny_now"], quarters * METERS
    found: dict[str, list[float]] = {"floor": [], "first": [], "again": []}
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder, Mongod(Path(folder) / "mongod") as mongod:
        for _ in range(ROUNDS):
            settings = Settings(
                _env_file=None,  # type: ignore[call-arg]
                greenpower_home=Path(folder),
                mongo_db_uri=SecretStr(mongod.uri),
                mongo_db_name=f"bench_{uuid4().hex[:8]}",
            )
            with MongoClient[Document](mongod.uri) as client:
                db = client[settings.mongo_db_name]
                ensure_indexes(db, [datatype], settings)
                documents = make_documents(quarters)
                began = time.perf_counter()
                for at in range(0, count, ROWS_PER_BATCH):
                    db[datatype.collection].insert_many(documents[at : at + ROWS_PER_BATCH], ordered=False)
                found["floor"].append(count / (time.perf_counter() - began))
                db[datatype.collection].delete_many({})
                for name, added in (("first", count), ("again", 0)):
                    started = time.perf_counter()
                    opened = open_file(io.BytesIO(data), datatype, make_mapping({}))
                    *_, tally = run_import(opened, datatype, settings, AllDevices())
                    found[name].append(count / (time.perf_counter() - started))
                    if (tally.stored, tally.duplicate) != (added, count - added):
                        raise SystemExit(f"lost: {tally.counts()}")
                client.drop_database(db.name)
    floor = median(found["floor"])
    first, again = median(found["first"]), median(found["again"])
    return [
        {"name": "bare insert-many of the same readings", "rows_per_s": floor},
        {"name": "import of a file, 4 values a row", "rows_per_s": first, "ratio": first / floor, "goal": IMPORT_GOAL},
        {"name": "the same file again, all duplicates", "rows_per_s": again, "ratio": again / floor},
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
