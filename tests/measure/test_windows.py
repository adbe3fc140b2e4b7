"""Windows: aligned to UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenpower.measure.windows import ceil, floor, spans, starts

T0 = datetime(2026, 11, 23, tzinfo=UTC)


def test_windows_are_aligned_to_utc() -> None:
    time = datetime(2026, 11, 23, 5, 59, 59, 999_000, tzinfo=UTC)
    assert floor(time, 21_600) == T0
    assert ceil(time, 21_600) == T0 + timedelta(hours=6)
    assert ceil(T0, 60) == T0
    assert list(starts(time, time + timedelta(seconds=1), 1800)) == [
        T0 + timedelta(hours=5.5),
        T0 + timedelta(hours=6),
    ]
    hour = timedelta(hours=1)
    assert spans([T0 + hour, T0, T0 + 3 * hour], 3600) == [(T0, T0 + 2 * hour), (T0 + 3 * hour, T0 + 4 * hour)]
