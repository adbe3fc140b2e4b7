"""Reading tables: the readings of one device by columns, where all of them have the same fields.

Most devices send all their fields with every reading. Then a column per field is all that rolling up needs, and a
document per reading would be most of the work. What belongs here: the table, and payloads with a table in their midst.
What does not: how it is read (`greenpower.mongo.rollups.reading_layout`), what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, overload

from greenpower.measure.state import Number

Payload = dict[str, Any]
Reading = dict[str, Any]


class ReadingTable(Sequence[Reading]):
    """The readings `{device_id, timestamp, payload, clock?}` of a device, in order of time.

    names: the fields of each. columns: their numbers, by field. clock: that of all of them, None where they have none.
    As documents they are made when somebody asks.
    """

    def __init__(
        self,
        device: str,
        times: Sequence[datetime],
        names: Sequence[str],
        columns: Sequence[tuple[Number, ...]],
        clock: str | None,
    ) -> None:
        self.device, self.times, self.names, self.columns, self.clock = device, times, names, columns, clock

    @cached_property
    def documents(self) -> list[Reading]:
        """One document per reading."""
        rows = zip(*self.columns, strict=True)
        return [self._document(time, row) for time, row in zip(self.times, rows, strict=True)]

    def payload(self, place: int) -> Payload:
        """That of one reading: not worth a document for each."""
        return dict(zip(self.names, (column[place] for column in self.columns), strict=True))

    def _document(self, time: datetime, row: Sequence[Number]) -> Reading:
        more = {} if self.clock is None else {"clock": self.clock}
        return {"device_id": self.device, "timestamp": time, "payload": dict(zip(self.names, row, strict=True)), **more}

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[Reading]:
        return iter(self.documents)

    @overload
    def __getitem__(self, place: int) -> Reading: ...

    @overload
    def __getitem__(self, place: slice) -> list[Reading]: ...

    def __getitem__(self, place: int | slice) -> Reading | list[Reading]:
        if isinstance(place, int) and "documents" not in self.__dict__:
            return self._document(self.times[place], [column[place] for column in self.columns])
        return self.documents[place]


class TablePayloads(Sequence[Payload]):
    """The payloads of a table, and of some readings before and after it."""

    def __init__(self, before: Sequence[Payload], table: ReadingTable, after: Sequence[Payload]) -> None:
        self.before, self.table, self.after = before, table, after

    def whole(self, names: Sequence[str]) -> list[tuple[Any, ...]] | None:
        """The values of some fields of the first payload, where all payloads have the same fields; None otherwise."""
        table = self.table
        every = set(table.names)
        if any(payload.keys() != every for side in (self.before, self.after) for payload in side):
            return None
        places = {name: place for place, name in enumerate(table.names)}
        return [
            (
                *[payload[name] for payload in self.before],
                *table.columns[places[name]],
                *[payload[name] for payload in self.after],
            )
            for name in names
        ]

    @cached_property
    def _payloads(self) -> list[Payload]:
        return [*self.before, *(reading["payload"] for reading in self.table), *self.after]

    def __len__(self) -> int:
        return len(self.before) + len(self.table) + len(self.after)

    def __iter__(self) -> Iterator[Payload]:
        return iter(self._payloads)

    @overload
    def __getitem__(self, place: int) -> Payload: ...

    @overload
    def __getitem__(self, place: slice) -> list[Payload]: ...

    def __getitem__(self, place: int | slice) -> Payload | list[Payload]:
        if place == 0:
            return self.before[0] if self.before else self.table.payload(0)
        return self._payloads[place]
