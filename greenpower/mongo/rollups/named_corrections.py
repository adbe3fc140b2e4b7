"""Naming corrections: rows that lie in a correction of samples say so, by its id.

A reading is shown as the device sent it, and names what is done to it before it is counted; a bucket is made of samples
that are corrected. What does not belong here: what corrections do (`greenpower.measure.correction`), corrections of
energy, which change no row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import OF_SAMPLES, CorrectionDocument, CorrectionKind
from greenpower.mongo.corrections.store import read_active
from greenpower.mongo.rollups.present import Present
from greenpower.mongo.rollups.tier_view import TierView
from greenpower.mongo.schema.layout import CORRECTIONS

NAMED = "corrections"
# A reading has no length: it lies in a span that begins with it.
MILLISECOND = timedelta(milliseconds=1)


class NamedSpan(NamedTuple):
    """Of a correction, what a row is held against. hides: it may be why a bucket has no such field."""

    id: str
    field: str
    begin: datetime
    end: datetime | None
    hides: bool


def naming(
    present: Present,
    db: Database[Document],
    type_name: str,
    tier_view: TierView,
    *,
    names: Sequence[str] = (),
    devices: Sequence[str] = (),
    start: datetime | None = None,
    end: datetime | None = None,
) -> Present:
    """A function that makes rows as `present` does, and names the corrections that they lie in under `corrections`,
    where there are any. names: the requested fields, devices: the requested devices; empty for all. start, end: of the
    request. Raises PyMongoError."""
    length = MILLISECOND if tier_view.window is None else timedelta(seconds=tier_view.window)
    found = read_active(
        db[CORRECTIONS],
        type=type_name,
        devices=devices or None,
        kinds=OF_SAMPLES,
        begin=start,
        end=None if end is None else end + length,
    )
    spans: defaultdict[str, list[NamedSpan]] = defaultdict(list)
    for one in found:
        if not names or one["field"] in names:
            spans[one["device_id"]].append(_span(one, is_bucket=tier_view.window is not None))
    if not spans:
        return present

    def present_named(document: Document) -> Document:
        row = present(document)
        time = row["timestamp"]
        if mine := spans.get(row["device_id"]):
            ids = [span.id for span in mine if _lies_in(span, time, time + length, row["payload"])]
            if ids:
                row[NAMED] = ids
        return row

    return present_named


def _span(one: CorrectionDocument, *, is_bucket: bool) -> NamedSpan:
    hides = is_bucket and one["kind"] == CorrectionKind.EXCLUSION
    return NamedSpan(str(one["_id"]), one["field"], one["begin"], one["end"], hides)


def _lies_in(span: NamedSpan, time: datetime, end: datetime, payload: Document) -> bool:
    """Whether a row from a time to before another has to do with a correction. Times of exports have no zone."""
    if span.field not in payload and not span.hides:
        return False
    since, until = span.begin, span.end
    if time.tzinfo is None:
        since, until = since.replace(tzinfo=None), None if until is None else until.replace(tzinfo=None)
    return since < end and (until is None or time < until)
