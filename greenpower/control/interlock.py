"""The interlock: what moves something in the world is confirmed by who asked for it, within a minute, once.

A confirmation is a signed text that holds who, what and the operation's id. That id goes into the command's row, where
it is unique; so a confirmation is good once without being kept anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

from greenpower.config import Settings
from greenpower.control.order import new_operation

SECONDS = 60
SALT = "greenpower.interlock"


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    # The key of tokens: it is there wherever the API runs, and the salt keeps the two apart.
    return URLSafeTimedSerializer(settings.jwt_signing_key.get_secret_value(), salt=SALT)


def _matter(caller: str, device_id: str, command: str, parameters: Mapping[str, Any]) -> list[Any]:
    return [caller, device_id, command, sorted(parameters.items())]


def make_confirmation(
    settings: Settings, caller: str, device_id: str, command: str, parameters: Mapping[str, Any]
) -> str:
    """What the caller is to send back."""
    matter = _matter(caller, device_id, command, parameters)
    return str(_serializer(settings).dumps([new_operation(), *matter]))


def check_confirmation(
    settings: Settings, text: str, caller: str, device_id: str, command: str, parameters: Mapping[str, Any]
) -> str | None:
    """The operation's id, where this is a confirmation of just that by just him, given within a minute; else None."""
    try:
        operation, *matter = _serializer(settings).loads(text, max_age=SECONDS)
    except (BadData, TypeError, ValueError):
        return None
    wanted = _matter(caller, device_id, command, parameters)
    wanted[-1] = [list(item) for item in wanted[-1]]
    return str(operation) if matter == wanted else None
