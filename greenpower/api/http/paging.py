"""Pages of lists: parameters, bounds and links; and the answers of lists from MongoDB and from SQL.

A link to another page names what the answer took by itself (`pins`): resolution, order, count, the end of an open
range. So all pages are of one list, however the clock and the data move between them. What a page ends with goes into
`cursor` (`greenpower.api.http.cursor`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, unquote_plus, urlencode

import marshmallow as ma
from flask import Response, request
from sqlalchemy import Select, func, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from greenpower.api.http.blueprint import describe
from greenpower.api.http.cache import with_etag
from greenpower.api.http.cursor import CursorField, pack
from greenpower.api.http.errors import abort_query
from greenpower.api.http.json import answer, iso
from greenpower.api.http.version import asked_address
from greenpower.mongo.client import Document
from greenpower.mongo.query import COUNTED_AT_MOST, Page
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

Row = TypeVar("Row")

PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MAX_PAGED_ENTRIES = COUNTED_AT_MOST
# Characters that need no escape in a query (RFC 3986), and the `%` of those that are escaped already.
QUERY_CHARACTERS = "!$&'()*+,;=:@/?%"


CURSOR_DESCRIPTION = "continue after this position, as in `next`; empty: from the beginning, by positions alone"


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
    cursor = CursorField(CURSOR_DESCRIPTION)

    @ma.validates_schema
    def _bounded(self, data: dict[str, Any], **_: Any) -> None:
        if "cursor" in data and data["cursor"] is None and data["page"] != 1:
            raise ma.ValidationError("An empty cursor begins with the first page.", "page")
        # Behind a position nothing is skipped.
        if not data.get("cursor") and data["page"] * data["page_size"] > MAX_PAGED_ENTRIES:
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
    """How many entries come before the requested page and are to be skipped; behind a position none."""
    before: int = 0 if query.get("cursor") else (query["page"] - 1) * query["page_size"]
    return before


def by_position(query: dict[str, Any]) -> bool:
    """Whether a list is read by positions alone: it began with `cursor=`. Its links have no page numbers."""
    return "cursor" in query and query["page"] == 1


def page_links(
    query: dict[str, Any], pins: Mapping[str, Any], position: str | None, *, more: bool
) -> dict[str, str | None]:
    """`next` and `previous` of an answer. position: what the page ends with; None where the list has no positions."""
    if by_position(query):
        return {"next": link(**pins, cursor=position) if more else None, "previous": None}
    number = query["page"]
    return {
        "next": link(**pins, page=number + 1, cursor=position) if more else None,
        "previous": link(**pins, page=number - 1, cursor=None) if number > 1 else None,
    }


def page_answer(
    query: dict[str, Any],
    page: Page,
    count: int | None,
    present: Callable[[Document], Document],
    *,
    pins: Mapping[str, Any],
    position: str | None,
    **more: Any,
) -> Response:
    """The answer of a list from MongoDB: {"count", "next", "previous", "results"} and what `more` adds.

    pins: the parameters that the answer chose by itself. position: what the page ends with.
    """
    return answer(
        {
            "count": count,
            **page_links(query, pins, position, more=page.more),
            **more,
            "results": [present(document) for document in page.documents],
        }
    )


def sql_page_answer(
    query: dict[str, Any],
    statement: Select[Row],
    present: Callable[[list[Row]], list[dict[str, Any]]],
    *keys: InstrumentedAttribute[Any],
    descending: bool = False,
    ranged: bool = False,
    **pinned: Any,
) -> Response:
    """The answer of a list from SQL, which is always counted exactly: these lists are small.

    statement: ordered by `keys`, which tell all rows apart. present: takes a whole page. ranged: whether the query has
    `end_time`. pinned: further parameters of the links. Aborts with 422 for a position of another list.
    """
    size, position = query["page_size"], query.get("cursor")
    wanted = statement
    if position and not keys:
        abort_query("cursor", "This list has no positions.")
    if position:
        *values, count = _sql_values(position, keys)
        here, there = tuple_(*keys), tuple_(*map(literal, values, (key.type for key in keys)))
        wanted = statement.where(here < there if descending else here > there)
    else:
        count = db.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    rows = list(db.session.scalars(wanted.limit(size + 1).offset(skipped(query))).unique())
    page, more = rows[:size], len(rows) > size
    following = None
    if more and keys:
        last = (getattr(page[-1], key.key) for key in keys)
        following = pack(*(value.isoformat() if isinstance(value, datetime) else value for value in last), count)
    pins = {"end_time": iso(datetime.now(UTC))} if ranged and "end_time" not in query else {}
    pins.update(pinned)
    links = page_links(query, pins, following, more=more)
    return with_etag(answer({"count": count, **links, "results": present(page)}))


def _sql_values(position: list[Any], keys: Sequence[InstrumentedAttribute[Any]]) -> list[Any]:
    """The values of the keys in a position, and the count behind them."""
    kinds = [*(key.type.python_type for key in keys), int]
    try:
        return [_sql_value(part, kind) for part, kind in zip(position, kinds, strict=True)]
    except ValueError:
        abort_query("cursor", "Not a position from an earlier answer of this list.")


def _sql_value(part: Any, kind: type) -> Any:
    """A part of a position as a value of a column. Raises ValueError for one that the column cannot have."""
    if kind is datetime and type(part) is str and (time := datetime.fromisoformat(part)).tzinfo is not None:
        return time
    if kind is int and type(part) is int and 0 <= part <= LARGEST_ID:
        return part
    if kind is str and type(part) is str and "\0" not in part:
        return part
    raise ValueError


def link(**changed: Any) -> str:
    """This request's address with other parameters; those that are None are left out."""
    # Unchanged parameters are copied as they came: parsing and writing them again takes longer than all the rest.
    given = quote(request.query_string, safe=QUERY_CHARACTERS).split("&")
    kept = [part for part in given if part and unquote_plus(part.partition("=")[0]) not in changed]
    added = urlencode({name: value for name, value in changed.items() if value is not None})
    return f"{asked_address()}?{'&'.join([*kept, *filter(None, (added,))])}"
