"""What goes wrong with the embedded stack in a way that the operator can mend."""

from __future__ import annotations

from greenpower.config import ConfigError


class EmbeddedError(ConfigError):
    """A part cannot be had, does not start, or finds its home or port taken. One line that says what to do."""
