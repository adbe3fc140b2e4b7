"""Power Query's language, as much of it as the documentation uses: let, records, lists, calls, types, columns.

It reads a query as Power Query does, and does what its functions do with the answer of the API. What it does not know
is an error, as a misspelt function or option is there.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.other_tools.conftest import Site

TOKEN = re.compile(
    r'\s*(?:(?P<quoted>#"(?:[^"]|"")*")|(?P<text>"(?:[^"]|"")*")|(?P<number>\d+(?:\.\d+)?)'
    r"|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>[=,(){}\[\]&]))"
)
TYPES: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "number": float,
    "datetimezone": datetime.fromisoformat,
    "date": date.fromisoformat,
    "logical": {"true": True, "false": False}.__getitem__,
}
Rows = list[dict[str, Any]]


class Query:
    """A query, evaluated against an API."""

    def __init__(self, text: str, site: Site) -> None:
        self.tokens = [found for found in self._split(text)]
        self.place = 0
        self.site = site
        self.known: dict[str, Any] = {"true": True, "false": False, "TextEncoding.Utf8": 65001}

    def run(self) -> Any:
        """The value of the query."""
        self._take("let")
        while True:
            name = self._name()
            self._take("=")
            self.known[name] = self._value()
            if not self._next(","):
                break
        self._take("in")
        value = self._value()
        assert self.place == len(self.tokens), self.tokens[self.place :]
        return value

    def _split(self, text: str) -> list[tuple[str, str]]:
        found, place = [], 0
        text = text.rstrip()
        while place < len(text):
            token = TOKEN.match(text, place)
            assert token is not None and token.lastgroup is not None, text[place : place + 40]
            found.append((token.lastgroup, token[token.lastgroup]))
            place = token.end()
        return found

    def _next(self, sign: str) -> bool:
        if self.place < len(self.tokens) and self.tokens[self.place][1] == sign:
            self.place += 1
            return True
        return False

    def _take(self, sign: str) -> None:
        assert self._next(sign), f"{sign} was expected, not {self.tokens[self.place : self.place + 3]}"

    def _name(self) -> str:
        kind, text = self.tokens[self.place]
        self.place += 1
        assert kind in ("name", "quoted"), text
        return text[2:-1] if kind == "quoted" else text

    def _value(self) -> Any:
        kind, text = self.tokens[self.place]
        if kind == "text":
            self.place += 1
            return text[1:-1].replace('""', '"')
        if kind == "number":
            self.place += 1
            return float(text)
        if self._next("["):
            return self._record()
        if self._next("{"):
            return self._items("}")
        name = self._name()
        if name == "type":
            return TYPES[self._name()]
        if self._next("("):
            return FUNCTIONS[name](self, *self._items(")"))
        value = self.known[name]
        if self._next("["):
            column = self._name()
            self._take("]")
            return [row[column] for row in value]
        return value

    def _record(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self._next("]"):
            name = self._name()
            self._take("=")
            found[name] = self._value()
            if not self._next(","):
                self._take("]")
                break
        return found

    def _items(self, end: str) -> list[Any]:
        found = []
        while not self._next(end):
            found.append(self._value())
            if not self._next(","):
                self._take(end)
                break
        return found


def web_contents(query: Query, server: str, options: dict[str, Any]) -> bytes:
    assert set(options) <= {"RelativePath", "Query", "Headers"} and not urlsplit(server).path.strip("/")
    headers = {
        name: query.site.key if value == query.known["Key"] else value for name, value in options["Headers"].items()
    }
    assert all(isinstance(value, str) for value in options["Query"].values()), "a query's values are texts"
    answer = query.site.client.get(f"/{options['RelativePath']}?{urlencode(options['Query'])}", headers=headers)
    assert answer.status_code == 200, answer.text
    return bytes(answer.data)


def csv_document(query: Query, content: bytes, options: dict[str, Any]) -> list[list[str]]:
    assert set(options) == {"Delimiter", "Encoding"} and options["Encoding"] == 65001
    return list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=options["Delimiter"]))


def promote_headers(query: Query, table: list[list[str]], options: dict[str, Any]) -> Rows:
    assert options == {"PromoteAllScalars": True}
    header, *lines = table
    return [dict(zip(header, line, strict=True)) for line in lines]


def transform_column_types(query: Query, rows: Rows, types: list[list[Any]], culture: str) -> Rows:
    assert culture == "en-US"
    convert = {name: kind for name, kind in types}
    assert rows and set(convert) <= set(rows[0]), "there is no such column"
    return [
        {name: value if name not in convert else convert[name](value) if value else None for name, value in row.items()}
        for row in rows
    ]


def pivot(query: Query, rows: Rows, names: list[str], attribute: str, value: str) -> Rows:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        rest = {name: cell for name, cell in row.items() if name not in (attribute, value)}
        wide = found.setdefault(tuple(rest.values()), {**rest, **dict.fromkeys(names)})
        assert wide[row[attribute]] is None, "two values for one cell are an error"
        wide[row[attribute]] = row[value]
    return list(found.values())


def distinct(query: Query, values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "Web.Contents": web_contents,
    "Csv.Document": csv_document,
    "Table.PromoteHeaders": promote_headers,
    "Table.TransformColumnTypes": transform_column_types,
    "Table.Pivot": pivot,
    "List.Distinct": distinct,
}
