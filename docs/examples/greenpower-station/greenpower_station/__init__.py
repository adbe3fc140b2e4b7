"""Weather stations over MQTT that send a line of text: a parser of its own.

Source: the vendor's manual: `id;time;temperature;humidity`, the time in ISO 8601 with an offset, `-` for no value.
"""

from greenpower.datatype import DataType, Field, Frame, FrameError, Mqtt, Reading, parse_stamp, read_device_id

FIELDS = (
    Field("temperature", unit="°C", low=-60, high=80, title="air temperature"),
    Field("humidity", unit="%", low=0, high=100, title="relative humidity"),
)
MAX_LINE_BYTES = 200


def parse(frame: Frame) -> tuple[Reading, ...]:
    """The reading in a line. Raises FrameError: bad-line, bad-id, bad-time."""
    if len(frame.payload) > MAX_LINE_BYTES or not frame.payload.isascii():
        raise FrameError("bad-line", f"{len(frame.payload)} bytes")
    parts = frame.payload.decode().strip().split(";")
    if len(parts) != 2 + len(FIELDS):
        raise FrameError("bad-line", f"{len(parts)} parts")
    device, time, *texts = parts
    values = {field.name: text for field, text in zip(FIELDS, texts, strict=True) if text != "-"}
    return (Reading(device_id=read_device_id(device, frame.device), values=values, stamp=parse_stamp(time)),)


DATATYPE = DataType(
    name="station",
    title="Weather stations",
    endpoint="station-data",
    collection="station_data",
    match=(Mqtt("weather/lines", device="WEATHER"),),
    fields=FIELDS,
    parse=parse,
    stale_after=600,
    open=False,
)
