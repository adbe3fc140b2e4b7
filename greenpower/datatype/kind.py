"""Kinds of measured values. The kind decides the statistics of a field's rollups; nothing else does."""

from enum import StrEnum


class Kind(StrEnum):
    """What a number is.

    GAUGE: goes up and down, averaged. COUNTER: a register that only rises, differenced. ANGLE: degrees that wrap at
    360, averaged on the circle. STATE: the last one counts.
    """

    GAUGE = "gauge"
    COUNTER = "counter"
    ANGLE = "angle"
    STATE = "state"
