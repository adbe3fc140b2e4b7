"""Stamps in recorded frames: where they are, and how the same device would write another time.

What belongs here: the forms of stamps in text, from both sides. What does not: whether a parser takes a number for the
time (`recorded`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

StampForm = Literal["iso", "compact", "count"]
STAMP = re.compile(
    rb"(?P<iso>[0-9]{4}-[0-9]{2}-[0-9]{2}(?P<between>[T ])[0-9]{2}:[0-9]{2}:[0-9]{2}(?P<fraction>[.,][0-9]{1,9})?"
    rb"(?P<offset> ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?)"
    rb"|(?<![\w.+-])(?P<compact>(?:19|20)[0-9]{12})(?![\w.])"
    rb"|(?<![\w.+-])(?P<count>[0-9]{10}(?:[0-9]{3}){0,3})(?P<part>\.[0-9]{1,9})?(?![\w.])"
)
#: of a count since 1970, how many digits below a second it has
UNITS_BY_DIGITS = {10: 0, 13: 3, 16: 6, 19: 9}


@dataclass(frozen=True, slots=True, kw_only=True)
class StampText:
    """A stamp in a frame: payload[start:end]. quoted: whether it is a text of its own, that is JSON or CSV in quotes.

    fraction: how many digits below a second it has. offset: how an ISO stamp says where it is from UTC, as written.
    """

    start: int
    end: int
    form: StampForm
    quoted: bool
    fraction: int = 0
    offset: str = ""
    between: str = "T"

    def put(self, payload: bytes, text: str) -> bytes:
        """The frame with another text in its place."""
        return payload[: self.start] + text.encode() + payload[self.end :]

    def write(self, at: datetime, zone: tzinfo = UTC) -> str:
        """A time (aware) as the device writes it. zone: of its clock, where the form names none."""
        if self.form == "count":
            microseconds = round(at.timestamp() * 1_000_000)
            whole = self.end - self.start - (self.fraction + 1 if self.fraction else 0)
            count = str(microseconds * 1000 // 10 ** (9 - UNITS_BY_DIGITS[whole]))
            return f"{count}.{'0' * self.fraction}" if self.fraction else count
        if self.form == "compact":
            return f"{at.astimezone(zone):%Y%m%d%H%M%S}"
        local = at.astimezone(UTC if self.offset else zone)
        part = f".{local.microsecond:06}000"[: self.fraction + 1] if self.fraction else ""
        numeric = self.offset.strip()[:1] in ("+", "-")
        suffix = f"+00{':' * (':' in self.offset)}00" if numeric else self.offset
        return f"{local:%Y-%m-%d}{self.between}{local:%H:%M:%S}{part}{suffix}"


def stamp_texts(payload: bytes) -> Iterator[StampText]:
    """What may be a stamp in a frame, in order."""
    for match in STAMP.finditer(payload):
        form: StampForm = "iso" if match["iso"] else "compact" if match["compact"] else "count"
        yield StampText(
            start=match.start(),
            end=match.end(),
            form=form,
            quoted=payload[match.start() - 1 : match.start()] == b'"'
            and payload[match.end() : match.end() + 1] == b'"',
            fraction=max(0, len(match["fraction"] or match["part"] or b".") - 1),
            offset=(match["offset"] or b"").decode(),
            between=(match["between"] or b"T").decode(),
        )
