"""Kinds of measured values. The kind alone decides the statistics in a field's rollups."""

from enum import StrEnum


class Kind(StrEnum):
    """The kind of a measured value.

    GAUGE: goes up and down, averaged. COUNTER: a register that only rises, differenced. ANGLE: degrees that wrap at
    360, averaged on the circle. STATE: the last value is kept.
    """

    GAUGE = "gauge"
    COUNTER = "counter"
    ANGLE = "angle"
    STATE = "state"
