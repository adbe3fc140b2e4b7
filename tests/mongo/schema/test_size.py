"""What a frame takes on disk: no more than what was promised."""

from __future__ import annotations

from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from tools.bench.size import Scale

COUNT = 5_000


def test_a_reading_and_its_event_are_as_small_as_promised(settings: Settings) -> None:
    with sync_client(settings) as client:
        for row in Scale(client[settings.mongo_db_name], settings, COUNT).product():
            print(row)
            assert row["bytes"] <= row["goal"], row
