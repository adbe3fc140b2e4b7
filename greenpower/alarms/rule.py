"""A rule as it is judged, and what it is about at this moment.

What belongs here: reading the rows, finding subjects, and why a rule cannot be judged. What does not: judging.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greenpower.alarms.kind import AlarmKind, read_params
from greenpower.alarms.kind_table import alarm_kinds
from greenpower.alarms.subject import AlarmSubject, SubjectKind, device_subject
from greenpower.catalog.registry import Registry
from greenpower.energy.site import EnergySite
from greenpower.sql.alarm_rule import AlarmSilence, StoredAlarmRule


class AlarmRuleError(ValueError):
    """A rule cannot be judged. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRule:
    """A rule. zone: an id. points: ids. since: what is of earlier times is not judged."""

    number: int
    name: str
    kind: str
    params: Mapping[str, Any]
    type: str | None
    devices: tuple[str, ...]
    zone: int | None
    points: tuple[int, ...]
    for_s: int
    severity: str
    text: str
    channels: tuple[int, ...]
    since: datetime

    @classmethod
    def of(cls, row: StoredAlarmRule) -> AlarmRule:
        """From its row."""
        return cls(
            number=row.id,
            name=row.name,
            kind=row.kind,
            params=row.params,
            type=row.type,
            devices=tuple(row.devices),
            zone=row.zone_id,
            points=tuple(row.points),
            for_s=row.for_s,
            severity=row.severity,
            text=row.text,
            channels=tuple(row.channels),
            since=row.since,
        )


@dataclass(frozen=True, kw_only=True)
class DeviceTable:
    """The registered devices. zones: of each device the zone that it is in; types: of each data type its devices."""

    zones: Mapping[str, int | None]
    types: Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRule:
    """A rule that can be judged: with its kind, all parameters, and its subjects. every_device: it is about all devices
    of its type, also those that are heard for the first time."""

    rule: AlarmRule
    kind: AlarmKind
    params: Mapping[str, Any]
    subjects: Sequence[AlarmSubject]
    every_device: bool = False


def check_rule(rule: AlarmRule, registry: Registry, site: EnergySite, devices: DeviceTable) -> CheckedRule:
    """A rule with what it is about. Raises AlarmRuleError."""
    kind = alarm_kinds().get(rule.kind)
    if kind is None:
        raise AlarmRuleError(f"there is no kind {rule.kind!r}; there are {', '.join(alarm_kinds())}")
    params, errors = read_params(kind, rule.params)
    if errors:
        raise AlarmRuleError("; ".join(f"{name}: {text}" for name, text in errors.items()))
    if rule.zone is not None and rule.zone not in site.zones:
        raise AlarmRuleError(f"there is no service zone {rule.zone}")
    if is_about_devices(rule, kind):
        return CheckedRule(
            rule=rule,
            kind=kind,
            params=params,
            subjects=_devices(rule, kind, params, registry, site, devices),
            every_device=not rule.devices and rule.zone is None,
        )
    return CheckedRule(rule=rule, kind=kind, params=params, subjects=_points(rule, kind, site))


def is_about_devices(rule: AlarmRule, kind: AlarmKind) -> bool:
    """Whether a rule is about devices: its kind knows nothing else, or it names a data type or devices."""
    others = kind.subjects - {SubjectKind.DEVICE}
    return not others or (SubjectKind.DEVICE in kind.subjects and (rule.type is not None or bool(rule.devices)))


def _devices(
    rule: AlarmRule,
    kind: AlarmKind,
    params: Mapping[str, Any],
    registry: Registry,
    site: EnergySite,
    devices: DeviceTable,
) -> list[AlarmSubject]:
    if rule.type is None and kind.needs_type:
        raise AlarmRuleError("it names no data type")
    if rule.type is not None:
        datatype = registry.get(rule.type)
        if datatype is None:
            raise AlarmRuleError(f"there is no data type {rule.type!r}")
        if (problem := kind.type_problem(params, datatype)) is not None:
            raise AlarmRuleError(problem)
    zones = None if rule.zone is None else site.zone_and_below(rule.zone)
    wanted = set(rule.devices)
    found = []
    for name in [rule.type] if rule.type is not None else sorted(devices.types):
        known = set(devices.types.get(name, ()))
        if rule.type is not None and wanted:
            known |= wanted  # named before they were heard
        found += [
            device_subject(name, device)
            for device in sorted(known)
            if (not wanted or device in wanted) and (zones is None or devices.zones.get(device) in zones)
        ]
    return found


def _points(rule: AlarmRule, kind: AlarmKind, site: EnergySite) -> list[AlarmSubject]:
    if gone := [number for number in rule.points if number not in site.points]:
        raise AlarmRuleError(f"there is no meter point {', '.join(map(str, gone))}")
    if not rule.points and rule.zone is not None and SubjectKind.ZONE in kind.subjects:
        return [AlarmSubject(SubjectKind.ZONE, number=rule.zone, name=site.zone_names.get(rule.zone, ""))]
    numbers: Iterable[int] = rule.points
    if not rule.points:
        several = site.points.values() if rule.zone is None else site.in_zone(rule.zone)
        numbers = [point.number for point in several]
    return [AlarmSubject(SubjectKind.POINT, number=number, name=site.points[number].name) for number in numbers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A time for which people are not told of some alarms."""

    number: int
    rule: int | None
    subject: str | None
    begin: datetime
    end: datetime | None

    @classmethod
    def of(cls, row: AlarmSilence) -> Silence:
        """From its row."""
        return cls(number=row.id, rule=row.rule_id, subject=row.subject, begin=row.begins_at, end=row.ends_at)

    def covers(self, rule: int, subject: str, now: datetime) -> bool:
        """Whether it holds for an alarm now."""
        return (
            self.rule in (None, rule)
            and self.subject in (None, subject)
            and self.begin <= now
            and (self.end is None or now < self.end)
        )
