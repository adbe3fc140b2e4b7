"""Addresses: which are allowed, and that a name means at most what is allowed when something is sent."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from greenpower.outbound.address import (
    SITE_BROKER,
    OutboundAddressError,
    check_host,
    connect,
    is_allowed,
    read_address,
)
from greenpower.outbound.failure import DeliveryError
from greenpower.sql import OutboundKind
from greenpower.stack.port import free_port

WEBHOOK, MQTT = OutboundKind.WEBHOOK, OutboundKind.MQTT


def test_an_address_in_parts() -> None:
    found = read_address(WEBHOOK, "https://me:p%40ss@Example.org/a/b?c=d")
    assert found is not None and (found.host, found.port, found.path) == ("example.org", 443, "/a/b?c=d")
    assert (found.username, found.password, found.is_encrypted) == ("me", "p@ss", True)
    assert "p@ss" not in repr(found) and "c=d" not in repr(found)
    broker = read_address(MQTT, "mqtt://h:1999")
    assert broker is not None and (broker.port, broker.username, broker.is_encrypted) == (1999, None, False)
    assert read_address(MQTT, SITE_BROKER) is None


@pytest.mark.parametrize(
    "text",
    ["", "x", "https://", "HTTPS//x", "file:///etc/passwd", "http://h:0/", "http://h:99999/", "http://h/#f",
     "http://h/a b", "http://h\\@evil/", "http://hö/", "http://[::1", "site", "javascript:alert(1)"],
)  # fmt: skip
def test_no_address(text: str) -> None:
    with pytest.raises(OutboundAddressError):
        read_address(WEBHOOK, text)


@pytest.mark.parametrize(
    ("place", "usual"),
    [("10.1.2.3", True), ("192.168.1.9", True), ("203.0.114.7", True), ("fd00::7", True), ("2a00::1", True),
     ("127.0.0.1", False), ("127.9.9.9", False), ("::1", False), ("0.0.0.0", False), ("::", False),
     ("169.254.169.254", False), ("fe80::1", False), ("224.0.0.1", False), ("240.0.0.1", False),
     ("::ffff:127.0.0.1", False), ("::ffff:169.254.169.254", False), ("2002:7f00:1::", False)],
)  # fmt: skip
def test_networks(place: str, usual: bool) -> None:
    assert is_allowed(ip_address(place), ()) is usual
    assert not is_allowed(ip_address(place), (ip_network("198.51.100.0/24"),))
    assert is_allowed(ip_address("127.0.0.1"), (ip_network("127.0.0.0/8"),))


def test_a_name_goes_only_where_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    address = read_address(WEBHOOK, f"http://receiver.example:{free_port()}/")
    assert address is not None
    check_host(address, ())  # a name is looked up when something is sent
    tried = []
    places = ["127.0.0.1", "169.254.169.254", "10.0.0.7"]

    def look_up(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, 80)) for place in places]

    def create(place: tuple[str, int], timeout: float) -> socket.socket:
        tried.append(place[0])
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", create)
    with pytest.raises(DeliveryError):
        connect(address, (), 5)
    assert tried == ["10.0.0.7"]
    places.pop()
    with pytest.raises(DeliveryError, match="OUTBOUND_NETWORKS"):
        connect(address, (), 5)
    assert tried == ["10.0.0.7"]
