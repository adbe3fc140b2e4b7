"""The states of a command, on SQLite and on PostgreSQL: answers in any order and number, two workers at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from greenpower.catalog.registry import Registry, load_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.control.answer import apply_answer
from greenpower.control.order import find_command, queue
from greenpower.control.send import EXPIRED_WHILE, _claim, expire
from greenpower.datatype import Answer, Command
from greenpower.sql import CommandState, Device, DeviceCommand
from greenpower.sql.device_command import advance
from greenpower.sql.session import sql_session
from greenpower.sql.time import now

NAME = "33B1225950027"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(None)


@pytest.fixture
def session(sql_settings: Settings) -> Iterator[Session]:
    init_sql(sql_settings)
    with sql_session(sql_settings) as session:
        session.add(Device(device_id=NAME))
        session.commit()
        yield session


def command_of(registry: Registry, name: str) -> Command:
    found = find_command(registry, ["rt"], name)
    assert found is not None
    return found[1]


def give(session: Session, registry: Registry, name: str = "set_interval", interval: int = 60) -> DeviceCommand:
    device = session.scalars(select(Device)).one()
    parameters = {"interval": interval} if name == "set_interval" else {}
    row = queue(session, device, "rt", command_of(registry, name), parameters, by="olga")
    session.commit()
    return row


def sent(session: Session, row: DeviceCommand) -> DeviceCommand:
    assert advance(session, row, CommandState.SENT, sent_at=now())
    session.commit()
    return row


def answer(operation: str | None, *, ok: bool = True, value: str = "60") -> Answer:
    assert operation is not None
    return Answer(device_id=NAME, operation=operation, ok=ok, values={"value": value}, detail="code")


def test_each_answer_counts_once(session: Session, registry: Registry) -> None:
    row = sent(session, give(session, registry))
    for _ in range(2):
        assert apply_answer(session, registry, answer(row.operation))
        session.commit()
    assert (row.state, row.open_for) == ("answered", f"{NAME}|set_interval")
    asked = row.read_operation
    for _ in range(2):
        assert apply_answer(session, registry, answer(asked))
        assert apply_answer(session, registry, answer(row.operation, ok=False))
        session.commit()
    session.refresh(row)
    assert row.state == "done" and row.verified_at and row.finished_at
    assert [step.state for step in row.steps] == ["queued", "sent", "answered", "verified", "done"]


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_of_two_answers_the_first_counts(session: Session, registry: Registry, order: tuple[bool, bool]) -> None:
    row = sent(session, give(session, registry, "set_time"))
    for ok in order:
        apply_answer(session, registry, answer(row.operation, ok=ok))
        session.commit()
    assert row.state == ("done" if order[0] else "failed")


def test_what_is_over_stays_over(session: Session, registry: Registry) -> None:
    row = sent(session, give(session, registry))
    apply_answer(session, registry, answer(row.operation))
    row.expires_at = now() - timedelta(seconds=1)
    session.commit()
    expire(session, [row])
    assert (row.state, row.detail) == ("expired", EXPIRED_WHILE["answered"])
    for _ in range(2):
        apply_answer(session, registry, answer(row.read_operation))
        session.commit()
    session.refresh(row)
    assert row.state == "expired" and row.verified_at
    assert sum(step.state == "expired" for step in row.steps) == 2  # that it expired, and the answer that came late


def test_one_of_a_kind_at_a_time_and_an_operation_once(session: Session, registry: Registry) -> None:
    row = give(session, registry)
    with pytest.raises(IntegrityError):
        give(session, registry)
    session.rollback()
    give(session, registry, "set_time")
    device = session.scalars(select(Device)).one()
    with pytest.raises(IntegrityError):
        command = command_of(registry, "read_interval")
        queue(session, device, "rt", command, {}, by="olga", operation=row.operation)
    session.rollback()


def test_of_two_workers_one_sends_and_one_settles(session: Session, registry: Registry, sql_settings: Settings) -> None:
    row = give(session, registry)
    with sql_session(sql_settings) as other:
        twin = other.scalars(select(DeviceCommand)).one()
        state = twin.state
        other.rollback()
        assert state == "queued" and _claim(session, row) and not _claim(other, twin)
        assert twin.state == "queued"
        other.commit()
        seen = other.scalars(select(DeviceCommand)).one()
        assert seen.state == "queued"
        sent(session, row)
        assert not advance(other, seen, CommandState.EXPIRED)
        other.commit()
    session.refresh(row)
    assert row.state == "sent" and len(row.steps) == 2


def test_foreign_answers_are_none(session: Session, registry: Registry) -> None:
    row = sent(session, give(session, registry))
    assert not apply_answer(session, registry, answer("0" * 32))
    assert not apply_answer(session, registry, replace(answer(row.operation), device_id="33B1225950028"))
    assert row.state == "sent" and row.answered_at is None


def test_a_type_that_is_gone_settles_what_it_left(session: Session, registry: Registry) -> None:
    row = sent(session, give(session, registry))
    apply_answer(session, Registry([]), answer(row.operation))
    session.commit()
    assert row.state == "done"
