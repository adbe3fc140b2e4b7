"""Failed writes: whose fault they are. A faulty document is rejected; a write that the server fails is repeated.

What belongs here: the codes, and repeating. What does not: reading the errors of a batch (`greenpower.mongo.bulk`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bson import encode
from bson.errors import BSONError
from pymongo.errors import InvalidOperation, PyMongoError

from greenpower.mongo.client import Document

log = logging.getLogger(__name__)

DUPLICATE_KEY = 11_000
# The server's codes for a document that it will never store: bad value, cannot parse, not exactly BSON, bad field
# names, path conflicts, failed validation, too large, key too large.
DOCUMENT_FAULTS = frozenset({2, 9, 22, 40, 52, 53, 54, 55, 56, 57, 121, 10_334, 17_280, 17_419, 17_420})
# What the driver raises before anything is sent, when one value of a batch has no BSON form.
ENCODING_FAULTS = (BSONError, OverflowError, UnicodeEncodeError, TypeError, ValueError)

FIRST_RETRY_SECONDS = 0.1
MAX_RETRY_SECONDS = 5.0

Result = TypeVar("Result")


def unstorable(document: Document) -> str | None:
    """Why a document has no BSON form; None if it has one."""
    try:
        encode(document)
    except ENCODING_FAULTS as error:
        return f"{type(error).__name__}: {error}"
    return None


async def until_written(
    write: Callable[[], Awaitable[Result]], *, on_retry: Callable[[Exception], None] | None = None
) -> Result:
    """Repeat an idempotent write until it succeeds, with back-off and jitter.

    Encoding errors and operations on a closed client are raised: repeating does not help. Meanwhile nothing is
    acknowledged, so the broker and the senders keep their frames.
    """
    pause = FIRST_RETRY_SECONDS
    while True:
        try:
            return await write()
        except InvalidOperation:
            raise
        except PyMongoError as error:
            if on_retry is not None:
                on_retry(error)
            log.warning("MongoDB does not accept writes, retrying: %s: %.200s", type(error).__name__, error)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, MAX_RETRY_SECONDS)
