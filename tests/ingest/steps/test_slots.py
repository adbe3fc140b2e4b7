"""Which reading a value belongs to that came alone and without a stamp."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from greenpower.ingest.steps.slots import MAX_AHEAD, MILLISECOND, SLOT_MEMORY, SlotKey, Slots, slot_begin

BEGIN = datetime(2026, 11, 23, 13, 30, 6, tzinfo=UTC)
KEY: SlotKey = ("em", "D", BEGIN)


def after(milliseconds: float) -> datetime:
    return BEGIN + timedelta(milliseconds=milliseconds)


def test_slots_begin_at_multiples_of_their_length() -> None:
    assert slot_begin(after(1999), 2.0) == BEGIN and slot_begin(after(2000), 2.0) == after(2000)
    assert slot_begin(after(700), 0.5) == after(500)


def test_values_of_a_slot_are_one_reading() -> None:
    slots = Slots()
    assert {slots.place(KEY, after(at), {name: 1.0}) for at, name in ((5, "a"), (300, "b"), (1999, "c"))} == {BEGIN}


def test_a_field_that_comes_again_with_another_value_opens_a_reading() -> None:
    slots = Slots()
    times = [slots.place(KEY, after(at), {"on": value}) for at, value in ((10, 1), (20, 0), (30, 0), (40, 1))]
    assert times == [BEGIN, after(20), after(20), after(40)]


def test_values_of_one_millisecond_are_moved_on() -> None:
    slots = Slots()
    times = [slots.place(KEY, after(0.3), {"on": value}) for value in (1, 0, 1, 0)]
    assert times == [BEGIN, after(1), after(2), after(3)]


def test_what_is_stored_of_a_slot_counts() -> None:
    slots = Slots()
    assert KEY not in slots
    slots.tell(KEY, [(BEGIN, {"on": 1}), (after(500), {"on": 0})])
    assert KEY in slots and slots.place(KEY, after(600), {"on": 1}) == after(600)


def test_slots_of_long_ago_are_forgotten() -> None:
    slots = Slots()
    slots.place(KEY, BEGIN, {"a": 1})
    later = BEGIN + SLOT_MEMORY + MILLISECOND
    slots.place(("em", "E", later), later, {"a": 1})
    assert KEY not in slots and len(slots) == 1


SENT = st.lists(
    st.tuples(st.integers(0, 1999), st.sampled_from(["a", "b"]), st.integers(0, 2)), min_size=1, max_size=20
).map(lambda items: sorted(items, key=lambda item: item[0]))


@given(SENT)
def test_no_change_of_a_field_is_lost(sent: list[tuple[int, str, int]]) -> None:
    slots, stored = Slots(), dict[tuple[str, datetime], int]()
    for at, name, value in sent:
        time = slots.place(KEY, after(at), {name: value})
        assert stored.setdefault((name, time), value) == value
    for name in ("a", "b"):
        values = [value for _, one, value in sent if one == name]
        changes = [value for index, value in enumerate(values) if index == 0 or values[index - 1] != value]
        assert [stored[key] for key in sorted(stored) if key[0] == name] == changes


@given(SENT, st.integers(0, 20))
def test_a_process_that_is_told_what_is_stored_goes_on_as_the_one_before(
    sent: list[tuple[int, str, int]], stop: int
) -> None:
    one, stored = Slots(), dict[tuple[str, datetime], int]()
    for at, name, value in sent[:stop]:
        stored[name, one.place(KEY, after(at), {name: value})] = value
    other = Slots()
    other.tell(KEY, [(time, {name: value}) for (name, time), value in stored.items()])
    for at, name, value in sent[stop:]:
        assert one.place(KEY, after(at), {name: value}) == other.place(KEY, after(at), {name: value})


def test_a_burst_that_reaches_into_the_next_slot_stays_in_order() -> None:
    slots = Slots()
    first = [slots.place(KEY, after(1990), {"on": value}) for value in range(30)]
    following = ("em", "D", after(2000))
    second = [slots.place(following, after(2001), {"on": value}) for value in range(30, 50)]
    assert first[0] == BEGIN and first[1:] + second == [after(1990 + number) for number in range(49)]


def test_a_clock_that_was_set_back_begins_anew() -> None:
    slots = Slots()
    slots.place(KEY, after(500), {"on": 1})
    before = ("em", "D", BEGIN - 10 * MAX_AHEAD)
    assert slots.place(before, before[2] + MILLISECOND, {"on": 2}) == before[2]
