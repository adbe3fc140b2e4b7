"""Holds and carries: stored and read again, exactly."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from greenpower.measure.counter.hold import Carry, Hold

T0 = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize("pending", [Fraction(0), Fraction(3), Fraction(0.1) + Fraction(1e-20), -Fraction(2**70)])
def test_a_hold_is_stored_and_read_again(pending: Fraction) -> None:
    hold = Hold(level=12.5, at=T0, since=T0, typical=0.1, near=True, pending=pending, steps=1, unit=False)
    assert Hold.from_document(hold.to_document()) == hold
    for carry in (Carry(value=1, at=T0), Carry(value=1.5, at=T0, hold=hold)):
        assert Carry.from_document(carry.to_document()) == carry
