"""Reading readings for numbers: as people have corrected their samples.

All that is rolled up, and all that is looked at around it, is read here, so that a sample that is left out is left out
everywhere. What does not belong here: readings as the device sent them, for lists and exports.
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.measure.correction import SampleCorrection, SampleCorrections, Span, correct, left_out
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import OF_SAMPLES, CorrectionKind
from greenpower.mongo.corrections.store import read_active
from greenpower.mongo.rollups.source import neighbours
from greenpower.mongo.rollups.stretch_readings import StretchReadings
from greenpower.mongo.schema.layout import CORRECTIONS


def read_sample_corrections(
    db: Database[Document], type_name: str, devices: Iterable[str] | None = None
) -> SampleCorrections:
    """What is in force of a type's samples, by device. devices: None for all. Raises PyMongoError."""
    found: dict[str, list[SampleCorrection]] = {}
    for document in read_active(db[CORRECTIONS], type=type_name, devices=devices, kinds=OF_SAMPLES):
        factor = document["factor"] if document["kind"] == CorrectionKind.FACTOR else None
        one = SampleCorrection(field=document["field"], begin=document["begin"], end=document["end"], factor=factor)
        found.setdefault(document["device_id"], []).append(one)
    return found


def corrected(readings: Sequence[Document], device: str, corrections: SampleCorrections) -> Sequence[Document]:
    """Readings of a device, in order of time, as they are corrected."""
    mine = corrections.get(device)
    return readings if not mine else correct(readings, mine)


def corrected_by_device(readings: StretchReadings, corrections: SampleCorrections) -> dict[str, Sequence[Document]]:
    """Readings of a stretch by device, as they are corrected."""
    found = readings.by_device()
    for device in corrections.keys() & found.keys():
        found[device] = correct(found[device], corrections[device])
    return found


def corrected_neighbours(
    collection: Collection[Document],
    device: str,
    time: datetime,
    limit: int,
    *,
    before: bool,
    fields: AnyOf[str],
    corrections: SampleCorrections,
    having: str | None = None,
) -> list[Document]:
    """As `neighbours`, as they are corrected. having: only readings with a number there that is not left out."""
    mine = corrections.get(device)
    if not mine:
        return neighbours(collection, device, time, limit, before=before, fields=fields, having=having)
    if having is None:
        found = neighbours(collection, device, time, limit, before=before, fields=fields)
        return correct(found, mine)
    found = []
    for begin, end in _around(left_out(mine, having), time, before=before):
        part = neighbours(
            collection,
            device,
            (end if before else begin) or time,
            limit - len(found),
            before=before,
            fields=fields,
            having=having,
            limited=begin if before else end,
        )
        found = part + found if before else found + part
        if len(found) == limit:
            break
    return correct(found, mine)


def _around(
    spans: Sequence[Span], time: datetime, *, before: bool
) -> Iterator[tuple[datetime | None, datetime | None]]:
    """The stretches outside of spans, that next to a time first: those before it, or those from it on. None for no
    limit."""
    if before:
        end: datetime = time
        for since, until in reversed(spans):
            if since < end:
                if until is not None and until < end:
                    yield until, end
                end = since
        yield None, end
        return
    begin = time
    for since, until in spans:
        if until is None or until > begin:
            if since > begin:
                yield begin, since
            if until is None:
                return
            begin = until
    yield begin, None
