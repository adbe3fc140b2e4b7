"""The supervisor: groups of child processes, started in order, each restarted by itself, stopped in reverse order.

What the children are is in `greenpower.stack.stack`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from greenpower.stack.child import Child
from greenpower.stack.process import Say
from greenpower.stack.restarter import Restarter


class Supervisor:
    """Use as `async with`: leaving it stops every child, the last group first.

    `changed` is called with the running process ids by name when a child starts or ends.
    """

    def __init__(self, say: Say, changed: Callable[[dict[str, int]], None] = lambda pids: None) -> None:
        self._say = say
        self._on_change = changed
        self._groups: list[list[Restarter]] = []

    async def start(self, *children: Child) -> None:
        """Start a group; returns when every child of it answers. One that ends meanwhile is restarted.

        Raises ConfigError where one has never answered and says that another start is no use.
        """
        group = [Restarter(child, self._say, self._changed) for child in children]
        self._groups.append(group)
        while not all(restarter.ready.is_set() for restarter in group):  # one may end while we wait for another
            waiting = [asyncio.create_task(restarter.until_ready()) for restarter in group]
            try:
                await asyncio.gather(*waiting)
            finally:
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)

    @property
    def pids(self) -> dict[str, int]:
        """Running children: name and process id."""
        running = ((restarter.child.name, restarter.pid) for group in self._groups for restarter in group)
        return {name: pid for name, pid in running if pid is not None}

    async def stop(self) -> None:
        """Stop the groups, the last first; the children of a group together."""
        while self._groups:
            await asyncio.gather(*(restarter.stop() for restarter in self._groups[-1]))
            self._groups.pop()

    def kill(self) -> None:
        """kill -9 for every child, when the operator does not want to wait; `stop` then returns soon."""
        for group in self._groups:
            for restarter in group:
                restarter.kill()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _changed(self) -> None:
        self._on_change(self.pids)
