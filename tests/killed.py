"""A process that ends in the middle of something, for tests that play it within their own."""

from __future__ import annotations

from typing import NoReturn


class Killed(BaseException):
    """The process ends here. Nothing of ours handles it, as nothing handles a SIGKILL."""


def end_process(*_: object, **__: object) -> NoReturn:
    """Takes the place of what the process does not come to."""
    raise Killed
