"""An alarm as the evaluator stores it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bson import ObjectId

from greenpower.alarms.change import ChangeMaker
from greenpower.alarms.machine import Episode
from greenpower.alarms.rule import AlarmRule
from greenpower.alarms.subject import AlarmSubject


def raised_alarm(subject: AlarmSubject, at: datetime, **values: Any) -> dict[str, Any]:
    """One that is active since a time."""
    rule = AlarmRule(
        number=1, name="rule", kind="threshold", params={}, type=subject.type, devices=(), zone=None, points=(),
        for_s=0, severity="warning", text="", channels=(), since=at,
    )  # fmt: skip
    maker = ChangeMaker(rule=rule, silences=(), now=at)
    made = maker.begun(subject, Episode(begin=at, value=1.0, raised_at=at, raised_value=1.0), at)
    assert made is not None
    steps = [{"seq": number, **step, "noted_at": at} for number, step in enumerate(made.steps, 1)]
    stored = {"transitions": steps, "told": 0, "untold": True, "round": 1, "updated_at": at}
    return {"_id": ObjectId(), **made.values, **stored, **values}
