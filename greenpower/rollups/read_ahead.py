"""Reading ahead: the readings of the next part are fetched while those of one are computed and stored.

MongoDB reads on one core, then, while this process computes on another. Twice as many readings are in memory. What
belongs here: who reads when. What does not: how a stretch is cut (`parts`), what is read (`stretch_readings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

PartT = TypeVar("PartT")
ReadT = TypeVar("ReadT")


def read_ahead(parts: Iterator[PartT], read: Callable[[PartT], ReadT]) -> Iterator[tuple[PartT, ReadT]]:
    """Each part with what `read` gives for it, in order; the next one is found and read in a thread meanwhile.

    One thread at a time goes on in `parts` and reads. What either raises is raised where that part would come. Who
    stops in between waits for what is being read.
    """

    def next_one() -> tuple[PartT, ReadT] | None:
        part = next(parts, None)
        return None if part is None else (part, read(part))

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader:
        coming = reader.submit(next_one)
        while (found := coming.result()) is not None:
            coming = reader.submit(next_one)
            yield found
