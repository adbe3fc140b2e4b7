"""TLS to the broker, with a certificate on both sides; a broker that another authority vouches for is not spoken to."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.embedded import Mosquitto
from greenpower.embedded.port import free_port
from tests.ingest.conftest import Document, Publisher, Start, frame, wait_events
from tests.tls import write_authority, write_certificate
from tests.wait import wait_until


@pytest.mark.slow
def test_frames_come_over_tls_from_a_broker_that_is_who_it_says(
    start: Start, settings: Settings, db: Database[Document], tmp_path: Path
) -> None:
    ours, foreign = trustme.CA(), trustme.CA()
    for name, authority in (("ours", ours), ("foreign", foreign)):
        write_authority(tmp_path, name, authority)
    chain, key = write_certificate(tmp_path, "broker", ours, "127.0.0.1")
    own_chain, own_key = write_certificate(tmp_path, "ingest", ours, "ingest.example")
    port = free_port()
    options = {
        "listener": f"{port} 127.0.0.1",
        "cafile": str(tmp_path / "ours.ca"),
        "certfile": str(chain),
        "keyfile": str(key),
        "require_certificate": "true",
    }
    with Mosquitto(tmp_path / "broker", options=options) as broker:
        trusting = settings.model_copy(
            update={
                "mqtt_broker": broker.host,
                "mqtt_port": port,
                "mqtt_tls": True,
                "mqtt_tls_ca": tmp_path / "ours.ca",
                "mqtt_tls_cert": own_chain,
                "mqtt_tls_key": own_key,
            }
        )
        command = start(trusting)
        publisher = Publisher(broker.host, broker.port)
        publisher.send("MQTT_RT_DATA", frame())
        publisher.flush()
        publisher.close()
        wait_events(db, 1, outcome="stored")
        assert command.stop() == 0

        for wrong in ({"mqtt_tls_ca": tmp_path / "foreign.ca"}, {"mqtt_tls_cert": None, "mqtt_tls_key": None}):
            refused = start(trusting.model_copy(update=wrong), healthy=False)

            def trouble(refused: object = refused) -> bool:
                return bool(refused.health().get("parts", {}).get("mqtt", {}).get("problem"))  # type: ignore[attr-defined]

            wait_until(trouble, 20)
            assert refused.health()["parts"]["mqtt"]["ok"] is False
            assert refused.stop() == 0
