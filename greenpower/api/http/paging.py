"""Pages of lists: parameters, bounds and links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote_plus, urlencode

import marshmallow as ma
from flask import Response, request

from greenpower.api.http.blueprint import describe
from greenpower.api.http.json import answer
from greenpower.mongo.client import Document
from greenpower.mongo.query import COUNTED_AT_MOST, Page

PAGE_SIZE = 50
LARGEST_PAGE = 1000
DEEPEST = COUNTED_AT_MOST
# What may stand in a query as it is (RFC 3986), `%` of what is escaped already among it.
IN_QUERY = "!$&'()*+,;=:@/?%"


class PageQuery(ma.Schema):
    """Which page of a list."""

    page = ma.fields.Integer(
        load_default=1,
        validate=ma.validate.Range(1),
        metadata=describe(f"page number, from 1; a list is paged through to its {DEEPEST:,}th entry".replace(",", " ")),
    )
    page_size = ma.fields.Integer(
        load_default=PAGE_SIZE, validate=ma.validate.Range(1, LARGEST_PAGE), metadata=describe("entries a page")
    )

    @ma.validates_schema
    def _bounded(self, data: dict[str, Any], **_: Any) -> None:
        if data["page"] * data["page_size"] > DEEPEST:
            raise ma.ValidationError(
                f"Page {data['page']} of {data['page_size']} ends beyond entry {DEEPEST}. Go on from the last "
                "timestamp with start_time or end_time.",
                "page",
            )


class PageSchema(ma.Schema):
    """What all lists answer besides their results."""

    count = ma.fields.Integer(
        required=True,
        allow_none=True,
        metadata=describe(f"how many entries match; with a filter, counted up to {DEEPEST}", example=1),
    )
    next = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to the page after this one"))
    previous = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to the page before this one"))


def skipped(query: dict[str, Any]) -> int:
    """How many entries come before the page that was asked for."""
    before: int = (query["page"] - 1) * query["page_size"]
    return before


def page_answer(
    query: dict[str, Any], page: Page, count: int | None, present: Callable[[Document], Document], **more: Any
) -> Response:
    """The answer of a list: {"count", "next", "previous", "results"} and what `more` adds."""
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


def link(**changed: Any) -> str:
    """This request's address with other parameters."""
    # What stays is taken over as it came: parsing it and writing it anew takes longer than all the rest here.
    given = quote(request.query_string, safe=IN_QUERY).split("&")
    kept = [part for part in given if part and unquote_plus(part.partition("=")[0]) not in changed]
    return f"{request.base_url}?{'&'.join([*kept, urlencode(changed)])}"
