"""The steps of a run, told as they are done. What does not belong here: doing them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class ArchiveStep(StrEnum):
    """What a run has just done: a file noted, written and synced, compared, named by the manifest; rows deleted from
    MongoDB, all rows of a file deleted; an old file removed."""

    NOTED = "noted"
    WRITTEN = "written"
    COMPARED = "compared"
    SWITCHED = "switched"
    DELETED = "deleted"
    CLEARED = "cleared"
    REMOVED = "removed"


Tell = Callable[[ArchiveStep], None]


def tell_nobody(step: ArchiveStep) -> None:
    """For callers that do not need to know."""
