"""Webhooks: one POST for each batch, with a signature. No redirects, no proxies, TLS verified, bounded in time.

What belongs here: the request and what counts as taken. What does not: which addresses are allowed (`address`).
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Timer

from greenpower import __version__
from greenpower.outbound.address import PORTS, Networks, OutboundAddress, connect
from greenpower.outbound.batch import OutboundBatch, delivery_id
from greenpower.outbound.failure import DeliveryError
from greenpower.outbound.sign import sign

REQUEST_SECONDS = 10.0
DELIVERY_HEADER, TIME_HEADER, SIGNATURE_HEADER = "GreenPower-Delivery", "GreenPower-Timestamp", "GreenPower-Signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSender:
    """Sends to one webhook. seconds: for the whole of a request. ca: a file of certificates, None: the system's."""

    address: OutboundAddress
    secret: str
    networks: Networks
    ca: Path | None = None
    seconds: float = REQUEST_SECONDS

    def send(self, batch: OutboundBatch, now: datetime) -> None:
        """Deliver a batch. Raises DeliveryError unless the receiver answers with a status of 200 to 299."""
        body = batch.body()
        status = self._post(body, self._headers(body, now))
        if not 200 <= status < 300:
            raise DeliveryError(f"the receiver answered with status {status}")

    def close(self) -> None:
        """Nothing is kept open."""

    def _headers(self, body: bytes, now: datetime) -> dict[str, str]:
        seconds = int(now.timestamp())
        found = {
            "Host": _host_header(self.address),
            "Content-Type": "application/json",
            "User-Agent": f"green-power/{__version__}",
            "Connection": "close",
            DELIVERY_HEADER: delivery_id(body),
            TIME_HEADER: str(seconds),
            SIGNATURE_HEADER: sign(self.secret, seconds, body),
        }
        if self.address.username is not None:
            login = f"{self.address.username}:{self.address.password or ''}".encode()
            found["Authorization"] = "Basic " + base64.b64encode(login).decode()
        return found

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        there = connect(self.address, self.networks, self.seconds)
        try:
            if self.address.is_encrypted:
                context = ssl.create_default_context(cafile=self.ca)
                there = context.wrap_socket(there, server_hostname=self.address.host, do_handshake_on_connect=False)
            with _cut_after(there, self.seconds) as was_cut:
                if isinstance(there, ssl.SSLSocket):
                    there.do_handshake()
                connection = http.client.HTTPConnection(self.address.host, self.address.port)
                connection.sock = there
                connection.request("POST", self.address.path, body, headers)
                status = connection.getresponse().status
                if was_cut.is_set():  # what came until then may look like a whole answer
                    raise TimeoutError
                return status
        except ssl.SSLError as error:
            raise DeliveryError(f"TLS failed: {error.reason or 'cut'}") from None
        except TimeoutError:
            raise DeliveryError("no answer in time") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryError(f"no answer: {type(error).__name__}") from None
        finally:
            there.close()


@contextmanager
def _cut_after(there: socket.socket, seconds: float) -> Iterator[Event]:
    """Within it, a connection is cut when the time is over, however slowly the other side goes on sending."""

    was_cut = Event()

    def cut() -> None:
        was_cut.set()
        with suppress(OSError):
            # Of the plain socket: TLS would wait for the other side.
            socket.socket.shutdown(there, socket.SHUT_RDWR)

    there.settimeout(seconds)
    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield was_cut
    finally:
        timer.cancel()


def _host_header(address: OutboundAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return host if address.port == PORTS[address.scheme] else f"{host}:{address.port}"
