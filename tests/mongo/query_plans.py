"""What a database was asked, by its own profiler, and how it found the answers: the explain plan of every query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo.database import Database

Document = dict[str, Any]
PROFILE_BYTES = 256 * 2**20
READS = ("find", "aggregate", "count", "distinct")
# What the driver or the server adds, and explain does not take.
NOISE = (
    "lsid",
    "$db",
    "$clusterTime",
    "txnNumber",
    "$readPreference",
    "maxTimeMS",
    "writeConcern",
    "cursor",
    "fromMongos",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A query. stages: of its plan, all levels. examined: documents looked at. returned: documents given."""

    collection: str
    command: Document
    stages: frozenset[str]
    examined: int
    returned: int

    @property
    def filter(self) -> Document:
        """Its condition, empty where it asks for all."""
        if "pipeline" in self.command:
            first = self.command["pipeline"][:1]
            matched: Document = first[0].get("$match", {}) if first else {}
            return matched
        found: Document = next((self.command[name] for name in ("filter", "query", "q") if name in self.command), {})
        return found

    def __str__(self) -> str:
        return f"{self.collection} {sorted(self.stages)} {self.examined}/{self.returned} {_text(self.command):.400}"


@dataclass(slots=True)
class Record:
    """What was asked while it was recorded."""

    asked: list[Asked] = field(default_factory=list)

    def of(self, collection: str) -> list[Asked]:
        """The queries of one collection."""
        return [one for one in self.asked if one.collection == collection]


@contextmanager
def recorded(db: Database[Document]) -> Iterator[Record]:
    """Record what a database is asked within; the plans are there at the end."""
    db.command("profile", 0)
    db.drop_collection("system.profile")
    db.create_collection("system.profile", capped=True, size=PROFILE_BYTES)
    record = Record()
    db.command("profile", 2)
    try:
        yield record
    finally:
        db.command("profile", 0)
    seen: set[str] = set()
    # Bounds of an index go beyond what a datetime can be.
    db = db.with_options(CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO))
    query = {"ns": {"$not": {"$regex": r"system\.profile$"}}}
    for entry in list(db["system.profile"].find(query, {"execStats": 0})):
        if (one := _asked(db, entry, seen)) is not None:
            record.asked.append(one)


def _asked(db: Database[Document], entry: Document, seen: set[str]) -> Asked | None:
    command = entry.get("command", {})
    collection = entry["ns"].partition(".")[2]
    if entry["op"] in ("update", "remove"):
        summary = entry.get("planSummary", "")
        stages = frozenset(part.split()[0] for part in summary.split(", ") if part)
        return Asked(
            collection=collection,
            command=command,
            stages=stages,
            examined=entry.get("docsExamined", 0),
            returned=int(entry.get("nMatched") or entry.get("ndeleted") or 0),
        )
    if not any(name in command for name in READS) or "explain" in command:
        return None
    wanted = {name: value for name, value in command.items() if name not in NOISE}
    if "aggregate" in wanted:
        wanted["cursor"] = {}
    text = _text(wanted)
    if text in seen:
        return None
    seen.add(text)
    plan = db.command("explain", wanted, verbosity="executionStats", codec_options=db.codec_options)
    stages = frozenset(_stages(plan))
    return Asked(
        collection=collection,
        command=wanted,
        stages=stages,
        examined=max(_numbers(plan, "totalDocsExamined"), default=0),
        returned=max(_numbers(plan, "nReturned"), default=0),
    )


def _stages(plan: Any) -> Iterator[str]:
    """The stages that were run: those of rejected plans are none of them."""
    if isinstance(plan, dict):
        if isinstance(plan.get("stage"), str):
            yield plan["stage"]
        if plan.get("collectionScans"):  # of a $lookup
            yield "COLLSCAN"
        for name, value in plan.items():
            if name.startswith("$"):
                yield name
            if name not in ("rejectedPlans", "allPlansExecution", "command", "parsedQuery"):
                yield from _stages(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from _stages(value)


def _numbers(plan: Any, name: str) -> Iterator[int]:
    if isinstance(plan, dict):
        for key, value in plan.items():
            if key == name:
                yield int(value)
            elif key not in ("rejectedPlans", "allPlansExecution"):
                yield from _numbers(value, name)
    elif isinstance(plan, list):
        for value in plan:
            yield from _numbers(value, name)


def _text(command: Document) -> str:
    return json.dumps(command, default=json_util.default, sort_keys=False)
