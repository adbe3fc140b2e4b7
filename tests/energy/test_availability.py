"""Data availability: which quarter-hours are missing and why, against a plain walk through them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from greenpower.energy.availability import (
    MAX_GAP,
    QUARTER,
    Gaps,
    MissingReason,
    Sampled,
    combined,
    counted,
    reasons,
    waiting,
    worst,
)
from greenpower.mongo.rollups.watermarks import EPOCH

BEGIN = datetime(2026, 3, 28, tzinfo=UTC)
NOTHING = Gaps(known_from=EPOCH)


def sampled(samples: str, *, before: bool = True, open_at: int | None = None) -> Sampled:
    """`x` for a quarter-hour with a sample."""
    return Sampled(
        begin=BEGIN,
        samples=[mark == "x" for mark in samples],
        open=[place == open_at for place in range(len(samples))],
        before=before,
    )


@given(st.text("x.", max_size=60), st.booleans())
def test_only_what_lies_in_a_long_gap_is_missing(samples: str, before: bool) -> None:
    found = reasons(sampled(samples, before=before), NOTHING)
    for place, reason in enumerate(found):
        left, right = samples[:place].rfind("x"), samples.find("x", place)
        in_short_gap = left >= 0 and right >= 0 and right - left - 1 <= MAX_GAP
        if samples[place] == "x" or in_short_gap:
            assert reason is None
        elif left < 0 and not before:
            assert reason is MissingReason.NOT_BEGUN
        else:
            assert reason is MissingReason.SILENCE
    whole = counted(found)
    assert whole.expected == len(samples) == whole.available + sum(whole.missing.values())


def test_a_gap_says_what_explains_it() -> None:
    at = [BEGIN + place * QUARTER for place in range(12)]
    gaps = Gaps(
        known_from=at[1], left_out=[(at[2] + timedelta(minutes=1), at[3])], pending=[(at[3], at[4])]
    )  # fmt: skip
    found = reasons(sampled("." * 6 + "x", open_at=4), gaps)
    assert found == [
        MissingReason.EXPIRED, MissingReason.SILENCE, MissingReason.LEFT_OUT, MissingReason.NOT_COMPUTED,
        MissingReason.UNDECIDED, MissingReason.SILENCE, None,
    ]  # fmt: skip
    assert reasons(sampled("..x"), Gaps(known_from=EPOCH, left_out=[(at[0], None)]))[:2] == [MissingReason.LEFT_OUT] * 2


def test_what_may_still_come_is_not_missing() -> None:
    assert [waiting(sampled(samples)) for samples in ("x...", "x....", "x", "", "...")] == [3, 0, 0, 0, 0]


def test_a_sum_is_as_good_as_its_worst_counter() -> None:
    assert worst([None, MissingReason.SILENCE, MissingReason.NOT_BEGUN]) is MissingReason.NOT_BEGUN
    assert worst([None, None]) is None
    assert counted([]).percent is None


REASONS = st.sampled_from([None, *MissingReason])


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.lists(REASONS, min_size=12, max_size=12)), max_size=4)
)
def test_parts_of_a_point_are_combined_as_quarter_by_quarter(
    drawn: list[tuple[int, int, list[MissingReason | None]]],
) -> None:
    parts = [(min(first, last), max(first, last), quarters) for first, last, quarters in drawn]
    plain = []
    for place in range(12):
        several = [quarters[place] for first, last, quarters in parts if first <= place < last]
        plain.append(worst(several) if several else MissingReason.NO_METER)
    assert combined(parts, 12) == plain


@given(st.lists(REASONS, max_size=40))
def test_quarters_are_counted_one_by_one(quarters: list[MissingReason | None]) -> None:
    found = counted(quarters)
    assert (found.expected, found.available) == (len(quarters), quarters.count(None))
    assert found.missing == {reason: quarters.count(reason) for reason in set(quarters) if reason is not None}
