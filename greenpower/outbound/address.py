"""Addresses of targets: which are allowed, and where a host may be. For every kind.

What belongs here: reading and refusing addresses. What does not: connecting (`webhook`, `mqtt`).

A name is resolved once, each address that it has is checked, and the connection goes to one that was: what a name
server says later changes nothing. Private networks are allowed, since receivers stand on the site's own network. This
machine, link-local addresses (of clouds' metadata) and reserved ones are not, unless OUTBOUND_NETWORKS names them.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from greenpower.outbound.failure import DeliveryError
from greenpower.sql import OutboundKind

Networks = Sequence[IPv4Network | IPv6Network]
#: the address of the site's own broker, with the login of the settings
SITE_BROKER = "site"
#: of a host's addresses that are tried
MAX_PLACES = 2
PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}
SCHEMES = {OutboundKind.WEBHOOK: ("https", "http"), OutboundKind.MQTT: ("mqtts", "mqtt")}


class OutboundAddressError(ValueError):
    """An address that is not allowed. The text does not repeat it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundAddress:
    """An address. path: with the query, of a webhook. The login is not part of its text."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme in ("https", "mqtts")


def read_address(kind: OutboundKind, text: str) -> OutboundAddress | None:
    """An address as people write it: `https://user:password@host:port/path`; None for the site's own broker. Raises
    OutboundAddressError."""
    if kind is OutboundKind.MQTT and text == SITE_BROKER:
        return None
    schemes = SCHEMES[kind]
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise OutboundAddressError("An address has no blanks, backslashes, control characters or letters beyond ASCII.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise OutboundAddressError("The address cannot be read.") from None
    if parts.scheme not in schemes or not parts.hostname:
        also = f", or is {SITE_BROKER!r} for the site's own broker" if kind is OutboundKind.MQTT else ""
        raise OutboundAddressError(f"An address begins with {schemes[0]}:// or {schemes[1]}:// and names a host{also}.")
    if parts.fragment or port == 0:
        raise OutboundAddressError("An address has no fragment and no port 0.")
    if kind is OutboundKind.MQTT and (parts.path not in ("", "/") or parts.query):
        raise OutboundAddressError("The address of a broker has no path: topics begin with `topic_prefix`.")
    return OutboundAddress(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        username=_text(parts, "username"),
        password=_text(parts, "password"),
    )


def check_host(address: OutboundAddress, networks: Networks) -> None:
    """Refuse an address whose host is written as an IP address that is not allowed. Raises OutboundAddressError.

    Names are looked up when something is sent: they may mean something else then.
    """
    try:
        there = ip_address(address.host)
    except ValueError:
        return
    if not is_allowed(there, networks):
        raise OutboundAddressError("The address is in no network that outbound targets may be in (OUTBOUND_NETWORKS).")


def is_allowed(there: IPv4Address | IPv6Address, networks: Networks) -> bool:
    """Whether something may be sent to an IP address. networks: of the settings; empty for the usual rule."""
    if isinstance(there, IPv6Address):
        there = there.ipv4_mapped or there.sixtofour or there
    if networks:
        return any(there.version == network.version and there in network for network in networks)
    return not (
        there.is_loopback or there.is_link_local or there.is_multicast or there.is_unspecified or there.is_reserved
    )


def connect(address: OutboundAddress, networks: Networks, seconds: float) -> socket.socket:
    """A connection to an address that is allowed; each of its operations takes so many seconds at most. Raises
    DeliveryError."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise DeliveryError("the name of the host is not known") from None
    places = dict.fromkeys(str(place[0]).partition("%")[0] for *_, place in found)
    allowed = [place for place in places if is_allowed(ip_address(place), networks)]
    if not allowed:
        raise DeliveryError("the host is in no network that outbound targets may be in (OUTBOUND_NETWORKS)")
    problem = ""
    for place in allowed[:MAX_PLACES]:
        try:
            return socket.create_connection((place, address.port), timeout=seconds / MAX_PLACES)
        except OSError as error:
            problem = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or "no connection"
    raise DeliveryError(f"no connection: {problem}")


def _text(parts: SplitResult, name: str) -> str | None:
    value = getattr(parts, name)
    return None if value is None else unquote(value)
