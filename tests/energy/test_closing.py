"""Adjustments of closed figures: how much, and why."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.energy.closing import AdjustmentReason, Figure, adjustment

CLOSED = Figure(
    point_id=1, name="Hall", unit="kWh", energy="100.5", undecided=True, corrections=["a"], parts=[{"type": "meter"}],
    tariff_id=2, currency="EUR", amount="30.15", versions=[7], lines=[], kg="40.2",
)  # fmt: skip


def test_a_figure_is_kept_as_it_is() -> None:
    assert Figure(**json.loads(json.dumps(CLOSED.stored()))) == CLOSED
    assert adjustment(CLOSED, CLOSED) is None
    # Another name or bill without another number is none.
    assert adjustment(CLOSED, replace(CLOSED, name="Halls", corrections=[])) is None


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({"energy": "90"}, ["late_readings"]),
        ({"energy": "90", "corrections": ["a", "b"]}, ["correction"]),
        ({"energy": "90", "corrections": []}, ["correction_revoked"]),
        ({"energy": "90", "undecided": False}, ["incident_decision"]),
        ({"energy": "90", "parts": []}, ["point_changed"]),
        ({"amount": "31", "versions": [8]}, ["tariff_version"]),
        ({"amount": "31", "currency": "CHF", "tariff_id": 3}, ["tariff_version"]),
        ({"kg": "10"}, ["emission_factor"]),
        ({"energy": None, "amount": None, "kg": None}, ["late_readings"]),
        ({"energy": "90", "corrections": ["b"], "amount": "1", "versions": []}, [
            "correction", "correction_revoked", "tariff_version",
        ]),
    ],
)  # fmt: skip
def test_each_reason_is_told(change: dict[str, Any], reasons: list[str]) -> None:
    found = adjustment(CLOSED, replace(CLOSED, **change))
    assert found is not None
    assert list(found.reasons) == [AdjustmentReason(reason) for reason in reasons]


amounts = st.decimals(-(10**9), 10**9, places=9)


@given(*[amounts] * 4)
def test_the_closed_figure_and_the_adjustment_are_what_is_known(a: Decimal, b: Decimal, c: Decimal, d: Decimal) -> None:
    closed = replace(CLOSED, energy=str(a), amount=str(c))
    found = adjustment(closed, replace(CLOSED, energy=str(b), amount=str(d)))
    if found is None:
        assert (a, c) == (b, d)
        return
    assert a + (found.energy or 0) == b
    assert c + (found.amount or 0) == d
