"""Watermarks of tiers and of device ranges: that of a tier is what all ranges have reached, and none goes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges
from greenpower.mongo.rollups.run_notes import begin_round, note_failure, note_run
from greenpower.mongo.rollups.watermarks import move_ranges, move_watermark, read_progress
from greenpower.mongo.schema.layout import WATERMARKS

T0 = datetime(2026, 11, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LOW, HIGH = frozenset(range(8)), frozenset(range(8, 16))
TIER = ("power", "today_")


@pytest.fixture
def watermarks(settings: Settings) -> Iterator[Collection[Document]]:
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as client:
        yield client[settings.mongo_db_name][WATERMARKS]


def reached(watermarks: Collection[Document], ranges: Ranges = ALL_RANGES) -> datetime | None:
    return read_progress(watermarks, *TIER).reached(ranges)


def kept(watermarks: Collection[Document]) -> datetime | None:
    """What a release without ranges reads."""
    return read_progress(watermarks, *TIER).watermark


def test_a_tier_is_where_all_its_ranges_are(watermarks: Collection[Document]) -> None:
    move_watermark(watermarks, *TIER, T0, LOW)
    assert (reached(watermarks, LOW), reached(watermarks, HIGH), kept(watermarks)) == (T0, None, None)
    move_watermark(watermarks, *TIER, T0 + 2 * MINUTE, HIGH)
    assert (reached(watermarks, HIGH), kept(watermarks)) == (T0 + 2 * MINUTE, T0)
    move_watermark(watermarks, *TIER, T0 + 5 * MINUTE, LOW)
    assert reached(watermarks) == kept(watermarks) == T0 + 2 * MINUTE
    move_watermark(watermarks, *TIER, T0, LOW)
    assert reached(watermarks, LOW) == T0 + 5 * MINUTE


def test_a_document_of_the_release_before_is_the_watermark_of_all_ranges(watermarks: Collection[Document]) -> None:
    watermarks.insert_one({"_id": "power/today_", "type": "power", "prefix": "today_", "watermark": T0})
    assert all(reached(watermarks, frozenset((number,))) == T0 for number in ALL_RANGES)
    move_watermark(watermarks, *TIER, T0 + MINUTE, LOW)
    assert (reached(watermarks, LOW), reached(watermarks, HIGH), kept(watermarks)) == (T0 + MINUTE, T0, T0)


def test_what_the_release_before_has_done_after_a_downgrade_counts(watermarks: Collection[Document]) -> None:
    """It moves the tier's own watermark only, from where all ranges were."""
    move_watermark(watermarks, *TIER, T0, ALL_RANGES)
    move_watermark(watermarks, *TIER, T0 + 9 * MINUTE, LOW)
    watermarks.update_one({"_id": "power/today_"}, {"$max": {"watermark": T0 + 5 * MINUTE}})
    assert (reached(watermarks, LOW), reached(watermarks, HIGH)) == (T0 + 9 * MINUTE, T0 + 5 * MINUTE)


def test_the_last_of_two_that_move_at_once_moves_the_tier(watermarks: Collection[Document]) -> None:
    """Each has moved its own before the other one has looked."""
    assert move_ranges(watermarks, *TIER, T0, LOW) is None
    assert move_ranges(watermarks, *TIER, T0 + MINUTE, HIGH) == T0
    assert kept(watermarks) is None  # the run that was told so was killed
    assert move_ranges(watermarks, *TIER, T0, LOW) == T0
    move_watermark(watermarks, *TIER, T0 + MINUTE, LOW)
    assert kept(watermarks) == T0 + MINUTE


def test_the_error_of_a_range_is_told_until_the_range_has_run_well(watermarks: Collection[Document]) -> None:
    move_watermark(watermarks, *TIER, T0)
    three, others = frozenset((3,)), ALL_RANGES - {3}
    note_run(watermarks, *TIER, T0, error="KeyError: 'payload'", ranges=three)
    note_run(watermarks, *TIER, T0 + MINUTE, ranges=others)
    progress = read_progress(watermarks, *TIER)
    assert progress.error == "device ranges 3: KeyError: 'payload'"
    assert progress.apart(3).error == "KeyError: 'payload'" and progress.apart(4).error == ""
    note_run(watermarks, *TIER, T0 + 2 * MINUTE, ranges=three)
    assert read_progress(watermarks, *TIER).error == ""


def test_a_run_of_all_ranges_leaves_nothing_apart(watermarks: Collection[Document]) -> None:
    move_watermark(watermarks, *TIER, T0, LOW)
    move_watermark(watermarks, *TIER, T0, HIGH)
    note_run(watermarks, *TIER, T0, error="ours", ranges=LOW, round_id="r1", left_alone=2)
    note_failure(watermarks, *TIER, T0, "AutoReconnect: away")
    assert reached(watermarks, LOW) == T0
    note_run(watermarks, *TIER, T0 + MINUTE)
    progress = read_progress(watermarks, *TIER)
    assert (progress.ranges, progress.error, progress.watermark, progress.left_alone) == ({}, "", T0, 2)


def test_a_round_is_known_of_each_range_that_was_taken_in_it(watermarks: Collection[Document]) -> None:
    begin_round(watermarks, *TIER, "r2")
    note_run(watermarks, *TIER, T0, ranges=LOW, round_id="r2")
    progress = read_progress(watermarks, *TIER)
    assert progress.round == "r2"
    assert {number for number in ALL_RANGES if progress.apart(number).round == "r2"} == LOW
