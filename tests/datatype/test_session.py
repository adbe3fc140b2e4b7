"""Sessions: which birth a frame is of, whatever arrives when, against a plain search of all births that were sent."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.datatype import DataType, DeclarationError, Field, Frame, FrameError, Mqtt, Noted, Reading
from greenpower.datatype.session import (
    MAX_AFTER_ARRIVAL,
    MAX_BEFORE_ARRIVAL,
    MAX_BIRTHS_PER_DEVICE,
    MAX_SESSION_BYTES,
    MAX_SESSIONS_PER_DEVICE,
    Birth,
    make_birth,
    session_at,
    with_birth,
)

T0 = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def birth(name: str, born: float | None, arrived: float | None = None) -> Birth:
    """A birth that says a name. born, arrived: seconds; born None: by its arrival."""
    since = None if born is None else at(born)
    arrival = at(arrived if arrived is not None else (born or 0))
    return make_birth({"name": name}, since, arrival)


def known(*births: Birth) -> tuple[Birth, ...]:
    found: tuple[Birth, ...] = ()
    for one in births:
        found = with_birth(found, one)
    return found


def name(births: tuple[Birth, ...], arrival: float, sent: float | None = None) -> str | None:
    session = session_at(births, at(arrival), None if sent is None else at(sent))
    return None if session is None else session["name"]


def test_a_frame_is_of_the_birth_before_it_by_the_devices_clock() -> None:
    births = known(birth("one", 0), birth("two", 10))
    assert [name(births, 20, sent) for sent in (0, 9.999, 10, 15)] == ["one", "one", "two", "two"]
    assert name(births, 20) == "two"
    # In a replay: when it came, the second was not there yet.
    assert name(births, 5) == "one"
    assert name((), 5) is None


def test_a_birth_that_comes_late_or_again_replaces_no_newer_one() -> None:
    one, two = birth("one", 0, 0.1), birth("two", 10, 10.1)
    births = known(one, two)
    assert with_birth(births, birth("one", 0, 30)) is births
    late = known(two, birth("one", 0, 30))
    assert [name(late, 40), name(late, 40, 5), name(late, 40, 11)] == ["two", "one", "two"]


def test_a_frame_that_overtakes_its_birth_is_of_it() -> None:
    births = known(birth("one", 0), birth("two", 10, 12))
    assert name(births, 11, 10.5) == "two"
    assert name(births, 11) == "one"
    assert name(known(birth("one", 10, 12)), 11, 10.5) == "one"


def test_a_birth_without_a_time_or_with_a_wrong_one_counts_from_its_arrival() -> None:
    for born in (None, -86_400 * 365 * 20, 86_400 * 365):
        births = known(birth("one", 0), birth("two", born, 10))
        assert births[-1].by_arrival and births[-1].born == at(10)
        # Its clock is set right after its birth, or not: what arrives after it is of it.
        assert [name(births, 11, sent) for sent in (9, 11, None, -86_400 * 365 * 20)] == ["two"] * 4
        assert name(births, 9, 9) == "one"
    births = known(birth("one", None, 0), birth("two", None, 10))
    assert with_birth(births, birth("one", None, 20), again=True) is births
    assert name(with_birth(births, birth("one", None, 20)), 21) == "one"


def test_a_clock_that_was_put_back_a_little_after_the_first_birth() -> None:
    births = known(birth("one", 0, 0.1))
    little = MAX_AFTER_ARRIVAL.total_seconds()
    assert name(births, 1, -little) == "one"
    assert name(births, 1, -little - 1) is None
    assert name(births, 0, -1) is None  # it came before


def test_which_times_are_believed() -> None:
    for since, believed in (
        (T0 - MAX_BEFORE_ARRIVAL, True),
        (T0 - MAX_BEFORE_ARRIVAL - SECOND, False),
        (T0 + MAX_AFTER_ARRIVAL, True),
        (T0 + MAX_AFTER_ARRIVAL + SECOND, False),
        (T0.replace(tzinfo=None), False),
    ):
        assert make_birth({}, since, T0).by_arrival is not believed


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=12, unique_by=lambda b: b[0]),
    st.data(),
)
@settings(max_examples=300, deadline=None)
def test_in_any_order_and_repeated_it_is_a_plain_search(sent: Sequence[tuple[int, str]], data: st.DataObject) -> None:
    order = data.draw(st.permutations([*sent, *data.draw(st.lists(st.sampled_from(sent), max_size=5))]))
    births = known(*(birth(text, born, 40 + place) for place, (born, text) in enumerate(order)))
    for time in range(31):
        before = [one for one in sorted(sent) if one[0] <= time]
        expected = before[-1][1] if before else min(sent)[1]
        assert name(births, 100, time) == expected


def test_births_are_bounded() -> None:
    """The oldest go first, of those that say nothing new: what is known of frames stays."""
    many = known(*(birth("same", number) for number in range(3 * MAX_BIRTHS_PER_DEVICE)))
    assert len(many) == MAX_BIRTHS_PER_DEVICE and name(many, 1000, 1) == "same"
    changing = known(*(birth(f"{number}", number) for number in range(3 * MAX_SESSIONS_PER_DEVICE)))
    assert len(changing) == MAX_SESSIONS_PER_DEVICE
    assert name(changing, 1000) == f"{3 * MAX_SESSIONS_PER_DEVICE - 1}"
    turns = known(*(birth("xy"[number % 2], number) for number in range(3 * MAX_BIRTHS_PER_DEVICE)))
    assert len(turns) == MAX_BIRTHS_PER_DEVICE


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        ([1], "bad-session"),
        ("x", "bad-session"),
        ({1: 2}, "bad-session"),
        ({"a": {1}}, "bad-session"),
        ({"a": b"x"}, "bad-session"),
        ({"a": "\ud800"}, "bad-session"),
        ({"a": 2**70}, "bad-session"),
        ({"a": "x" * MAX_SESSION_BYTES}, "session-too-large"),
    ],
)
def test_what_is_no_session_is_rejected(session: Any, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        make_birth(session, None, T0)
    assert caught.value.reason == reason


def test_a_parser_can_read_a_session_and_not_change_it() -> None:
    made = make_birth({"names": {"5": ["power", 10]}}, None, T0)
    frame = Frame(topic="t", payload=b"", received_at=at(1), births=(made,))
    assert frame.session is not None and frame.session["names"]["5"] == ("power", 10)
    with pytest.raises(TypeError):
        frame.session["x"] = 1  # type: ignore[index]
    with pytest.raises(TypeError):
        frame.session["names"]["x"] = 1
    assert copy.deepcopy(frame) == frame
    # A session that was read can be the base of the next one.
    assert make_birth(frame.session, None, T0).text == make_birth({"names": {"5": ["power", 10]}}, None, T0).text
    assert Frame(topic="t", payload=b"").session is None


def test_a_note_beside_readings_has_a_session() -> None:
    note = Noted("birth", session={"a": 1}, since=T0)
    assert (note.session, note.since, note.alive, note.values) == ({"a": 1}, T0, True, {})
    assert Noted("death", alive=False).alive is False
    assert isinstance(note, Reading) and "session" in repr(note) and "session" not in repr(Noted("x"))


def test_a_type_with_sessions_names_its_devices() -> None:
    def declare(claim: Mqtt) -> DataType:
        return DataType(
            name="named", title="t", collection="named", match=(claim,), fields=(Field("a", unit="1"),),
            parse=lambda frame: (), sessions=True,
        )  # fmt: skip

    assert declare(Mqtt("a/{device}")).sessions
    with pytest.raises(DeclarationError, match="names none"):
        declare(Mqtt("a/b"))
