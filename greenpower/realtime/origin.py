"""Which pages may connect: those of the allowed origins, and those of the API on the same host."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from greenpower.config import Settings


class Origins:
    """Tokens are not in cookies, so this is a guard against mistakes more than against attacks."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = frozenset(settings.cors_origins)
        self._ports = frozenset((settings.api_port, settings.realtime_port))

    def allows(self, origin: str, environ: dict[str, Any]) -> bool:
        """Whether a page of this origin may connect. environ: WSGI's."""
        if "*" in self._allowed or origin in self._allowed:
            return True
        host = environ.get("HTTP_X_FORWARDED_HOST") or environ.get("HTTP_HOST", "")
        try:
            page, here = urlsplit(origin), urlsplit(f"//{host.split(',')[0].strip()}")
            if page.netloc == here.netloc:
                return True
            return page.hostname == here.hostname and page.port in self._ports
        except ValueError:
            return False
