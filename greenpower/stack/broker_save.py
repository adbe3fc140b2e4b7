"""Having the broker write down the sessions of ingest as soon as they exist.

A broker that is killed comes back with its last save, and saves only every ten seconds. One that is killed before the
first would not know that ingest has a session: it would acknowledge what devices send, and forget it, until ingest is
there again. So the stack is not ready before that save.

What belongs here: asking for the save, and seeing that it was made. What does not: the file (`broker_file`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from greenpower.stack.broker_file import subscribers
from greenpower.stack.mosquitto import Mosquitto

LOOK_SECONDS = 0.1
# A broker that has much to write, or another version of its file: what it saves by itself comes soon enough.
GIVE_UP_SECONDS = 20.0


async def sessions_saved(broker: Mosquitto, pid: Callable[[], int | None], client_ids: Collection[str]) -> bool:
    """Wait until the broker has saved these clients' sessions, as they are now. pid: of the broker, None while it is
    away.

    Returns whether it has; gives up after `GIVE_UP_SECONDS`.
    """
    end, before = time.monotonic() + GIVE_UP_SECONDS, _written(broker.file)
    while time.monotonic() < end:
        if (number := pid()) is not None:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGUSR1)  # mosquitto: save now
        await asyncio.sleep(LOOK_SECONDS)
        if _written(broker.file) != before and set(client_ids) <= await asyncio.to_thread(subscribers, broker.file):
            return True
    return False


def _written(path: Path) -> int:
    """When a file was written, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
