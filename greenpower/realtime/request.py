"""The requests of clients, `subscribe` and `unsubscribe`: checked, and limited per client."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from greenpower.realtime.client import ALL, MAX_HZ, Client, Key, Subscription

MAX_SUBSCRIPTIONS = 200
MAX_FIELDS = 200
MAX_ID_LENGTH = 256
# Requests of one client: so many at once, then so many per second.
MAX_REQUESTS_AT_ONCE, REQUESTS_PER_SECOND = 300, 20

Model = TypeVar("Model", bound=BaseModel)


class BadRequest(Exception):
    """The request is refused. `error`: one word; `detail`: for people."""

    def __init__(self, error: str, detail: str = "") -> None:
        super().__init__(error)
        self.error, self.detail = error, detail


class Unsubscribe(BaseModel):
    """`{type, device_id}`; device_id `*` is every device of the type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: str = Field(max_length=64)
    device_id: str = Field(min_length=1, max_length=MAX_ID_LENGTH)


class Subscribe(Unsubscribe):
    """`{type, device_id, fields?, max_hz?}`; fields: names in the payload."""

    fields: list[str] | None = Field(None, max_length=MAX_FIELDS)
    max_hz: float = Field(MAX_HZ, ge=0.001, le=MAX_HZ)


def read_subscribe(data: object, client: Client, types: Collection[str]) -> Subscription:
    """The subscription that a client asks for.

    Raises BadRequest: `bad-request`, `unknown-type`, `forbidden`, `too-many-subscriptions`.
    """
    asked = _validated(Subscribe, data)
    if asked.type not in types:
        raise BadRequest("unknown-type", f"types are {', '.join(sorted(types))}")
    device = None if asked.device_id == ALL else asked.device_id
    if not client.may_see(asked.type, device):
        raise BadRequest("forbidden")
    key = (asked.type, asked.device_id)
    if key not in client.subscriptions and len(client.subscriptions) >= MAX_SUBSCRIPTIONS:
        raise BadRequest("too-many-subscriptions", f"a client may have {MAX_SUBSCRIPTIONS}")
    return Subscription(
        type=asked.type,
        device=asked.device_id,
        fields=None if asked.fields is None else frozenset(asked.fields),
        pause=1 / asked.max_hz,
    )


def read_unsubscribe(data: object) -> Key:
    """The key of the subscription that a client ends. Raises BadRequest: `bad-request`."""
    asked = _validated(Unsubscribe, data)
    return asked.type, asked.device_id


def _validated(model: type[Model], data: object) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = ("{}: {}".format(".".join(map(str, item["loc"])) or "request", item["msg"]) for item in error.errors())
        raise BadRequest("bad-request", "; ".join(found)[:300]) from None


class RequestLimit:
    """How many requests a client may make."""

    def __init__(self, now: float) -> None:
        self._left = float(MAX_REQUESTS_AT_ONCE)
        self._at = now

    def spend(self, now: float) -> bool:
        """Count a request. Returns False if it is one too many."""
        self._left = min(MAX_REQUESTS_AT_ONCE, self._left + (now - self._at) * REQUESTS_PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
