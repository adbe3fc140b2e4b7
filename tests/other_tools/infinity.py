"""What Grafana and its Infinity data source do with a query: variables, the address, the answer's rows and columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from greenpower.api.http.json import iso
from tests.other_tools.conftest import Site

Column = list[Any]
VARIABLE = re.compile(r"\$\{(\w+)(?::([\w:]+))?\}|\$(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grafana:
    """A dashboard that is looked at. source: the data source as it is provisioned. start, end: the range."""

    site: Site
    source: Mapping[str, Any]
    start: datetime
    end: datetime

    def fill_in(self, text: str, variables: Mapping[str, str | Sequence[str]]) -> str:
        """A text with the values of its variables."""

        def value(found: re.Match[str]) -> str:
            name, form = found[1] or found[3], found[2]
            if name in ("__from", "__to"):
                assert form == "date:iso", found[0]
                return iso(self.start if name == "__from" else self.end)
            given = variables[name]
            if isinstance(given, str):
                return given
            assert form == "csv", f"{found[0]} has several values: they would become {{a,b}}"
            return ",".join(given)

        return VARIABLE.sub(value, text)

    def rows(self, query: Mapping[str, Any], variables: Mapping[str, str | Sequence[str]]) -> dict[str, Column]:
        """The columns of a query's answer, by their texts."""
        assert (query["type"], query["source"], query["parser"]) == ("json", "url", "backend")
        options = query["url_options"]
        assert options["method"] == "GET"
        # The base is put before what does not begin with it; parameters are added to those of the address.
        address = urlsplit(self.source["url"] + self.fill_in(query["url"], variables))
        assert f"{address.scheme}://{address.netloc}" in self.source["jsonData"]["allowedHosts"]
        parameters = parse_qsl(address.query)
        parameters += [(one["key"], self.fill_in(one["value"], variables)) for one in options["params"]]
        data = self.source["jsonData"]
        assert (data["auth_method"], data["apiKeyType"]) == ("apiKey", "header")
        answer = self.site.client.get(
            f"{address.path}?{urlencode(parameters)}", headers={data["apiKeyKey"]: self.site.key}
        )
        assert answer.status_code == 200, (address.path, parameters, answer.text)
        found = answer.get_json()[query["root_selector"]]
        assert isinstance(found, list)
        return {
            column["text"]: [convert(row[column["selector"]], column["type"]) for row in found]
            for column in query["columns"]
        }


def convert(value: Any, kind: str) -> Any:
    """A value as a column of a type has it. Raises AssertionError, ValueError for what Infinity would make empty."""
    if value is None:
        return None
    if kind == "timestamp":
        return datetime.fromisoformat(value)
    if kind == "number":
        assert isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value)
    assert kind == "string" and isinstance(value, str)
    return value


def is_long_series(query: Mapping[str, Any], columns: Mapping[str, Column]) -> bool:
    """Whether Grafana makes one series for each text out of the rows: one column of times, in order, and a number."""
    kinds = [column["type"] for column in query["columns"]]
    times = next(column for column, kind in zip(columns.values(), kinds, strict=True) if kind == "timestamp")
    return sorted(kinds) == ["number", "string", "timestamp"] and times == sorted(times)
