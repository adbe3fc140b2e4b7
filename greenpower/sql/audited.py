"""What of a model is audited: declared on the model as `audited`, written by `greenpower.sql.audit_listener`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select

from greenpower.sql.audit_entry import AuditObject

# What stands for the value of a secret, and for the one that took its place.
HIDDEN, CHANGED = "(secret)", "(changed)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What of a model's rows is kept.

    name: the column with what people call it. columns: those that people change. secrets: shown label by column; that
    they changed is kept, their values are not. values, lists: further values by label, each the query for a row's id
    that gives one value, or several in order. only_new: only making one is kept; what follows is kept elsewhere.
    """

    object_type: AuditObject
    name: str
    columns: tuple[str, ...]
    secrets: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Callable[[int], Select[Any]]] = field(default_factory=dict)
    lists: Mapping[str, Callable[[int], Select[Any]]] = field(default_factory=dict)
    only_new: bool = False
