"""Passing on what happened to alarms: to dashboards over Redis, and to people through the outbox of notices.

Transitions are stored first and passed on from there, each with an id of its own: the alarm's, and its number. Cut off
in between, it is passed on again with the same id; the outbox takes a notice once. What belongs here: the messages.
What does not: sending notices (`greenpower.notify`), who may see an alarm (`greenpower.realtime`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from bson import ObjectId
from pymongo.database import Database
from redis import Redis

from greenpower.bus.keys import ALARM_CHANNEL
from greenpower.bus.message import Message, stamp
from greenpower.mongo.alarms.document import AlarmStep
from greenpower.mongo.alarms.find import find_untold
from greenpower.mongo.alarms.store import note_told
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ALARMS
from greenpower.notify.notice import Notice, NoticeSeverity
from greenpower.notify.put import put

ALARMS_PER_TELLING = 200
# What is told of each step; of the others nobody hears.
EVENT_NAMES = {
    AlarmStep.RAISED: "raised",
    AlarmStep.UNSILENCED: "raised",
    AlarmStep.ACKNOWLEDGED: "acknowledged",
    AlarmStep.CLEARED: "cleared",
}


def tell(db: Database[Document], redis: Redis | None, now: datetime) -> int:
    """Pass on all transitions that were not. redis: None where there are no dashboards. Returns how many. Raises
    RedisError, PyMongoError; what was not passed on is when it is called again."""
    count = 0
    while alarms := find_untold(db[ALARMS], ALARMS_PER_TELLING):
        messages: list[Message] = []
        notices: list[Notice] = []
        told: dict[ObjectId, tuple[int, int]] = {}
        for alarm in alarms:
            for transition in alarm["transitions"][alarm["told"] :]:
                if transition["step"] in EVENT_NAMES:
                    messages.append(alarm_message(alarm, transition))
                    if not transition["silent"]:
                        notices += notices_of(alarm, transition)
            told[alarm["_id"]] = alarm["told"], len(alarm["transitions"])
        put(db, notices, now=now, redis=redis)
        if messages and redis is not None:
            redis.publish(ALARM_CHANNEL, orjson.dumps(messages))
        note_told(db[ALARMS], told)
        count += len(messages)
    return count


def alarm_message(alarm: Mapping[str, Any], transition: Mapping[str, Any]) -> Message:
    """What a dashboard gets of a transition."""
    return {
        "id": f"{alarm['_id']}-{transition['seq']}",
        "alarm_id": str(alarm["_id"]),
        "seq": transition["seq"],
        "event": EVENT_NAMES[AlarmStep(transition["step"])],
        "at": stamp(transition["at"]),
        "value": transition.get("value"),
        "by": transition.get("by"),
        "note": transition.get("note"),
        "reason": transition.get("reason"),
        "silent": transition["silent"],
        "rule_id": alarm["rule_id"],
        "rule": alarm["rule_name"],
        "kind": alarm["kind"],
        "severity": alarm["severity"],
        "text": alarm["text"],
        "subject": alarm["subject"],
        "subject_name": alarm["subject_name"],
        "type": alarm["type"],
        "device_id": alarm["device_id"],
        "point_id": alarm["point_id"],
        "zone_id": alarm["subject_zone_id"],
        "raised_at": None if alarm["raised_at"] is None else stamp(alarm["raised_at"]),
        "late": alarm["late"],
    }


def notices_of(alarm: Mapping[str, Any], transition: Mapping[str, Any]) -> Iterator[Notice]:
    """What people get of a transition, one for each channel."""
    event = EVENT_NAMES[AlarmStep(transition["step"])]
    severity = {"raised": NoticeSeverity(alarm["severity"]), "cleared": NoticeSeverity.RESOLVED}
    title = f"{alarm['rule_name']}: {alarm['subject_name']} {event}"
    if alarm["late"]:
        title += " (late)"
    for channel in alarm["channels"]:
        yield Notice(
            key=f"alarm/{alarm['_id']}/{transition['seq']}",
            channel_id=channel,
            subject=title,
            text="\n".join(_lines(alarm, transition, event)),
            severity=severity.get(event, NoticeSeverity.INFO),
        )


def _lines(alarm: Mapping[str, Any], transition: Mapping[str, Any], event: str) -> Iterator[str]:
    yield f"{alarm['rule_name']} ({alarm['severity']}): {event}"
    if alarm["text"]:
        yield alarm["text"]
    subject = alarm["subject_name"] if alarm["type"] is None else f"{alarm['subject_name']} ({alarm['type']})"
    yield f"About: {subject}"
    if alarm["raised_at"] is not None:
        yield f"Raised at: {stamp(alarm['raised_at'])}, value {alarm['value']}"
    if event != "raised":
        yield f"{event.capitalize()} at: {stamp(transition['at'])}"
    if transition.get("value") is not None and event == "cleared":
        yield f"Value: {transition['value']}"
    if transition.get("by"):
        yield f"By: {transition['by']}"
    if transition.get("note"):
        yield f"Note: {transition['note']}"
    if transition.get("reason"):
        yield f"Reason: {transition['reason']}"
    if alarm["late"]:
        yield "What raised it came long after its time."
