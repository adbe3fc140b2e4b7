"""What the services of `greenpower up` are forked from: everything that they import, and the command line.

What belongs here: which modules are imported once. What does not: how processes are forked
(`greenpower.stack.fork_server`). realtime is not forked: eventlet changes modules before they are imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

from sqlalchemy.orm import configure_mappers

from greenpower.cli.main import main
from greenpower.stack.fork_server import serve

COMMAND = (sys.executable, "-m", "greenpower.cli.preloaded")
# The commands that run all the time.
MODULES = ("greenpower.cli.ingest", "greenpower.cli.jobs", "greenpower.cli.api", "greenpower.app")


def run(fd: int) -> None:
    """Import, then run what is asked for in processes that are forked."""
    for name in MODULES:
        import_module(name)
    configure_mappers()
    arguments = serve(fd)
    sys.argv = ["greenpower", *arguments]
    main()


if __name__ == "__main__":
    run(int(sys.argv[1]))
