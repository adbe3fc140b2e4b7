"""Lists of what is kept in SQL: paged as all lists are, counted exactly, since these are small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, request
from sqlalchemy import Select, func, select

from greenpower.api.cache import with_etag
from greenpower.api.json import answer
from greenpower.extensions import db

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
                "next": _link(number + 1) if number * size < count else None,
                "previous": _link(number - 1) if number > 1 else None,
                "results": present(rows),
            }
        )
    )


def _link(page: int) -> str:
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "page"]
    return f"{request.base_url}?{urlencode([*kept, ('page', page)])}"
