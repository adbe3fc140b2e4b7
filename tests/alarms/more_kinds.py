"""A kind of rule in a file of its own, where kinds are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenpower.alarms import kinds
from greenpower.alarms.kind import AlarmKind
from greenpower.alarms.kind_table import alarm_kinds

TEXT = '''
"""A value below zero."""

from greenpower.alarms.kind import AlarmKind, KindParam, ParamKind
from greenpower.alarms.machine import Condition
from greenpower.alarms.subject import SubjectKind


def judge(params, payload):
    value = payload.get(params["field"])
    if value is None:
        return None
    return (Condition.BEYOND if value < 0 else Condition.WITHIN), value


KIND = AlarmKind(
    name="below_zero_test",
    title="Below zero",
    text="A value is below zero.",
    subjects=frozenset({SubjectKind.DEVICE}),
    params=(KindParam(name="field", text="the field", kind=ParamKind.TEXT, required=True),),
    example={"field": "x"},
    judge=judge,
    needs_type=True,
)
'''


@pytest.fixture
def one_more_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AlarmKind]:
    """It, for a test."""
    (tmp_path / "below_zero_test.py").write_text(TEXT)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    alarm_kinds.cache_clear()
    yield alarm_kinds()["below_zero_test"]
    alarm_kinds.cache_clear()
