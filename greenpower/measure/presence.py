"""Presence: when a silent device is offline. Pure.

A device is offline when it was silent for longer than the larger of its type's `stale_after` and 2.5 times its own
interval. Silence counts only while ingest listened: it writes down the spans in which it did. What is between them does
not count, and neither does a while after each gap, until devices are heard again. So no restart makes a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low

# Two messages may be lost before a third makes an alarm.
INTERVALS = 2.5
# After a gap: gateways dial in again, the broker hands out what it kept.
SETTLING = timedelta(seconds=60)
# The gaps between the newest readings that the interval is taken from.
GAPS = 5


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which ingest listened."""

    since: datetime
    until: datetime


def usual_interval(gaps: Sequence[float]) -> float | None:
    """A device's interval in seconds from the gaps between its newest readings; None where there is none."""
    return median_low(gaps) if gaps else None


def patience(stale_after: float, interval: float | None) -> timedelta:
    """How long a device may be silent. stale_after, interval: seconds."""
    return timedelta(seconds=max(stale_after, INTERVALS * (interval or 0)))


def join_spans(spans: Iterable[Span]) -> list[Span]:
    """The times in which any of several processes listened, in order, without overlaps."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.since):
        if joined and span.since <= joined[-1].until:
            if span.until > joined[-1].until:
                joined[-1] = Span(joined[-1].since, span.until)
        else:
            joined.append(span)
    return joined


def listened_silence(last_heard: datetime, spans: Sequence[Span], enough: timedelta = timedelta.max) -> timedelta:
    """How long a device has been silent while ingest listened. spans: as `join_spans` gives them.

    Stops counting when it is more than `enough`.
    """
    silence = timedelta()
    for span in reversed(spans):
        if span.until <= last_heard or silence > enough:
            break
        if span.since <= last_heard:
            silence += span.until - last_heard
        else:
            silence += max(span.until - span.since - SETTLING, timedelta())
    return silence
