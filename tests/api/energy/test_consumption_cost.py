"""What a question may cost: what is too much is refused with what to ask instead."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from greenpower.api.energy.consumption_cost import (
    MAX_BUCKETS,
    MAX_LEDGER_DOCUMENTS,
    MAX_RECENT_READINGS,
    MAX_ROWS_PER_ANSWER,
    check_buckets,
    check_documents,
    check_readings,
    check_rows,
)

MADE_UNTIL = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fits", "too_much", "wrong"),
    [
        (lambda: check_buckets(MAX_BUCKETS, "hour"), lambda: check_buckets(MAX_BUCKETS + 1, "hour"), "start_time"),
        (lambda: check_rows(500, 100), lambda: check_rows(MAX_ROWS_PER_ANSWER // 100 + 1, 100), "device_id"),
        (lambda: check_documents(24_000, 100), lambda: check_documents(MAX_LEDGER_DOCUMENTS + 1, 100), "device_id"),
        (lambda: check_documents(0, 0), lambda: check_documents(MAX_LEDGER_DOCUMENTS + 1, 1), "device_id"),
        (
            lambda: check_readings(MAX_RECENT_READINGS, MADE_UNTIL),
            lambda: check_readings(MAX_RECENT_READINGS + 1, MADE_UNTIL),
            "end_time",
        ),
        (lambda: check_readings(0, None), lambda: check_readings(MAX_RECENT_READINGS + 1, None), "device_id"),
    ],
)
def test_what_is_too_large_is_refused(fits: Callable[[], None], too_much: Callable[[], None], wrong: str) -> None:
    app = Flask(__name__)
    with app.test_request_context():
        fits()
        with pytest.raises(HTTPException) as refused:
            too_much()
    assert refused.value.code == 422 and list(refused.value.data["errors"]["query"]) == [wrong]  # type: ignore[attr-defined]
