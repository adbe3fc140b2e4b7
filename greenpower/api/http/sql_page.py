"""Lists of what is kept in SQL: paged as all lists are, counted exactly, since these are small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response
from sqlalchemy import Select, func, select

from greenpower.api.http.cache import with_etag
from greenpower.api.http.json import answer
from greenpower.api.http.paging import link
from greenpower.sql.extensions import db

Row = TypeVar("Row")


def list_answer(
    query: dict[str, Any], statement: Select[Row], present: Callable[[list[Row]], list[dict[str, Any]]]
) -> Response:
    """The answer of a list: {"count", "next", "previous", "results"}. statement: ordered; present: for a whole page."""
    number, size = query["page"], query["page_size"]
    count = db.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    rows = list(db.session.scalars(statement.limit(size).offset((number - 1) * size)).unique())
    return with_etag(
        answer(
            {
                "count": count,
                "next": link(page=number + 1) if number * size < count else None,
                "previous": link(page=number - 1) if number > 1 else None,
                "results": present(rows),
            }
        )
    )
