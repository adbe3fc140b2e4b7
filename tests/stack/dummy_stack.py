"""A program for the tests: a supervisor over two dummy children that say which signals they hear."""

from __future__ import annotations

import asyncio
import signal

from greenpower.stack.child import Child
from greenpower.stack.supervisor import Supervisor

SCRIPT = """
trap 'echo heard INT' INT
trap 'echo heard TERM; exit' TERM
echo up
while true; do sleep 0.05; done
"""


async def main() -> None:
    """Print the children's process ids, then what they say, until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    up: set[str] = set()

    def say(who: str, line: str) -> None:
        if line == "up":
            up.add(who)
        else:
            print(who, line, flush=True)

    def child(name: str) -> Child:
        return Child(name=name, command=("sh", "-c", SCRIPT), trouble=lambda pid: "" if name in up else "starting")

    async with Supervisor(say) as supervisor:
        await supervisor.start(child("one"))
        await supervisor.start(child("two"))
        print(*supervisor.pids.values(), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
