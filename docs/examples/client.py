"""A small typed client of the API: logs in, renews its token, reads all pages, retries when the API asks to wait.

Needs httpx. Try it while `make up` runs:

    python docs/examples/client.py http://127.0.0.1:8000 admin PASSWORD rt-data
    python docs/examples/client.py http://127.0.0.1:8000 --key gp_... rt-data
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import httpx

# Statuses after which a retry makes sense: too many requests, a service that is not available.
RETRY_STATUSES = (429, 503)
MAX_REQUEST_TRIES = 4
MAX_WAIT_SECONDS = 60.0


class ApiError(Exception):
    """An error from the API. code: HTTP status. errors: what is wrong, by place and parameter."""

    def __init__(self, code: int, message: str, errors: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.errors = errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A reading. timestamp: time of measurement, UTC. payload: its values by field."""

    device_id: str
    timestamp: datetime
    payload: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A registered device. last_heard: time of its last message; None if there was none."""

    device_id: str
    name: str
    types: tuple[str, ...]
    status: str
    last_heard: datetime | None


class Client:
    """A connection to the API, as a user or with an API key. Use it in a `with` statement."""

    def __init__(
        self, base: str, *, username: str = "", password: str = "", key: str = "", timeout: float = 30
    ) -> None:
        self._http = httpx.Client(base_url=base, timeout=timeout)
        self._username, self._password, self._key = username, password, key
        self._access = self._refresh = ""

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._refresh:
                self._http.post("/api/users/token/logout/", json={"refresh": self._refresh})
        finally:
            self._http.close()

    def readings(
        self, endpoint: str, *, device_id: str = "", start: datetime | None = None, end: datetime | None = None
    ) -> Iterator[Reading]:
        """Readings of a data type, oldest first if a time range is given. Raises ApiError, httpx.HTTPError."""
        query: dict[str, Any] = {"page_size": 500}
        if device_id:
            query["device_id"] = device_id
        for name, time_ in (("start_time", start), ("end_time", end)):
            if time_ is not None:
                query[name] = time_.astimezone(UTC).isoformat()
        for result in self._pages(f"/api/telemetry/{endpoint}/", query):
            yield Reading(
                device_id=result["device_id"],
                timestamp=datetime.fromisoformat(result["timestamp"]),
                payload=result["payload"],
            )

    def devices(self, **query: str) -> Iterator[Device]:
        """Devices of the registry, by id. query: `status`, `type`, `zone_id`. Raises ApiError, httpx.HTTPError."""
        for result in self._pages("/api/devices/", dict(query)):
            heard = result["last_heard"]
            yield Device(
                device_id=result["device_id"],
                name=result["name"],
                types=tuple(result["types"]),
                status=result["status"],
                last_heard=None if heard is None else datetime.fromisoformat(heard),
            )

    def _pages(self, path: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The entries of a list, page by page."""
        page = self._get(path, query)
        while True:
            yield from page["results"]
            if page["next"] is None:
                return
            page = self._get(page["next"])

    def _get(self, path: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        for attempt in range(MAX_REQUEST_TRIES):
            if not self._access:
                self._log_in()
            response = self._http.get(path, params=query, headers={"Authorization": f"Bearer {self._access}"})
            if response.status_code == 401 and attempt == 0:
                self._access = ""  # it has expired
            elif response.status_code in RETRY_STATUSES and attempt < MAX_REQUEST_TRIES - 1:
                time.sleep(min(float(response.headers.get("Retry-After", 1)), MAX_WAIT_SECONDS))
            else:
                break
        return _body(response)

    def _log_in(self) -> None:
        """Get a token: for the key, else with the refresh token, else with the password."""
        if self._key:
            tokens = _body(self._http.post("/api/api-keys/token/", json={"key": self._key}))
        else:
            refresh, self._refresh = self._refresh, ""
            response = self._http.post("/api/users/token/refresh/", json={"refresh": refresh}) if refresh else None
            if response is None or response.status_code == 401:
                login = {"username": self._username, "password": self._password}
                response = self._http.post("/api/users/token/", json=login)
            tokens = _body(response)
            self._refresh = tokens["refresh"]
        self._access = tokens["access"]


def _body(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    if response.is_error:
        raise ApiError(body["code"], body["message"], body["errors"])
    return body


def main(base: str, *arguments: str) -> None:
    """Print the devices, and the ten newest readings of a type."""
    first, second, endpoint = arguments
    with Client(base, key=second) if first == "--key" else Client(base, username=first, password=second) as client:
        for device in client.devices():
            print(device.device_id, ",".join(device.types), device.status, device.last_heard)
        for _, reading in zip(range(10), client.readings(endpoint), strict=False):
            print(reading.timestamp.isoformat(), reading.device_id, reading.payload)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
