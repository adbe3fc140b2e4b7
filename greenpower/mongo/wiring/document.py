"""The shape of a finding of the checks of the wiring.

What belongs here: every key, its unit and its writer. What does not: reading and writing (`store`), what a finding
means (`greenpower.wiring.outcome`).
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId

from greenpower.mongo.unaudited import UnauditedEntry

OPEN, DISMISSED, CLOSED = "open", "dismissed", "closed"
FINDING_STATES = (OPEN, DISMISSED, CLOSED)


class WiringFindingDocument(TypedDict):
    """A finding, in `wiring_findings`. Written by the worker's daily check; dismissed by the API.
    One is current for each device, circuit and name.

    device_id: of a finding about a meter point, the device of its first part. circuit: name of the circuit, or that of
    the meter point. check: that found it. name: of the fault. follows: name of the finding that explains it, or empty.
    saw: in words; figures: its numbers; faulty, samples: how many of how many samples show it. first_seen, last_seen:
    ends of the first and the last day that show it. state: `open`, `dismissed` by a person, or `closed` by a day that
    does not show it; current: whether it is not closed. dismissed_by, dismissed_at, note: of a person.
    """

    _id: ObjectId
    device_id: str
    circuit: str
    check: str
    name: str
    phases: list[str]
    certainty: str
    saw: str
    figures: dict[str, float]
    faulty: int
    samples: int
    follows: str
    first_seen: datetime
    last_seen: datetime
    state: str
    current: bool
    closed_at: NotRequired[datetime]
    dismissed_by: NotRequired[str]
    dismissed_at: NotRequired[datetime]
    note: NotRequired[str]
    unaudited: NotRequired[list[UnauditedEntry]]
