"""Refusing parameters that are well formed and do not fit together, in the shape in which the others are refused."""

from __future__ import annotations

from typing import NoReturn

from webargs.flaskparser import abort


def raise_for(name: str, *messages: str) -> NoReturn:
    """Answer 422 for a parameter of the query."""
    abort(422, errors={"query": {name: list(messages)}})
    raise AssertionError("unreachable")
