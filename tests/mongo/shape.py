"""Holding stored documents against their typed views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from greenpower.mongo.adjustments.document import AdjustmentDocument
from greenpower.mongo.alarms.document import (
    AlarmChunkDocument,
    AlarmDocument,
    AlarmPositionDocument,
    AlarmRoundDocument,
    AlarmRuleStatusDocument,
)
from greenpower.mongo.archive.document import ArchiveMonthDocument
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.mongo.devices.document import (
    AnswerDocument,
    ClockDocument,
    DeviceSettingsDocument,
    ListeningDocument,
    PushKeyDocument,
    SeenDocument,
    SessionsDocument,
)
from greenpower.mongo.energy.document import IntervalDocument, MonthDocument
from greenpower.mongo.events.document import EventDocument
from greenpower.mongo.imports.document import UploadDocument
from greenpower.mongo.notifications.document import NoticeDocument
from greenpower.mongo.outbound.document import OutboundPositionDocument
from greenpower.mongo.processes.document import ProcessDocument, RestoreDocument
from greenpower.mongo.readings.document import (
    FragmentDocument,
    MessageDocument,
    ReadingDocument,
    SampleDeviceDocument,
)
from greenpower.mongo.rollups.document import (
    AsOfDocument,
    AttemptDocument,
    BucketDocument,
    CopyDocument,
    DeviceFieldsDocument,
    ExchangeDocument,
    FieldKindsDocument,
    IncidentDocument,
    InvalidationDocument,
    InvalidationReadDocument,
    UnfinishedDocument,
    WatermarkDocument,
)
from greenpower.mongo.schema import layout
from greenpower.mongo.schema.version import SchemaDocument
from greenpower.mongo.wiring.document import WiringFindingDocument

View = Any  # a TypedDict
#: the views of the core's collections
VIEWS: dict[str, tuple[View, ...]] = {
    layout.EVENTS: (EventDocument,),
    layout.CLOCKS: (ClockDocument,),
    layout.SESSIONS: (SessionsDocument,),
    layout.PARTS: (FragmentDocument, SampleDeviceDocument),
    layout.MESSAGES: (MessageDocument,),
    layout.SEEN: (SeenDocument,),
    layout.LISTENING: (ListeningDocument,),
    layout.PUSH_KEYS: (PushKeyDocument,),
    layout.DEVICE_SETTINGS: (DeviceSettingsDocument,),
    layout.INVALIDATIONS: (InvalidationDocument, UnfinishedDocument),
    layout.INVALIDATION_READS: (InvalidationReadDocument,),
    layout.WATERMARKS: (WatermarkDocument, AsOfDocument),
    layout.FIELD_KINDS: (FieldKindsDocument, DeviceFieldsDocument),
    layout.ATTEMPTS: (AttemptDocument,),
    layout.INCIDENTS: (IncidentDocument,),
    layout.CORRECTIONS: (CorrectionDocument,),
    layout.EXCHANGES: (ExchangeDocument,),
    layout.ADJUSTMENTS: (AdjustmentDocument,),
    layout.INTERVALS: (IntervalDocument,),
    layout.ENERGY_DAYS: (MonthDocument,),
    layout.ANSWERS: (AnswerDocument,),
    layout.ARCHIVE_MANIFEST: (ArchiveMonthDocument,),
    layout.SCHEMA: (SchemaDocument,),
    layout.PROCESSES: (ProcessDocument,),
    layout.RESTORES: (RestoreDocument,),
    layout.UPLOADS: (UploadDocument,),
    layout.WIRING_FINDINGS: (WiringFindingDocument,),
    layout.NOTIFICATIONS: (NoticeDocument,),
    layout.ALARMS: (AlarmDocument,),
    layout.ALARM_PROGRESS: (
        AlarmPositionDocument,
        AlarmChunkDocument,
        AlarmRuleStatusDocument,
        AlarmRoundDocument,
    ),
    layout.OUTBOUND_POSITIONS: (OutboundPositionDocument,),
}
#: those of the data types' collections
OF_TYPES: tuple[View, ...] = (ReadingDocument, CopyDocument, BucketDocument)


def matches(value: object, hint: Any) -> bool:
    """Whether a stored value is of an annotated type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint is None or hint is NoneType:
        return value is None
    if origin in (Union, UnionType):
        return any(matches(value, argument) for argument in arguments)
    if is_typeddict(hint):
        return isinstance(value, Mapping) and not problems(value, hint)
    if origin is list:
        return isinstance(value, list) and all(matches(item, arguments[0]) for item in value)
    if origin is dict:
        pairs = value.items() if isinstance(value, Mapping) else ()
        return isinstance(value, Mapping) and all(
            matches(k, arguments[0]) and matches(v, arguments[1]) for k, v in pairs
        )
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, int) if hint is int else isinstance(value, hint)


def problems(document: Mapping[str, Any], view: View) -> list[str]:
    """What of a document is not as its view says."""
    hints = get_type_hints(view)
    # `__required_keys__` overlooks NotRequired in annotations that are not evaluated.
    marked = get_type_hints(view, include_extras=True)
    required = {key for key, hint in marked.items() if get_origin(hint) is not NotRequired}
    missing = [f"{key} is missing" for key in required - document.keys()]
    unknown = [f"{key} is not in the view" for key in document.keys() - hints.keys()]
    wrong = [
        f"{key} is {value!r}, not {hints[key]}"
        for key, value in document.items()
        if key in hints and not matches(value, hints[key])
    ]
    return [*missing, *unknown, *wrong]


def check(documents: Sequence[Mapping[str, Any]], views: Sequence[View]) -> dict[str, set[str]]:
    """Hold each document against the one view that it fits. Returns the keys seen, by view."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for document in documents:
        found = {view.__name__: problems(document, view) for view in views}
        fitting = [name for name, wrong in found.items() if not wrong]
        assert len(fitting) == 1, (document, found)
        seen[fitting[0]] |= document.keys()
    return seen
