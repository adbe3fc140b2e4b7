"""Counter incidents of a device that wait for a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from greenpower.alarms.kind import AlarmKind, KindParam, ParamKind, Params
from greenpower.alarms.machine import Condition, Observation
from greenpower.alarms.site_view import SiteView
from greenpower.alarms.subject import AlarmSubject, SubjectKind
from greenpower.mongo.alarms.site import count_open_incidents

EVERY_SECONDS = 60


def observe(
    view: SiteView, params: Params, subjects: Sequence[AlarmSubject], since: float
) -> Mapping[str, Sequence[Observation]]:
    """How many are open now. It begins with the oldest of them."""
    found: dict[str, list[Observation]] = {}
    for type_name in sorted({subject.type for subject in subjects if subject.type is not None}):
        of_type = {item.device_id or "": item.key for item in subjects if item.type == type_name}
        open_ones = count_open_incidents(view.db, type_name, of_type, params["field"])
        for device, key in of_type.items():
            count = open_ones.get(device, 0)
            condition = Condition.BEYOND if count >= params["count"] else Condition.WITHIN
            found[key] = [Observation(at=view.now, condition=condition, value=float(count))]
    return found


KIND = AlarmKind(
    name="incidents",
    title="Open counter incidents",
    text="A counter of a device has incidents that nobody has decided on. It is cleared when they are decided.",
    subjects=frozenset({SubjectKind.DEVICE}),
    params=(
        KindParam(
            name="count", text="from how many on", kind=ParamKind.INTEGER, default=1, minimum=1, maximum=1_000
        ),
        KindParam(name="field", text="only those of this counter", kind=ParamKind.TEXT),
    ),
    example={"count": 1},
    observe=observe,
    every=EVERY_SECONDS,
    settled=False,
)  # fmt: skip
