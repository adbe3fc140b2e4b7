"""Home Assistant, which publishes the states of its entities with the integration MQTT Statestream.

Source: Home Assistant documentation, "MQTT Statestream": `<base topic>/<domain>/<entity>/state`, the state as text.
Each domain is a device whose fields are its entities; the site file says what they mean, since a state has no unit.
"""

from greenpower.datatype import DataType, Mqtt, value_parser

GATHER = 5.0
STALE_AFTER = 3_600

DATATYPE = DataType(
    name="homeassistant",
    title="Home Assistant",
    endpoint="homeassistant-data",
    collection="homeassistant_data",
    match=(Mqtt("homeassistant/{domain}/{field}/state", device="homeassistant-{domain}", gather=GATHER),),
    fields=(),
    parse=value_parser(noted_text="a text that the site file gives no meaning"),
    stale_after=STALE_AFTER,
    by_default=False,
)
