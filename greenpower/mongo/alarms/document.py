"""The shapes of alarms, and of what the evaluator keeps of its work.

What belongs here: every key, its unit and its writer. What does not: writing (`store`, `progress`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NotRequired, TypedDict

from bson import ObjectId

from greenpower.mongo.unaudited import UnauditedEntry


class AlarmState(StrEnum):
    """PENDING: the limit is passed, but not for long enough. CANCELLED: it ended so; nobody is told."""

    PENDING = "pending"
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    CANCELLED = "cancelled"


class AlarmStep(StrEnum):
    """What happened to an alarm. UNSILENCED: the silence for which nobody was told is over, and it is still active."""

    PENDING = "pending"
    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    CANCELLED = "cancelled"
    UNSILENCED = "unsilenced"


class AlarmTransitionDocument(TypedDict):
    """A transition. seq: from 1, without gaps, in the order in which they were stored. at: the time of what caused it.
    noted_at: when it was stored, by the server's clock. value: the value that caused it. by, note: of an
    acknowledgement. reason: why it was cleared without a value. silent: people are not told."""

    seq: int
    step: str
    at: datetime
    noted_at: datetime
    silent: bool
    value: NotRequired[float | None]
    by: NotRequired[str]
    note: NotRequired[str]
    reason: NotRequired[str]


class AlarmDocument(TypedDict):
    """An occurrence of an alarm, in `alarms`. Unique on (rule_id, subject, begin), and on (rule_id, subject) while it
    is open. Written by the worker; acknowledged by the API.

    subject: the key of `AlarmSubject`; subject_name: what people called it then. type, device_id: of a device.
    point_id, subject_zone_id: of a point or zone.
    open: pending, active or acknowledged. begin: the first time beyond the limit. value: of the raise, else of the
    begin. late: raised by what was known long after its time. cleared_reason: `value`, or what else ended it.
    silence_id: the silence for which it is not told. seen_at: the newest observation that its last write took
    into account; round: of which round of the evaluator that was. told: up to which transition it was passed on;
    untold: there while there are more. channels, rule_name, kind, severity, text: of the rule, when it was raised.
    """

    _id: ObjectId
    rule_id: int
    rule_name: str
    kind: str
    severity: str
    text: str
    channels: list[int]
    subject: str
    subject_name: str
    type: str | None
    device_id: str | None
    point_id: int | None
    subject_zone_id: int | None
    state: str
    open: bool
    begin: datetime
    value: float | None
    late: bool
    raised_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None
    cleared_at: datetime | None
    cleared_value: float | None
    cleared_reason: str | None
    silence_id: int | None
    transitions: list[AlarmTransitionDocument]
    told: int
    round: int
    seen_at: datetime
    updated_at: datetime
    untold: NotRequired[bool]
    cancelled_at: NotRequired[datetime]
    unaudited: NotRequired[list[UnauditedEntry]]


class AlarmPositionDocument(TypedDict):
    """Up to where the readings of a type were judged, in `alarm_progress`: of those looked at as soon as they are
    there, and of those looked at again when slower writers have stored theirs. _id: `position|type`."""

    _id: str
    newest: datetime
    settled: datetime


class AlarmChunkDocument(TypedDict):
    """The newest observation of a part of a rule's subjects, in `alarm_progress`. _id: `chunk|rule|number`. round: the
    one that wrote it."""

    _id: str
    rule_id: int
    round: int
    subjects: list[str]
    times: list[datetime]


class AlarmRuleStatusDocument(TypedDict):
    """How a rule does, in `alarm_progress`. _id: `rule|id`. problem: why it cannot be judged; empty where it can.
    subjects: how many it is about. failures: how often judging it has failed."""

    _id: str
    rule_id: int
    judged_at: datetime
    problem: str
    subjects: int
    failures: int


class AlarmRoundDocument(TypedDict):
    """The last round that was finished, in `alarm_progress`. _id: `round`. lag: seconds from when the oldest reading
    that it judged was stored to its end; errors: rules that failed, since ever."""

    _id: str
    number: int
    began_at: datetime
    ended_at: datetime
    readings: int
    lag: float
    errors: int
