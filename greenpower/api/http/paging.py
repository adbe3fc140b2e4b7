"""Pages of lists: parameters, bounds and links; and the answers of lists from MongoDB and from SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, unquote_plus, urlencode

import marshmallow as ma
from flask import Response, request
from sqlalchemy import Select, func, select

from greenpower.api.http.blueprint import describe
from greenpower.api.http.cache import with_etag
from greenpower.api.http.json import answer
from greenpower.mongo.client import Document
from greenpower.mongo.query import COUNTED_AT_MOST, Page
from greenpower.sql.extensions import db

Row = TypeVar("Row")

PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MAX_PAGED_ENTRIES = COUNTED_AT_MOST
# Characters that need no escape in a query (RFC 3986), and the `%` of those that are escaped already.
QUERY_CHARACTERS = "!$&'()*+,;=:@/?%"


class PageQuery(ma.Schema):
    """Which page of a list."""

    page = ma.fields.Integer(
        load_default=1,
        validate=ma.validate.Range(1),
        metadata=describe(f"page number, from 1; pages reach to entry {MAX_PAGED_ENTRIES}"),
    )
    page_size = ma.fields.Integer(
        load_default=PAGE_SIZE, validate=ma.validate.Range(1, MAX_PAGE_SIZE), metadata=describe("entries per page")
    )

    @ma.validates_schema
    def _bounded(self, data: dict[str, Any], **_: Any) -> None:
        if data["page"] * data["page_size"] > MAX_PAGED_ENTRIES:
            raise ma.ValidationError(
                f"Page {data['page']} with page_size {data['page_size']} ends beyond entry {MAX_PAGED_ENTRIES}. "
                "Continue from the last timestamp with start_time or end_time.",
                "page",
            )


class PageSchema(ma.Schema):
    """What the answer of every list has besides its results."""

    count = ma.fields.Integer(
        required=True,
        allow_none=True,
        metadata=describe(f"number of matching entries; with a filter, counted up to {MAX_PAGED_ENTRIES}", example=1),
    )
    next = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to the next page"))
    previous = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to the previous page"))


def example_page(row: dict[str, Any]) -> dict[str, Any]:
    """An example of a list's answer, for the OpenAPI text."""
    return {"count": 1, "next": None, "previous": None, "results": [row]}


def skipped(query: dict[str, Any]) -> int:
    """How many entries come before the requested page."""
    before: int = (query["page"] - 1) * query["page_size"]
    return before


def page_answer(
    query: dict[str, Any], page: Page, count: int | None, present: Callable[[Document], Document], **more: Any
) -> Response:
    """The answer of a list from MongoDB: {"count", "next", "previous", "results"} and what `more` adds."""
    number = query["page"]
    return answer(
        {
            "count": count,
            "next": link(page=number + 1) if page.more else None,
            "previous": link(page=number - 1) if number > 1 else None,
            **more,
            "results": [present(document) for document in page.documents],
        }
    )


def sql_page_answer(
    query: dict[str, Any], statement: Select[Row], present: Callable[[list[Row]], list[dict[str, Any]]]
) -> Response:
    """The answer of a list from SQL, which is always counted exactly: these lists are small.

    statement: ordered. present: takes a whole page.
    """
    number, size = query["page"], query["page_size"]
    count = db.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    rows = list(db.session.scalars(statement.limit(size).offset(skipped(query))).unique())
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


def link(**changed: Any) -> str:
    """This request's address with other parameters."""
    # Unchanged parameters are copied as they came: parsing and writing them again takes longer than all the rest.
    given = quote(request.query_string, safe=QUERY_CHARACTERS).split("&")
    kept = [part for part in given if part and unquote_plus(part.partition("=")[0]) not in changed]
    return f"{request.base_url}?{'&'.join([*kept, urlencode(changed)])}"
