"""A device that sends nothing for too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from greenpower.alarms.kind import AlarmKind, KindParam, Params
from greenpower.alarms.machine import Condition, Observation
from greenpower.alarms.site_view import SiteView
from greenpower.alarms.subject import AlarmSubject, SubjectKind
from greenpower.measure.presence import listened_silence, patience
from greenpower.mongo.alarms.site import read_seen, read_spans
from greenpower.mongo.devices.listening import spans_of


def observe(
    view: SiteView, params: Params, subjects: Sequence[AlarmSubject], since: float
) -> Mapping[str, Sequence[Observation]]:
    """Silence counts while ingest listens. It begins where the device was allowed no more of it."""
    listening = read_spans(view.db)
    found: dict[str, list[Observation]] = {}
    types = {subject.type for subject in subjects if subject.type is not None}
    for name in sorted(types):
        datatype = view.registry.get(name)
        if datatype is None:
            continue
        spans = spans_of(listening, view.sources(datatype))
        seen = read_seen(view.db, [subject.key for subject in subjects if subject.type == name])
        for key, document in seen.items():
            heard = document["last_heard"]
            if params["seconds"] is None:
                own = view.intervals.get(document["device_id"]) or 0
                limit = patience(datatype.stale_after, max(document.get("interval") or 0, own))
            else:
                limit = timedelta(seconds=params["seconds"])
            silence = listened_silence(heard, spans, limit)
            value = (view.now - heard).total_seconds()
            if silence > limit:
                item = Observation(at=heard + limit, until=view.now, condition=Condition.BEYOND, value=value)
            else:
                item = Observation(at=heard, until=view.now, condition=Condition.WITHIN, value=max(0.0, value))
            found[key] = [item]
    return found


KIND = AlarmKind(
    name="silence",
    title="Device is silent",
    text="A device sends nothing for longer than it may. Only the time counts for which ingest was listening.",
    subjects=frozenset({SubjectKind.DEVICE}),
    params=(
        KindParam(
            name="seconds", text="how long it may be silent; default: what makes it offline", minimum=10,
            maximum=31 * 86_400,
        ),
    ),
    example={"seconds": 900},
    observe=observe,
    every=10,
    settled=False,
)  # fmt: skip
