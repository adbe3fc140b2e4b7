"""Values that come one by one, on the bus: one message for each slot, with the newest value of each field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenpower.bus.gathered import GatheredMessages
from greenpower.bus.message import Message, merge_values, newer, reading_message, stamp
from greenpower.mongo.readings.batch import StoredBatch
from greenpower.mongo.readings.store import Fragment, MergedReading

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def message(second: int, times: Any = None, **payload: Any) -> Message:
    at = NOON + timedelta(seconds=second)
    older = {name: NOON + timedelta(seconds=when) for name, when in (times or {}).items()}
    return reading_message("em", "D", at, at, payload, older)


def test_a_field_that_did_not_come_stays_with_its_time() -> None:
    merged = merge_values(message(0, power=1, voltage=230), message(2, power=2))
    assert merged == {**message(2, {"voltage": 0}, power=2, voltage=230)}


def test_what_is_late_changes_only_older_fields() -> None:
    kept = message(10, {"voltage": 2}, power=5, voltage=230)
    merged = newer(kept, message(4, power=1, voltage=231, total=7))
    assert merged is not None
    assert merged["payload"] == {"power": 5, "voltage": 231, "total": 7}
    assert merged["times"] == dict.fromkeys(("voltage", "total"), stamp(NOON + timedelta(seconds=4)))
    assert newer(merged, message(4, power=1)) is None


def batch(*sent: tuple[float, dict[str, int | float]]) -> StoredBatch:
    readings = []
    for second, payload in sent:
        at = NOON + timedelta(seconds=second)
        reading = MergedReading([Fragment("D", "t", at, at, payload, True)])
        reading.added = payload
        readings.append(reading)
    return StoredBatch(frames=[], readings={"em": readings, "other": readings})


def test_a_slot_is_told_once_when_it_has_ended() -> None:
    waiting = GatheredMessages({"em": 2.0})
    assert waiting.next_end() is None
    waiting.take(batch((0, {"power": 1})))
    waiting.take(batch((0, {"voltage": 230}), (1.5, {"power": 2})))
    assert waiting.next_end() == NOON + timedelta(seconds=2)
    assert waiting.ended(NOON + timedelta(seconds=1.9)) == []
    [told] = waiting.ended(NOON + timedelta(seconds=2))
    assert (told["type"], told["payload"]) == ("em", {"power": 2, "voltage": 230})
    assert told["timestamp"] == stamp(NOON + timedelta(seconds=1.5)) and told["times"] == {"voltage": stamp(NOON)}
    assert waiting.ended(NOON + timedelta(seconds=9)) == []


VALUES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=12)


@given(VALUES, st.randoms())
def test_the_order_of_messages_does_not_matter(sent: list[tuple[int, str, int]], random: Any) -> None:
    first = {(second, name): value for second, name, value in reversed(sent)}
    expected: dict[str, tuple[int, int]] = {}
    for (second, name), value in first.items():
        expected[name] = max(expected.get(name, (-1, 0)), (second, value), key=lambda item: item[0])
    shuffled = list(first.items())
    random.shuffle(shuffled)
    kept: Message | None = None
    for (second, name), value in shuffled:
        kept = newer(kept, message(second, **{name: value})) or kept
    assert kept is not None
    assert kept["payload"] == {name: value for name, (_, value) in expected.items()}
    for name, (second, _) in expected.items():
        assert kept["times"].get(name, kept["timestamp"]) == stamp(NOON + timedelta(seconds=second))
