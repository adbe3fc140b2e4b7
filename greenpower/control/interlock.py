"""The interlock: a command that moves something must be confirmed by the same caller, within a minute, once.

A confirmation is a signed text with the caller, the command and the operation's id. That id goes into the command's
row, where it is unique. So a confirmation works once, and is stored nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

from greenpower.config import Settings
from greenpower.control.order import new_operation

CONFIRMATION_SECONDS = 60
SALT = "greenpower.interlock"


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    # The key of tokens: every API process has it. The salt keeps confirmations and tokens apart.
    return URLSafeTimedSerializer(settings.jwt_signing_key.get_secret_value(), salt=SALT)


def _subject(caller: str, device_id: str, command: str, parameters: Mapping[str, Any]) -> list[Any]:
    return [caller, device_id, command, sorted(parameters.items())]


def make_confirmation(
    settings: Settings, caller: str, device_id: str, command: str, parameters: Mapping[str, Any]
) -> str:
    """The text that the caller must send back."""
    subject = _subject(caller, device_id, command, parameters)
    return str(_serializer(settings).dumps([new_operation(), *subject]))


def check_confirmation(
    settings: Settings, text: str, caller: str, device_id: str, command: str, parameters: Mapping[str, Any]
) -> str | None:
    """The operation's id if this caller was given the text for this command within the last minute; else None."""
    try:
        operation, *subject = _serializer(settings).loads(text, max_age=CONFIRMATION_SECONDS)
    except (BadData, TypeError, ValueError):
        return None
    wanted = _subject(caller, device_id, command, parameters)
    wanted[-1] = [list(item) for item in wanted[-1]]
    return str(operation) if subject == wanted else None
