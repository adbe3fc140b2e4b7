"""`greenpower realtime`: serve live values over Socket.IO."""

from __future__ import annotations

import os
import sys

import click


@click.command()
def realtime() -> None:
    """Serve live values over Socket.IO until SIGTERM. Several may run on one Redis."""
    # The same process with a fresh interpreter: eventlet must come before all that this one has imported.
    os.execv(sys.executable, [sys.executable, "-m", "greenpower.realtime"])
