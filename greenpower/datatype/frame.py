"""Frames, readings and notes: the input and output of a parser. Plain records without checks, since there are many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from greenpower.datatype.session import Birth, Session, session_at


@dataclass(slots=True, kw_only=True)
class Frame:
    """One message as received.

    topic: MQTT topic, `tcp/<type>/<gateway>`, or `http/<claim>`. payload: the bytes. device: the id from the claim,
    the gateway's registration or the key of a push, for frames without an id. received_at: time of arrival, UTC.
    levels: the named levels of the topic, {name: text}. births: of its device, as the core knows them.
    """

    topic: str
    payload: bytes
    device: str | None = None
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    levels: Mapping[str, str] = field(default_factory=dict)
    births: tuple[Birth, ...] = ()

    @property
    def session(self) -> Session | None:
        """What the device's newest birth said, read-only; None if none is known."""
        return session_at(self.births, self.received_at) if self.births else None

    def session_at(self, sent: datetime | None) -> Session | None:
        """The session at a time of the device's clock, aware: that of the frame, in whatever order frames arrive."""
        return session_at(self.births, self.received_at, sent) if self.births else None


@dataclass(slots=True, kw_only=True)
class Reading:
    """The values of one device at one time, as a parser reads them from a frame.

    values: key as sent -> value as sent. The core maps keys to fields, and leaves out and notes values that are no
    finite number or out of range. device_id: None if neither frame nor claim has it; the core then takes it from a
    message with the same topic and stamp. stamp: the device's time, aware, or naive in the device's zone; None if it
    sends none (then the time of arrival counts). complete: whether this is the last packet of the reading, according to
    the device. message_id: what tells this message from all others of the device; one without a stamp that comes again
    under the same id is stored once.
    """

    device_id: str | None
    values: dict[str, Any]
    stamp: datetime | None = None
    complete: bool = True
    message_id: str | None = None


class Noted(Reading):
    """What a parser returns for a frame, or part of one, that is fine and has nothing to store.

    It is a reading without values, so that a parser returns one kind of tuple. reason: why, for people; at most 200
    characters are kept. device_id: whose frame it is, if that is known. Readings beside it are stored as always.
    session: what later frames of the device mean by it, a mapping of plain JSON; the type then has `sessions=True`.
    since: when that session began, by the device's clock, aware; else when the frame arrived. alive: False if
    the frame says that the device is gone: it is no sign of life.
    """

    __slots__ = ("alive", "reason", "session", "since")

    reason: str
    session: Session | None
    since: datetime | None
    alive: bool

    def __init__(
        self,
        reason: str,
        *,
        device_id: str | None = None,
        session: Session | None = None,
        since: datetime | None = None,
        alive: bool = True,
    ) -> None:
        super().__init__(device_id=device_id, values={})
        self.reason = reason[:200].encode("utf-8", "backslashreplace").decode()
        self.session, self.since, self.alive = session, since, alive

    def __repr__(self) -> str:
        session = "" if self.session is None else f", session={dict(self.session)!r}, since={self.since!r}"
        return f"Noted({self.reason!r}, device_id={self.device_id!r}{session})"
