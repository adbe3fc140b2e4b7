"""The gateway's process: `python -m greenpower.realtime`; `greenpower realtime` starts it.

It is a fresh interpreter, because eventlet must replace sockets and locks before anything else is imported.
"""

from __future__ import annotations

import sys
import warnings


def main() -> None:
    """Serve until SIGTERM. A problem with the settings is one line on stderr and exit code 2."""
    # It says that eventlet only gets bug fixes. That is known, and an operator can do nothing about it.
    warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch()

    from greenpower.catalog.registry import RegistryError, get_registry
    from greenpower.config import ConfigError, load_settings
    from greenpower.log import set_up_logging
    from greenpower.realtime.server import serve

    try:
        settings = load_settings()
        settings.check_production()
        set_up_logging(settings.log_level, settings.log_format)
        serve(settings, get_registry())
    except (ConfigError, RegistryError) as error:
        for line in str(error).splitlines():
            print(f"greenpower: {line}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
