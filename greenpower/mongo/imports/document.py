"""The shape of an uploaded file. What does not belong here: its queries (`uploads`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, TypedDict


class UploadDocument(TypedDict):
    """A file that the API took and the worker imports, in `import_uploads`. It expires with its counts.

    data: the file, until it is imported. query: how it is to be read. by: who sent it, as the audit says it. seen_at:
    of the run under way, so that another run takes over from one that was killed. attempts: how often it was begun.
    counts: of the newest attempt, as the API shows them. error: why it failed.
    """

    _id: str
    state: str
    type: str
    query: dict[str, Any]
    by: dict[str, Any]
    bytes: int
    created_at: datetime
    attempts: int
    data: NotRequired[bytes]
    started_at: NotRequired[datetime]
    seen_at: NotRequired[datetime]
    finished_at: NotRequired[datetime]
    counts: NotRequired[dict[str, Any]]
    error: NotRequired[str]
