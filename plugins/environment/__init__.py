"""Environment stations: fine dust, humidity and temperature over MQTT, flat JSON objects without id or time.

Source: frames of the station at the first site. The topic gives the device id; the timestamp is the time of arrival.
"""

from functools import partial

from greenpower.datatype import DataType, Field, Http, Mqtt, json_parser

dust = partial(Field, unit="µg/m³", low=0, high=10_000)
celsius = partial(Field, unit="°C", low=-60, high=90)

FIELDS = (
    dust("pm1_0_ug_m3", source="pm1_0(ug/m3)", title="particles up to 1 µm"),
    dust("pm2_5_ug_m3", source="pm2_5(ug/m3)", title="particles up to 2.5 µm"),
    dust("pm10_0_ug_m3", source="pm10_0(ug/m3)", title="particles up to 10 µm"),
    Field("hum_percent", source="hum(%)", unit="%", low=0, high=100, title="relative humidity"),
    celsius("temp_1_c", source="temp_1(*C)", title="air temperature"),
    celsius("dp_c", source="dp(*C)", title="dew point"),
)

DATATYPE = DataType(
    name="environment",
    title="Environment stations",
    endpoint="environment-data",
    collection="environment_data",
    match=(Mqtt("CCCL/PURBACHAL/ENV_01", device="CCCL_ENVIRONMENT_DEVICE_1"), Http("environment")),
    fields=FIELDS,
    parse=json_parser(),
    stale_after=60,
)
