"""What was seen of a rule's subjects, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from greenpower.alarms.change import ChangeMaker
from greenpower.alarms.machine import Observation
from greenpower.alarms.pair import Told
from greenpower.alarms.rule import CheckedRule
from greenpower.alarms.subject import AlarmSubject

LateSubject = tuple[AlarmSubject, datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Observations of some subjects of a rule, of each in order of time."""

    checked: CheckedRule
    observations: Sequence[tuple[AlarmSubject, Sequence[Observation]]]


@dataclass(slots=True, kw_only=True)
class LookResult:
    """What came of a look, beside changes. late: by subject, those with late observations: the earliest of them, and
    the newest observation of all. told: their episodes of this round."""

    maker: ChangeMaker
    late: dict[str, LateSubject] = field(default_factory=dict)
    told: dict[str, list[Told]] = field(default_factory=dict)
