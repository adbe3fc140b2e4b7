"""Past buckets: those that a tier keeps no longer, made for an answer from what is kept longer.

```
tier            kept_from ┊▒▒▒▒▒▒▒▒▒▒▒▒▒▒│ stored
readings     ┊············┊··············│··
a question      start ├───┤ made         ┤ end
```

What belongs here: which stretch of a question that is, and remembering what was made for the next page. What does not:
making it (`on_the_fly`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from threading import Lock

from greenpower.measure.windows import ceil, floor
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.tier_view import TierView

# What has just left a tier may still be there when it is asked for, and the other way round.
RETENTION_LEEWAY = timedelta(seconds=60)
# All pages of a list are asked for one after the other.
REMEMBERED_SECONDS = 30.0
REMEMBERED_AT_MOST = 2
MAX_REMEMBERED_ROWS = 2_000

Stretch = tuple[datetime, datetime]


def past_stretch(
    tier_views: Sequence[TierView], tier_view: TierView, start: datetime | None, end: datetime | None
) -> Stretch | None:
    """The stretch `[begin, end)` of whole windows from `start` on, which a tier keeps no longer and for which
    something finer is whole; None where there is none. Its end is where stored buckets follow."""
    window = tier_view.window
    if window is None or start is None or tier_view.done_until is None:
        return None
    if start >= tier_view.kept_from - RETENTION_LEEWAY:
        return None
    finer = tier_views[: list(tier_views).index(tier_view)]
    reach = min(other.whole_from for other in finer)
    begin = ceil(max(start, reach), window)
    until = min(ceil(tier_view.kept_from + RETENTION_LEEWAY, window), floor(tier_view.done_until, window))
    if end is not None:
        until = min(until, floor(end, window) + timedelta(seconds=window))
    return (begin, until) if begin < until else None


class Remembered:
    """Rows that were made for the first page of a list, kept a while for the others. Few, and only of small lists."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Hashable, tuple[float, list[Document]]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> list[Document] | None:
        """The rows, if they are known."""
        with self._lock:
            made_at, rows = self._rows.get(key, (0.0, None))
        return rows if time.monotonic() - made_at < REMEMBERED_SECONDS else None

    def put(self, key: Hashable, rows: list[Document]) -> None:
        """Keep rows; the oldest ones go."""
        if len(rows) > MAX_REMEMBERED_ROWS:
            return
        with self._lock:
            self._rows.pop(key, None)
            self._rows[key] = (time.monotonic(), rows)
            while len(self._rows) > REMEMBERED_AT_MOST:
                self._rows.popitem(last=False)


REMEMBERED = Remembered()
