"""A process that migrates with made-up steps and can be halted: `python -m tests.mongo.schema.migrating URI NAME AT`.

It prints each point that it reaches. At the point AT it prints `halted` and stays there until it is killed.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.schema import steps as module
from greenpower.mongo.schema.migrate import Event, migrate
from greenpower.mongo.schema.steps import RewrittenPiece, Step, rewrite_documents

WATTS, KILOWATTS = {"watts": {"$exists": True}}, {"kilowatts": {"$exists": True}}
# Run twice on one document, it would show.
TO_KILOWATTS: list[Document] = [
    {"$set": {"kilowatts": {"$divide": ["$watts", 1000]}, "times": {"$add": [{"$ifNull": ["$times", 0]}, 1]}}},
    {"$unset": "watts"},
]
TO_UPPER: list[Document] = [{"$set": {"name": {"$toUpper": "$name"}, "upper": True}}]


def make_steps(reached: Any = lambda point: None) -> tuple[Step, ...]:
    """Two steps over `meters`, in pieces of ten documents."""
    module.DOCUMENTS_PER_PIECE = 10
    to_kilowatts = rewrite_documents("meters", WATTS, TO_KILOWATTS)
    to_upper = rewrite_documents("meters", {"upper": {"$exists": False}}, TO_UPPER)

    def rewrite(db: Database[Document], position: Any) -> RewrittenPiece:
        reached(f"before {position}")
        piece = to_kilowatts(db, position)
        reached(f"written {position}")
        return piece

    return (
        Step(version=2, oldest_reader=2, title="power in kW", rewrite=rewrite),
        Step(version=3, oldest_reader=2, title="names in capitals", rewrite=to_upper),
    )


def main(uri: str, name: str, halt_at: str) -> None:
    def reached(point: str) -> None:
        print(point, flush=True)
        if point == halt_at:
            print("halted", flush=True)
            signal.pause()

    def tell(event: Event, version: int, changed: int) -> None:
        reached(f"{event} {version} {changed}")

    with MongoClient[Document](uri, tz_aware=True) as client:
        version = migrate(client[name], steps=make_steps(reached), tell=tell)
    print(f"version {version}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
