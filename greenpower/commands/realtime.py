"""`greenpower realtime`: serve live values over Socket.IO."""

from __future__ import annotations

import click


@click.command()
def realtime() -> None:
    """Serve live values over Socket.IO until SIGTERM. Several may run on one Redis."""
    # Before anything that opens sockets is imported by the gateway: all of it has to give way to other greenlets.
    import eventlet

    eventlet.monkey_patch()

    from greenpower.config import load_settings
    from greenpower.live.server import serve
    from greenpower.log import set_up_logging
    from greenpower.registry import get_registry

    settings = load_settings()
    settings.check_production()
    set_up_logging(settings.log_level)
    serve(settings, get_registry())
