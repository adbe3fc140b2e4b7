"""Edge nodes and devices that speak Sparkplug B: `spBv1.0/<group>/<message type>/<edge node>/<device>`, protobuf.

Source: Eclipse Sparkplug specification 3.0. What a metric is called is up to each site; the names here are common ones,
and a site file adds others.
"""

from functools import partial
from typing import Any

from greenpower.datatype import ON_OFF, DataType, Field, Kind, Mqtt
from greenpower.framing.sparkplug_messages import MetricParser

#: kW (m³ per hour for water); a site file can set another
GREATEST_POWER, GREATEST_FLOW = 10_000, 1_000
NODE, DEVICE = "{group}/{edge}", "{group}/{edge}/{unit}"


def metric(name: str, *others: str, **given: Any) -> Field:
    """A field whose metric has its name, or one of others."""
    title = name.replace("_", " ")
    return Field(name, source=(title.title(), *others, name), **{"title": title, **given})


kilowatts = partial(metric, unit="kW", low=-100_000, high=100_000)
register = partial(metric, kind=Kind.COUNTER, low=0, high=10**12)
kilowatt_hours = partial(register, unit="kWh", greatest_rate=GREATEST_POWER)

FIELDS = (
    kilowatts("active_power", "Power/Active", "Power", measures="active_power"),
    metric("reactive_power", "Power/Reactive", unit="kvar", low=-100_000, high=100_000, measures="reactive_power"),
    metric("apparent_power", "Power/Apparent", unit="kVA", low=0, high=100_000, measures="apparent_power"),
    metric("power_factor", "Power/Factor", unit="1", low=-1, high=1, measures="power_factor"),
    metric("voltage", unit="V", low=0, high=500_000, measures="voltage"),
    metric("current", unit="A", low=-100_000, high=100_000, measures="current"),
    metric("frequency", unit="Hz", low=0, high=1_000, measures="frequency"),
    kilowatt_hours("active_energy", "Energy/Active", "Energy/Import", "Energy", measures="active_energy"),
    kilowatt_hours("active_energy_returned", "Energy/Export", measures="active_energy_returned"),
    register("volume", unit="m³", greatest_rate=GREATEST_FLOW, title="volume of water or gas"),
    metric("temperature", unit="°C", low=-100, high=2_000),
    metric("humidity", unit="%", low=0, high=100, title="relative humidity"),
    metric("running", unit="1", kind=Kind.STATE, words=ON_OFF, low=0, high=1, title="running, 1 yes"),
)

DATATYPE = DataType(
    name="sparkplug",
    title="Sparkplug B devices",
    endpoint="sparkplug-data",
    collection="sparkplug_data",
    match=(
        *(Mqtt(f"spBv1.0/{{group}}/D{kind}/{{edge}}/{{unit}}", device=DEVICE) for kind in ("DATA", "BIRTH", "DEATH")),
        *(Mqtt(f"spBv1.0/{{group}}/N{kind}/{{edge}}", device=NODE) for kind in ("DATA", "BIRTH", "DEATH")),
    ),
    fields=FIELDS,
    parse=MetricParser(),
    sessions=True,
    stale_after=900,
    open=False,
    by_default=False,
)
