"""Corrections and stretches: adding what a correction does to stretches, and naming it there. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import accumulate, pairwise

from greenpower.measure.adjustment.quarters import Adjustment, quarter_of, start_of_quarter
from greenpower.mongo.corrections.document import CorrectionDocument, CorrectionKind
from greenpower.mongo.energy.stretch import DeviceEnergy, Stretch

# Quarter-hours `[begin, end)`, by their numbers.
Masks = Sequence[tuple[int, int]]


def may_touch(correction: CorrectionDocument, boundaries: Sequence[datetime]) -> bool:
    """Whether a correction may change anything between the first and the last boundary."""
    begin, end = correction["begin"], correction["end"]
    if correction["kind"] == CorrectionKind.INCIDENT:
        return start_of_quarter(quarter_of(begin)) < boundaries[-1] and begin >= boundaries[0]
    if correction["kind"] == CorrectionKind.FIXED:
        return begin < boundaries[-1] and (end is None or end > boundaries[0])
    # What it moves comes from a sample after it, at whatever time.
    return start_of_quarter(quarter_of(begin)) < boundaries[-1]


def masks_of(correction: CorrectionDocument, others: Collection[CorrectionDocument]) -> Masks:
    """The quarter-hours in which another correction has the last word."""
    if correction["kind"] == CorrectionKind.FIXED:
        return ()
    return [
        (quarter_of(other["begin"]), quarter_of(other["end"]))
        for other in others
        if other["kind"] == CorrectionKind.FIXED
        and other["device_id"] == correction["device_id"]
        and other["end"] is not None
    ]


def add_to_stretches(
    stretches: Sequence[Stretch],
    boundaries: Sequence[datetime],
    correction: CorrectionDocument,
    adjustment: Adjustment,
    masks: Masks,
    *,
    unsure: bool,
) -> None:
    """Add an adjustment to stretches."""
    numbers = sorted(number for number in adjustment.energy if not any(begin <= number < end for begin, end in masks))
    energies = [0, *accumulate(adjustment.energy[number] for number in numbers)]
    silences = [0, *accumulate(adjustment.silence.get(number, 0) for number in numbers)]
    places = [bisect_left(numbers, quarter_of(boundary)) for boundary in boundaries]
    for stretch, (first, last) in zip(stretches, pairwise(places), strict=True):
        if first == last:
            continue
        stretch.energy += energies[last] - energies[first]
        stretch.silence_s += silences[last] - silences[first]
        stretch.corrections = (*stretch.corrections, correction["_id"])
        stretch.given |= correction["kind"] in (CorrectionKind.FIXED, CorrectionKind.ESTIMATE)
        stretch.estimated |= correction["kind"] == CorrectionKind.ESTIMATE
        stretch.uncertain |= unsure


def name_until_next_sample(
    energy: DeviceEnergy, boundaries: Sequence[datetime], correction: CorrectionDocument
) -> None:
    """Name a correction of samples in the stretches that it touches. The last one has the first sample after it, whose
    step is another one, too."""
    begin, end = correction["begin"], correction["end"]
    known_at = None if energy.before is None else energy.before.at
    for stretch, (since, until) in zip(energy.stretches, pairwise(boundaries), strict=True):
        if end is not None and since >= end and known_at is not None and known_at >= end:
            return
        if begin < until:
            stretch.corrections = (*stretch.corrections, correction["_id"])
        known_at = stretch.last_at or known_at
