"""Battery storage systems over MQTT: one flat JSON object per message. A level of the topic is the device id.

Source: the vendor's description of the MQTT interface.
"""

from functools import partial

from greenpower.datatype import DataType, Field, Kind, Mqtt, json_parser

register = partial(Field, unit="kWh", kind=Kind.COUNTER, low=0, high=10**9, greatest_rate=500)
code = partial(Field, unit="1", kind=Kind.STATE, low=0)

FIELDS = (
    Field("soc_percent", source="SOC(%)", unit="%", low=0, high=100, title="state of charge"),
    Field("p_kw", source="P(kW)", unit="kW", low=-500, high=500, title="active power, positive while charging"),
    Field("t_max_c", source="T_max(*C)", unit="°C", low=-40, high=120, title="temperature of the hottest cell"),
    register("e_in_kwh", source="E_in(kWh)", title="active energy, charged"),
    register("e_out_kwh", source="E_out(kWh)", title="active energy, discharged"),
    code("state", high=5, title="0 off, 1 standby, 2 charging, 3 discharging, 4 fault, 5 service"),
    code("alarm", high=65_535, title="alarm word, one bit per alarm"),
)

DATATYPE = DataType(
    name="battery",
    title="Battery storage",
    endpoint="battery-data",
    collection="battery_data",
    match=(Mqtt("site/+/battery", device_level=1),),
    fields=FIELDS,
    parse=json_parser(time="ts"),
    stale_after=120,
    open=False,
)
