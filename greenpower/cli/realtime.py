"""`greenpower realtime`: serve live values over Socket.IO."""

from __future__ import annotations

import os
import sys

import click


@click.command()
def realtime() -> None:
    """Serve live values over Socket.IO. Several can share one Redis."""
    # Replace this process by a fresh interpreter: eventlet must be imported before everything else.
    os.execv(sys.executable, [sys.executable, "-m", "greenpower.realtime"])
