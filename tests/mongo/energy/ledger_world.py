"""Writing to the interval ledger in tests, and what is in it."""

from __future__ import annotations

from datetime import datetime, timedelta

from pymongo.database import Database

from greenpower.measure.slot import Slot
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger_part import QUARTER, LedgerPart
from greenpower.mongo.energy.ledger_read import read_stretches
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS
from tests.mongo.energy.plain_ledger import TYPE, make_slot

HOUR = timedelta(hours=1)


def part(begin: datetime, end: datetime, slots: list[Slot], device: str = "A", **values: object) -> LedgerPart:
    return LedgerPart(device=device, field="import", begin=begin, end=end, slots=slots, **values)  # type: ignore[arg-type]


def quarter(time: datetime, energy: int = 1_000_000, **values: object) -> LedgerPart:
    """A part of one quarter-hour that has samples."""
    return part(time, time + QUARTER, [make_slot(time, energy)], **values)  # type: ignore[arg-type]


def energy(db: Database[Document], begin: datetime, end: datetime, device: str = "A") -> int | None:
    found = read_stretches(db, TYPE, "import", [device], [begin, end])
    return found[device][0].energy if device in found else None


def contents(db: Database[Document]) -> list[list[Document]]:
    """Both collections but what tells writes apart."""
    told = ("_id", "as_of", "updated_at")
    key = ("type", "device_id", "field")
    return [
        [
            {name: value for name, value in document.items() if name not in told}
            for document in sorted(db[name].find(), key=lambda d: tuple(d[k] for k in (*key, time)))
        ]
        for name, time in ((INTERVALS, "day"), (ENERGY_DAYS, "month"))
    ]
