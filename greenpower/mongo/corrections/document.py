"""The shape of a correction, and the kinds that there are.

What belongs here: every key, its unit and its writer. What does not: keeping and finding them
(`greenpower.mongo.corrections.store`), what they do to samples (`greenpower.measure.correction`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NotRequired, TypedDict

from bson import ObjectId

from greenpower.mongo.unaudited import UnauditedEntry


class CorrectionKind(StrEnum):
    """What a correction does.

    Of samples, before any rule: EXCLUSION leaves them out, FACTOR multiplies them. Of energy that was counted: FIXED
    puts a number in its place, ESTIMATE spreads that of a silence, INCIDENT is a decision on an incident whose readings
    are gone, EXCHANGE is what two meters counted around their exchange.
    """

    EXCLUSION = "exclusion"
    FACTOR = "factor"
    FIXED = "fixed"
    ESTIMATE = "estimate"
    INCIDENT = "incident"
    EXCHANGE = "exchange"


#: They change samples: buckets and the ledger are computed again.
OF_SAMPLES = frozenset({CorrectionKind.EXCLUSION, CorrectionKind.FACTOR})
#: They change what was counted: buckets and the ledger stay.
OF_ENERGY = frozenset(CorrectionKind) - OF_SAMPLES


class CorrectionDocument(TypedDict):
    """A correction of one field of a device over `[begin, end)`, in `corrections`. Written by the API and the command
    line; kept for good, a revoked one too. It is active while `revoked_at` is None.

    end: None for one that has no end yet. number: how many of this kind the field had before, so that of two that are
    made at once the second looks at the first; unique. changed: the hours that it touches are not all invalidated yet,
    for corrections of samples; changes with each change. touched_until: meanwhile, the end that it had before it was
    given an earlier one. ended_by, ended_at, end_reason: of that change. updated_at: by the server's clock, when a
    person last changed it.

    factor: of the samples. energy: counts, whole millionths of the unit. method: how an estimate is spread.
    incident_id: the incident that it decides. base_status: the status that the kept energy was counted with.
    other_device: the other one of an exchange. side: `old` or `new`, of an exchange. register: what that meter showed
    then, in the field's unit. group: of the corrections that were made in one step, and are revoked in one. unaudited:
    entries of the audit that are still to be written.
    """

    _id: ObjectId
    type: str
    device_id: str
    field: str
    kind: str
    number: int
    begin: datetime
    end: datetime | None
    reason: str
    made_by: str
    made_at: datetime
    revoked_at: datetime | None
    updated_at: datetime
    factor: NotRequired[int | float]
    energy: NotRequired[int]
    method: NotRequired[str]
    incident_id: NotRequired[ObjectId]
    base_status: NotRequired[str]
    other_device: NotRequired[str]
    side: NotRequired[str]
    register: NotRequired[int | float]
    group: NotRequired[ObjectId]
    changed: NotRequired[ObjectId]
    touched_until: NotRequired[datetime | None]
    ended_by: NotRequired[str]
    ended_at: NotRequired[datetime]
    end_reason: NotRequired[str]
    revoked_by: NotRequired[str]
    revoke_reason: NotRequired[str]
    unaudited: NotRequired[list[UnauditedEntry]]
