"""What is written of episodes: an alarm that begins, and what becomes of one that is there. Pure.

What belongs here: from episodes to `AlarmChange`. What does not: finding them (`machine`), writing them
(`greenpower.mongo.alarms.store`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greenpower.alarms.machine import Episode
from greenpower.alarms.rule import AlarmRule, Silence
from greenpower.alarms.subject import AlarmSubject, SubjectKind
from greenpower.mongo.alarms.document import AlarmState, AlarmStep
from greenpower.mongo.alarms.store import OPEN_STATES, RAISED_STATES, AlarmChange

BY_VALUE = "value"
RULE_GONE, SUBJECT_GONE = "rule_gone", "subject_gone"


def episode_of(document: Mapping[str, Any]) -> Episode:
    """The episode that an open alarm is."""
    return Episode(
        begin=document["begin"],
        value=document["value"],
        raised_at=document["raised_at"],
        raised_value=document["value"],
        late=document["late"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMaker:
    """Makes changes of the alarms of a rule. silences: all of them. now: when the round began."""

    rule: AlarmRule
    silences: Sequence[Silence]
    now: datetime

    def begun(self, subject: AlarmSubject, episode: Episode, seen_at: datetime) -> AlarmChange | None:
        """A new alarm. None for one that was pending and is over: nothing came of it."""
        if episode.raised_at is None and episode.ended_at is not None:
            return None
        rule = self.rule
        silence = self._silence(subject)
        steps = []
        if episode.raised_at is None or episode.raised_at > episode.begin:
            # Of a pending alarm people are never told.
            steps.append(step(AlarmStep.PENDING, episode.begin, True, episode.value))
        values = {
            "rule_id": rule.number,
            "rule_name": rule.name,
            "kind": rule.kind,
            "severity": rule.severity,
            "text": rule.text,
            "channels": list(rule.channels),
            "subject": subject.key,
            "subject_name": subject.name,
            "type": subject.type,
            "device_id": subject.device_id,
            "point_id": subject.number if subject.kind is SubjectKind.POINT else None,
            "subject_zone_id": subject.number if subject.kind is SubjectKind.ZONE else None,
            "state": AlarmState.PENDING.value,
            "open": True,
            "begin": episode.begin,
            "value": episode.value,
            "late": False,
            "raised_at": None,
            "acknowledged_at": None,
            "acknowledged_by": None,
            "note": None,
            "cleared_at": None,
            "cleared_value": None,
            "cleared_reason": None,
            "silence_id": None,
            "seen_at": seen_at,
        }
        if episode.raised_at is not None:
            steps.append(self._raise(values, episode, silence))
        if episode.ended_at is not None:
            steps.append(cleared(values, episode, silence is not None))
        return AlarmChange(values=values, steps=steps)

    def continued(
        self, subject: AlarmSubject, document: Mapping[str, Any], episode: Episode, seen_at: datetime
    ) -> AlarmChange | None:
        """What becomes of an alarm that is there. None where nothing does."""
        was_raised = document["raised_at"] is not None
        if episode.ended_at is None and (was_raised or episode.raised_at is None):
            return None
        if episode.raised_at is None:
            values: dict[str, Any] = {
                "state": AlarmState.CANCELLED.value,
                "open": False,
                "cleared_at": episode.ended_at,
                "cancelled_at": self.now,
                "seen_at": seen_at,
            }
            steps = [step(AlarmStep.CANCELLED, episode.ended_at or episode.begin, True, episode.ended_value)]
            return AlarmChange(id=document["_id"], values=values, steps=steps, states=(AlarmState.PENDING.value,))
        values = {"seen_at": seen_at}
        steps = []
        silent = document["silence_id"] is not None
        if not was_raised:
            silence = self._silence(subject)
            silent = silence is not None
            steps.append(self._raise(values, episode, silence))
        if episode.ended_at is not None:
            steps.append(cleared(values, episode, silent))
        states = RAISED_STATES if was_raised else (AlarmState.PENDING.value,)
        return AlarmChange(id=document["_id"], values=values, steps=steps, states=states)

    def revived(
        self, document: Mapping[str, Any], subject: AlarmSubject, episode: Episode, seen_at: datetime
    ) -> AlarmChange:
        """A pending alarm that was cancelled and, with what came late, was one after all."""
        values: dict[str, Any] = {"seen_at": seen_at, "open": True, "cleared_at": None}
        silence = self._silence(subject)
        steps = [self._raise(values, episode, silence)]
        if episode.ended_at is not None:
            steps.append(cleared(values, episode, silence is not None))
        return AlarmChange(
            id=document["_id"],
            values=values,
            steps=steps,
            states=(AlarmState.CANCELLED.value,),
            drop=("cancelled_at",),
        )

    def _silence(self, subject: AlarmSubject) -> Silence | None:
        covering = (item for item in self.silences if item.covers(self.rule.number, subject.key, self.now))
        return next(covering, None)

    def _raise(self, values: dict[str, Any], episode: Episode, silence: Silence | None) -> dict[str, Any]:
        at = episode.raised_at or episode.begin
        values |= {
            "state": AlarmState.ACTIVE.value,
            "raised_at": at,
            "value": episode.raised_value,
            "late": episode.late,
            "silence_id": None if silence is None else silence.number,
        }
        return step(AlarmStep.RAISED, at, silence is not None, episode.raised_value)


def step(kind: AlarmStep, at: datetime, silent: bool, value: float | None) -> dict[str, Any]:
    """A transition that a value caused."""
    return {"step": kind.value, "at": at, "silent": silent, "value": value}


def cleared(values: dict[str, Any], episode: Episode, silent: bool) -> dict[str, Any]:
    """Add to values what an alarm that ended by itself has. Returns its transition."""
    values |= {
        "state": AlarmState.CLEARED.value,
        "open": False,
        "cleared_at": episode.ended_at,
        "cleared_value": episode.ended_value,
        "cleared_reason": BY_VALUE,
    }
    return step(AlarmStep.CLEARED, episode.ended_at or episode.begin, silent, episode.ended_value)


def ended(document: Mapping[str, Any], reason: str, now: datetime) -> AlarmChange:
    """An alarm that ends since its rule or subject is no more."""
    if document["raised_at"] is None:
        return AlarmChange(
            id=document["_id"],
            values={
                "state": AlarmState.CANCELLED.value,
                "open": False,
                "cleared_at": now,
                "cancelled_at": now,
            },
            steps=[{"step": AlarmStep.CANCELLED.value, "at": now, "silent": True, "reason": reason}],
            states=(AlarmState.PENDING.value,),
        )
    return AlarmChange(
        id=document["_id"],
        values={
            "state": AlarmState.CLEARED.value,
            "open": False,
            "cleared_at": now,
            "cleared_reason": reason,
        },
        steps=[
            {
                "step": AlarmStep.CLEARED.value,
                "at": now,
                "silent": document["silence_id"] is not None,
                "reason": reason,
            }
        ],
        states=OPEN_STATES,
    )


def unsilenced(document: Mapping[str, Any], now: datetime) -> AlarmChange:
    """The silence of an alarm that is still open is over: people are told now."""
    return AlarmChange(
        id=document["_id"],
        values={"silence_id": None},
        steps=[step(AlarmStep.UNSILENCED, now, False, document["value"])],
        states=RAISED_STATES,
    )
