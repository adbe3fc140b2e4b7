"""The way to a target, from its row and the settings. What does not belong here: sending (`webhook`, `mqtt`)."""

from __future__ import annotations

import ssl

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.outbound.address import OutboundAddress, OutboundAddressError, check_host, read_address
from greenpower.outbound.failure import DeliveryError
from greenpower.outbound.run import OutboundSender
from greenpower.outbound.webhook import WebhookSender
from greenpower.sql import OutboundKind, OutboundTarget


def sender_of(target: OutboundTarget, registry: Registry, settings: Settings) -> OutboundSender:
    """The way to a target; nothing is connected yet. Raises DeliveryError for an address that is not allowed now."""
    kind = OutboundKind(target.kind)
    networks = settings.networks_of_outbound
    try:
        address = read_address(kind, target.address)
        if address is not None:
            check_host(address, networks)
    except OutboundAddressError as error:
        raise DeliveryError(str(error)) from None
    if kind is OutboundKind.WEBHOOK and address is not None:
        return WebhookSender(address=address, secret=target.secret, networks=networks, ca=settings.outbound_tls_ca)
    # Only for those who have such targets: paho takes its time and memory.
    from greenpower.outbound.mqtt import MqttSender

    return MqttSender(
        address=_site_broker(settings) if address is None else address,
        networks=None if address is None else networks,
        tls=_tls(address, settings),
        prefix=target.topic_prefix or "",
        retain=target.retain,
        secret=target.secret,
        topics=registry.topics,
    )


def _site_broker(settings: Settings) -> OutboundAddress:
    if not settings.mqtt_broker:
        raise DeliveryError("this site has no broker (MQTT_BROKER)")
    return OutboundAddress(
        scheme="mqtts" if settings.mqtt_tls else "mqtt",
        host=settings.mqtt_broker,
        port=settings.mqtt_port,
        path="/",
        username=settings.mqtt_username or None,
        password=settings.mqtt_password.get_secret_value() or None,
    )


def _tls(address: OutboundAddress | None, settings: Settings) -> ssl.SSLContext | None:
    if address is not None:
        return ssl.create_default_context(cafile=settings.outbound_tls_ca) if address.is_encrypted else None
    if not settings.mqtt_tls:
        return None
    context = ssl.create_default_context(cafile=settings.mqtt_tls_ca)
    if settings.mqtt_tls_cert is not None:
        context.load_cert_chain(settings.mqtt_tls_cert, settings.mqtt_tls_key)
    return context
