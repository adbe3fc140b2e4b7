"""What a rule is about: a device with its data type, a meter point, or a service zone as a whole. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class SubjectKind(StrEnum):
    """What kinds of subjects there are."""

    DEVICE = "device"
    POINT = "point"
    ZONE = "zone"


@dataclass(frozen=True, slots=True)
class AlarmSubject:
    """A subject. type, device_id: of a device, as on the wire. number: the id of a point or zone. name: what people
    call it."""

    kind: SubjectKind
    type: str | None = None
    device_id: str | None = None
    number: int | None = None
    name: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """Its name in alarms: `type|device`, `point|5` or `zone|2`; unique among the subjects of a rule."""
        if self.kind is SubjectKind.DEVICE:
            return f"{self.type}|{self.device_id}"
        return f"{self.kind.value}|{self.number}"


def device_subject(type_name: str, device_id: str) -> AlarmSubject:
    """That of a device."""
    return AlarmSubject(SubjectKind.DEVICE, type_name, device_id, name=device_id)
