"""TLS: certificates are checked, by name and by authority."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from greenpower.outbound.address import OutboundAddress
from greenpower.outbound.batch import OutboundBatch
from greenpower.outbound.failure import DeliveryError
from greenpower.outbound.webhook import WebhookSender
from greenpower.sql import OutboundContent
from tests.outbound.receiver import receiving
from tests.outbound.world import LOOPBACK, SECRET, T0
from tests.tls import TlsFront, write_authority, write_certificate

BATCH = OutboundBatch(target="t", content=OutboundContent.READINGS, type=None, resolution=None, rows=(), is_test=True)


def test_only_a_receiver_with_a_good_certificate_gets_anything(tmp_path: Path) -> None:
    good, other = trustme.CA(), trustme.CA()
    ca = write_authority(tmp_path, "good", good)
    wrong = write_authority(tmp_path, "other", other)
    with receiving() as receiver:

        def send(subject: str, trusted: Path | None) -> None:
            chain, key = write_certificate(tmp_path, subject, good, subject)
            with TlsFront(("127.0.0.1", receiver.port), chain, key) as front:
                address = OutboundAddress(
                    scheme="https", host="localhost", port=front.port, path="/", username="me", password="pass"
                )
                WebhookSender(address=address, secret=SECRET, networks=LOOPBACK, ca=trusted).send(BATCH, T0)

        for subject, trusted in (("localhost", wrong), ("localhost", None), ("elsewhere.example", ca)):
            with pytest.raises(DeliveryError, match="TLS failed"):
                send(subject, trusted)
        assert receiver.got == []
        send("localhost", ca)
        [(headers, _)] = receiver.got
        assert headers["Authorization"] == "Basic bWU6cGFzcw==" and headers["Host"].startswith("localhost:")
