"""What devices of the families of the catalogue publish over MQTT, and what is stored of it.

The forms are those of the makers' documentation, the values are ours.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.ingest.conftest import Document

SITE = """
[types.homeassistant.fields]
kitchen_power = { unit = "kW", sent_in = "W" }
kitchen_energy = { unit = "kWh", kind = "counter", low = 0, greatest_rate = 4 }
boiler = { unit = "1", kind = "state", words = { on = 1, off = 0 } }
"""
FAMILIES = (
    "shelly_gen1",
    "zigbee2mqtt",
    "opendtu",
    "victron",
    "homeassistant",
    "chirpstack",
    "ttn",
    "tasmota",
    "shelly",
)
Message = tuple[str, Any]


def sent(at: datetime, more: float) -> dict[str, list[Message]]:
    """What devices of each family publish at a time. more: kWh since the first time."""
    venus, station = "N/c0619ab4d5e6", "solar/116182940177"
    seconds, iso = at.timestamp(), at.isoformat()
    up = "application/3f0c5d5e/device/a84041c2d1873f60/event/up"
    return {
        "shelly_gen1": [
            ("shellies/shellyem-B9F1A2/emeter/0/power", "64.20"),
            ("shellies/shellyem-B9F1A2/emeter/0/reactive_power", "-38.15"),
            ("shellies/shellyem-B9F1A2/emeter/0/pf", "0.86"),
            ("shellies/shellyem-B9F1A2/emeter/0/voltage", "231.07"),
            ("shellies/shellyem-B9F1A2/emeter/0/energy", "412"),
            ("shellies/shellyem-B9F1A2/emeter/0/total", f"{1_843_206.4 + 1000 * more:.1f}"),
            ("shellies/shelly1pm-84CCA8/relay/0/energy", f"{90_000 + 60_000 * more:.0f}"),
            ("shellies/shelly1pm-84CCA8/relay/0", "on"),
        ],
        "zigbee2mqtt": [
            ("zigbee2mqtt/plug", {
                "power": 64.2, "voltage": 231, "state": "ON", "energy": 412.5 + more, "last_seen": iso,
            }),
            ("zigbee2mqtt/air", {
                "battery": 97, "temperature": 21.4, "voltage": 2995, "last_seen": int(1000 * seconds),
            }),
        ],
        "opendtu": [
            (f"{station}/0/power", "612.4"),
            (f"{station}/0/yieldtotal", f"{1843.25 + more:.3f}"),
            (f"{station}/0/yieldday", f"{1904 + 1000 * more:.0f}"),
            (f"{station}/status/producing", "1"),
            (f"{station}/1/power", "160.3"),
            (f"{station}/1/name", "east"),
        ],
        "victron": [
            (f"{venus}/grid/30/Ac/L1/Power", {"value": -1250.5}),
            (f"{venus}/grid/30/Ac/Energy/Forward", {"value": 4821.5 + more}),
            (f"{venus}/grid/30/ProductName", {"value": "meter"}),
            (f"{venus}/battery/512/Soc", {"value": 81.5}),
            (f"{venus}/battery/512/Dc/0/Power", {"value": -954}),
            (f"{venus}/vebus/276/State", {"value": 9}),
        ],
        "homeassistant": [
            ("homeassistant/sensor/kitchen_power/state", "64.2"),
            ("homeassistant/sensor/kitchen_energy/state", f"{99.5 + more}"),
            ("homeassistant/sensor/moon/state", "full"),
            ("homeassistant/sensor/lux/state", "unavailable"),
            ("homeassistant/switch/boiler/state", "on"),
        ],
        "chirpstack": [
            (up, {
                "deduplicationId": f"7c9e6679-{seconds:.0f}", "time": iso.replace("+", ".775023242+"),
                "deviceInfo": {"devEui": "a84041c2d1873f60"}, "object": {"power": 64.2, "energy": 53.25 + more},
                "rxInfo": [{"rssi": -87, "snr": 8.5}],
            }),
        ],
        "ttn": [
            ("v3/works@ttn/devices/hall-air/up", {
                "end_device_ids": {"device_id": "hall-air"}, "correlation_ids": [f"as:up:{seconds:.0f}"],
                "received_at": iso.replace("+00:00", ".787123456Z"), "uplink_message": {
                    "normalized_payload": [{"air": {"temperature": 20.25}, "battery": 3.62}],
                    "decoded_payload": {"energy": 53.25 + more}, "rx_metadata": [{"rssi": -92}],
                },
            }),
        ],
        "tasmota": [
            ("tele/desk/SENSOR", {"Time": iso, "ENERGY": {"Power": 64.2, "Total": 412.5 + more, "Factor": 0.9}}),
            ("tele/desk/STATE", {"Time": iso, "POWER": "ON", "Wifi": {"Signal": -58}}),
        ],
        "shelly": [
            ("shellyplus1pm-a8032ab11223/events/rpc", {
                "src": "shellyplus1pm-a8032ab11223", "method": "NotifyStatus", "params": {
                    "ts": seconds,
                    "switch:0": {"output": True, "apower": 64.2, "aenergy": {"total": 5312.5 + 1000 * more}},
                },
            }),
        ],
    }  # fmt: skip


#: what is stored of it the first time, and the counter of each family that is asked for its consumption
STORED: dict[str, dict[str, Document]] = {
    "shelly_gen1": {
        "shellyem-B9F1A2-0": {
            "active_power": 0.0642, "reactive_power": -0.03815, "power_factor": 0.86, "voltage": 231.07,
            "active_energy": 1843.2064,
        },
        "shelly1pm-84CCA8-relay-0": {"relay_energy": 1.5, "relay": 1},
    },
    "zigbee2mqtt": {
        "plug": {"active_power": 0.0642, "voltage": 231, "relay": 1, "active_energy": 412.5},
        "air": {"battery": 97, "temperature": 21.4, "battery_voltage": 2.995},
    },
    "opendtu": {
        "116182940177": {
            "active_power": 0.6124, "active_energy": 1843.25, "active_energy_today": 1.904, "producing": 1,
        },
        "116182940177-1": {"active_power": 0.1603},
    },
    "victron": {
        "c0619ab4d5e6-grid-30": {"active_power_a": -1.2505, "active_energy": 4821.5},
        "c0619ab4d5e6-battery-512": {"charge": 81.5, "dc_power": -0.954},
        "c0619ab4d5e6-vebus-276": {"state": 9},
    },
    "homeassistant": {
        "homeassistant-sensor": {"kitchen_power": 0.0642, "kitchen_energy": 99.5},
        "homeassistant-switch": {"boiler": 1},
    },
    "chirpstack": {
        "a84041c2d1873f60": {"active_power": 0.0642, "active_energy": 53.25, "signal": -87, "signal_to_noise": 8.5}
    },
    "ttn": {"hall-air": {"temperature": 20.25, "battery_voltage": 3.62, "active_energy": 53.25, "signal": -92}},
    "tasmota": {
        "desk": {"active_power": 0.0642, "active_energy": 412.5, "power_factor": 0.9, "relay": 1, "signal": -58}
    },
    "shelly": {
        "shellyplus1pm-a8032ab11223": {"switch_0": 1, "switch_0_power": 0.0642, "switch_0_energy": 5.3125},
    },
}  # fmt: skip
COUNTERS = {"homeassistant": "kitchen_energy", "shelly": "switch_0_energy"}
