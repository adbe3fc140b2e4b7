"""Decisions on incidents whose readings are gone: one correction of energy at the sample that showed the incident.

What the ledger holds was counted with the status that the incident had when the readings expired. A decision adds what
the new status counts and takes away what the old one counted; withdrawing it revokes that. What does not belong here:
what a decision is where the readings are still there (`greenpower.mongo.rollups.decisions`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pymongo.database import Database

from greenpower.datatype import DataType, Kind
from greenpower.measure.counter.rules import Incident
from greenpower.measure.slot import to_counts
from greenpower.measure.state import Number
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument, CorrectionKind
from greenpower.mongo.corrections.store import ACTIVE, NewCorrection, NotRevocableError, create, revoke
from greenpower.mongo.rollups.decisions import NotDecidableError, check_decidable, decide, kind_of, meaning
from greenpower.mongo.rollups.incidents import CONFIRMED, OPEN, REJECTED
from greenpower.mongo.schema.layout import CORRECTIONS, INCIDENTS
from greenpower.mongo.unaudited import UnauditedEntry, take_out

SHORTEST_SPAN = timedelta(milliseconds=1)
# What these count is no matter of one sample.
OF_A_STRETCH = frozenset({Incident.UNIT_CHANGE, Incident.SWAP})
# They count what the register shows, whether noted or confirmed.
RESTARTED = frozenset({Incident.RESET, Incident.ROLLOVER})


def counted_amount(incident: Document, status: str, modulus: Number | None, *, delta: bool = False) -> int:
    """The counts that the sample of an incident counts with a status. modulus: where the counter rolls over. delta:
    whether its samples are amounts, not registers."""
    kind, value = kind_of(incident), incident["value"]
    counts = status == CONFIRMED or (kind in RESTARTED and status != REJECTED)
    if not counts:
        return 0
    if kind is Incident.STEP:
        return to_counts(value) - (0 if delta else to_counts(incident["before"]))
    if kind in (Incident.FALL, Incident.RESET, Incident.RESTART):
        return max(to_counts(value), 0)
    if kind is Incident.ROLLOVER and modulus is not None:
        return to_counts(value) - to_counts(incident["before"]) + to_counts(modulus)
    return 0


def decide_at_any_time(
    db: Database[Document],
    datatype: DataType | None,
    whole_from: datetime | None,
    incident: Document,
    status: str,
    by: str,
    reason: str,
    entry: UnauditedEntry | None = None,
) -> Document:
    """Keep a decision on an incident, by a correction where the readings are gone. Returns the incident as it is now.

    datatype: of the incident, None if it is not installed. whole_from: from when on its readings are all there. entry:
    of the audit, which each document that is changed holds until that is written.
    Raises NotDecidableError, PyMongoError.
    """
    if datatype is None or whole_from is None or incident["at"] >= whole_from:
        return decide(db[INCIDENTS], incident, status, by, reason, entry)
    field = next((field for field in datatype.fields if field.name == incident["field"]), None)
    modulus = None if field is None else field.modulus
    delta = field is not None and field.kind is Kind.DELTA
    return decide_late(db, incident, status, by, reason, modulus, delta=delta, entry=entry)


def decide_late(
    db: Database[Document],
    incident: Document,
    status: str,
    by: str,
    reason: str,
    modulus: Number | None,
    *,
    delta: bool = False,
    entry: UnauditedEntry | None = None,
) -> Document:
    """Keep a decision as `decide`, with the correction that it needs. Returns the incident as it is now.

    Raises NotDecidableError, PyMongoError; deciding again is safe.
    """
    check_decidable(incident, status)
    collection = db[CORRECTIONS]
    query = {"incident_id": incident["_id"], "kind": CorrectionKind.INCIDENT.value, **ACTIVE}
    former = list(collection.find(query))
    base = former[0]["base_status"] if former else incident["status"]
    made: CorrectionDocument | None = None
    energy = 0
    if meaning(incident, status) != meaning(incident, base):
        if kind_of(incident) in OF_A_STRETCH:
            raise NotDecidableError(
                f"the readings of {incident['at']:%Y-%m-%d} have expired: give a fixed energy for that time instead"
            )
        energy = counted_amount(incident, status, modulus, delta=delta)
        energy -= counted_amount(incident, base, modulus, delta=delta)
    # One of 0, too, where the ledger says that something is undecided: it says that this is decided.
    if energy or (base == OPEN and status != OPEN):
        made = create(collection, _correction(incident, energy, base, by, reason), entry)
    try:
        decided = decide(db[INCIDENTS], incident, status, by, reason, entry)
    except NotDecidableError:
        if made is not None:
            _withdraw(db, made, by)
            if entry is not None:
                take_out(db, entry["id"])
        raise
    # After the new one is there: of several for one incident the newest counts.
    for old in former:
        _withdraw(db, old, by)
    return decided


def _correction(incident: Document, energy: int, base: str, by: str, reason: str) -> NewCorrection:
    return NewCorrection(
        type=incident["type"],
        device_id=incident["device_id"],
        field=incident["field"],
        kind=CorrectionKind.INCIDENT,
        begin=incident["at"],
        end=incident["at"] + SHORTEST_SPAN,
        reason=reason,
        made_by=by,
        energy=energy,
        incident_id=incident["_id"],
        base_status=base,
    )


def _withdraw(db: Database[Document], correction: Document | CorrectionDocument, by: str) -> None:
    try:
        revoke(db[CORRECTIONS], correction["_id"], by, "another decision on the incident")
    except NotRevocableError:
        return
