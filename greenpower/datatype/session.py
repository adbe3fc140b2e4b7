"""Sessions: what a device says once, and what its later frames mean by it. Pure.

A protocol with a session names things in a birth, and in later frames uses numbers for them. A parser keeps nothing: it
returns what a birth says (`Noted(…, session=…)`), and later frames have it. What belongs here: which session a frame is
of, and the order of births. What does not: where sessions are stored (`greenpower.mongo.devices.sessions`).

       born 1 ──────────── born 2 ─────────────── born 3 ─────────>   by the device's clock
         frames of 1          frames of 2            frames of 3      whenever and in whatever order they arrive
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import orjson

from greenpower.datatype.error import FrameError

Session = Mapping[str, Any]
#: of a session as JSON: names of thousands of values, each twice
MAX_SESSION_BYTES = 512 * 1024
#: of each device, so many births are known, and so many different sessions
MAX_BIRTHS_PER_DEVICE, MAX_SESSIONS_PER_DEVICE = 64, 16
#: a device's time is believed from so long before the arrival of a frame to so long after it
MAX_BEFORE_ARRIVAL, MAX_AFTER_ARRIVAL = timedelta(days=35), timedelta(seconds=300)

NO_SESSION = "no-session"
BAD_SESSION = "bad-session"
SESSION_TOO_LARGE = "session-too-large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """A session from its birth on.

    born: when, by the device's clock; by_arrival: whether it is the time of arrival instead. arrived: when the birth
    did. text: the session as JSON, which makes two of them equal or not. Times are whole milliseconds.
    """

    born: datetime
    arrived: datetime
    by_arrival: bool
    text: str
    session: Session = field(compare=False, repr=False)

    def __deepcopy__(self, _: object) -> Birth:
        return self  # nothing in it can change


def read_session(text: str) -> Session:
    """A session from its JSON, read-only. Raises ValueError if it is none."""
    session = _frozen(orjson.loads(text))
    if not isinstance(session, Mapping):
        raise ValueError("a session is an object")
    return session


def make_birth(session: object, since: datetime | None, arrival: datetime) -> Birth:
    """The birth that a frame is. since: when, by the device's clock, aware; else, or if that is wrong, its arrival.

    Raises FrameError: bad-session (it is no JSON object), session-too-large.
    """
    try:
        text = orjson.dumps(session, option=orjson.OPT_SORT_KEYS, default=_plain).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(BAD_SESSION, f"{type(error).__name__}: {error}") from None
    if not isinstance(session, Mapping):
        raise FrameError(BAD_SESSION, f"{type(session).__name__} instead of a mapping")
    if len(text.encode()) > MAX_SESSION_BYTES:
        raise FrameError(SESSION_TOO_LARGE, f"{len(text.encode())} bytes, and {MAX_SESSION_BYTES} are kept")
    by_arrival = since is None or since.tzinfo is None or not is_believed(since, arrival)
    arrived = _milliseconds(arrival)
    born = arrived if by_arrival or since is None else _milliseconds(since)
    return Birth(born=born, arrived=arrived, by_arrival=by_arrival, text=text, session=read_session(text))


def is_believed(time: datetime, arrival: datetime) -> bool:
    """Whether a device's time is plausible for a frame."""
    return arrival - MAX_BEFORE_ARRIVAL <= time <= arrival + MAX_AFTER_ARRIVAL


def session_at(births: Iterable[Birth], arrival: datetime, sent: datetime | None = None) -> Session | None:
    """The session of a frame; None if its birth is not known.

    births: of its device, in order. sent: when the device sent it, by its own clock; without it, or where that is
    wrong, the newest that had arrived. A clock that was put back a little after the first birth is no reason to know
    nothing: up to MAX_AFTER_ARRIVAL before it, its session counts.
    """
    arrival = _milliseconds(arrival)
    known = [birth for birth in births if birth.arrived <= arrival]
    newest = known[-1].session if known else None
    if sent is None or sent.tzinfo is None or not is_believed(sent, arrival):
        return newest
    sent = _milliseconds(sent)
    found = [birth for birth in births if birth.born <= (arrival if birth.by_arrival else sent)]
    if found:
        return found[-1].session
    return known[0].session if known and known[0].born - sent <= MAX_AFTER_ARRIVAL else None


def with_birth(births: tuple[Birth, ...], birth: Birth, *, again: bool = False) -> tuple[Birth, ...]:
    """The births of a device and another one, in the order of their times; the same object if it is known.

    again: whether its sender says that it may have come before: without a time of its own, it is then compared with
    those known.
    """
    for known in births:
        if known.text == birth.text and (
            known.born == birth.born or (again and birth.by_arrival and known.by_arrival)
        ):  # fmt: skip
            return births
    return _bounded(sorted((*births, birth), key=_order))


def _bounded(births: list[Birth]) -> tuple[Birth, ...]:
    """The births without the oldest, where there are too many: first those that say what the one before them says."""
    while len({birth.text for birth in births}) > MAX_SESSIONS_PER_DEVICE:
        del births[0]
    while len(births) > MAX_BIRTHS_PER_DEVICE:
        same = (place for place in range(1, len(births)) if births[place].text == births[place - 1].text)
        del births[next(same, 0)]
    return tuple(births)


def _order(birth: Birth) -> tuple[datetime, datetime]:
    return birth.born, birth.arrived


def _milliseconds(time: datetime) -> datetime:
    """A time as MongoDB keeps it, in UTC."""
    time = time.astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _plain(value: object) -> object:
    """What a session may be made of beside plain JSON: a session that was read."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _frozen(value: Any) -> Any:
    """A value of JSON that cannot be changed."""
    if isinstance(value, dict):
        return MappingProxyType({key: _frozen(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return tuple(_frozen(inner) for inner in value)
    return value
