"""Divisors: what amounts of meter points are divided by, in a stretch of time. Pure, exact.

    constant    a floor area, a number of beds: values that are valid from a local day on; in a stretch their mean over
                time, so a year's area is not twelve times a month's
    counter     pieces, litres, beds that were made: what a counter of a device counted in the stretch

The quotient of a sum is not the sum of quotients: each bucket, and the whole, is divided by what the divisor is worth
in it. What does not belong here: reading counters (`divisor_reader`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

from greenpower.measure.local_time import start_of


class DivisorKind(StrEnum):
    """What a divisor is."""

    CONSTANT = "constant"
    COUNTER = "counter"


class NoQuotient(StrEnum):
    """Why there is no quotient. The first that applies.

    no_amount: nothing is known of what is to be divided. missing: the divisor is not known, or not for all of the time.
    not_final: the divisor may still change. zero: it is 0.
    """

    NO_AMOUNT = "no_amount"
    MISSING = "missing"
    NOT_FINAL = "not_final"
    ZERO = "zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisorValue:
    """What a divisor is worth in a stretch of time. value: None where it is not known. coverage: as of an amount."""

    value: Fraction | None
    final: bool
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotient:
    """An amount for each one of a divisor; None for the reason. final, coverage: of the worse of both."""

    value: Fraction | None
    divisor: Fraction | None
    reason: NoQuotient | None
    final: bool
    coverage: float


def quotient(amount: Decimal | None, by: DivisorValue, *, final: bool, coverage: float) -> Quotient:
    """An amount divided. final, coverage: those of the amount."""
    reason = None
    if amount is None:
        reason = NoQuotient.NO_AMOUNT
    elif by.value is None:
        reason = NoQuotient.MISSING
    elif not by.final:
        reason = NoQuotient.NOT_FINAL
    elif not by.value:
        reason = NoQuotient.ZERO
    found = None
    if amount is not None and by.value is not None and reason is None:
        found = Fraction(amount) / by.value
    return Quotient(
        value=found,
        divisor=by.value,
        reason=reason,
        final=final and by.final,
        coverage=min(coverage, by.coverage),
    )


def constant_value(
    values: Sequence[tuple[date, Decimal]], begin: datetime, end: datetime, zone: ZoneInfo
) -> DivisorValue:
    """The mean over time of values between two times. values: by the local day from which each is valid."""
    ordered = sorted(values)
    starts = [start_of(datetime.combine(day, time.min), zone) for day, _ in ordered]
    if not starts or begin < starts[0]:
        return DivisorValue(value=None, final=True, coverage=0.0)
    whole, seconds = Fraction(0), Fraction((end - begin).total_seconds())
    for (_, value), since, until in zip(ordered, starts, [*starts[1:], end], strict=True):
        since, until = max(begin, since), min(end, until)
        if since < until:
            whole += Fraction(value) * Fraction((until - since).total_seconds())
    return DivisorValue(value=whole / seconds, final=True, coverage=1.0)
