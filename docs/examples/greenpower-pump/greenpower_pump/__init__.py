"""Pumps behind a serial server that connects to us: lines of text, which we ask for one after the other.

Source: the vendor's manual, "Serial protocol": `?P` is answered with `P=1.52`, the value in the unit of the manual.
"""

from greenpower.datatype import DataType, Field, Frame, FrameError, Kind, Reading, Tcp

from .dialogue import PumpDialogue

FIELDS = (
    Field("power", source="P", unit="kW", low=0, high=100, title="active power"),
    Field("flow", source="Q", unit="m³/h", low=0, high=1_000, title="flow"),
    Field(
        "energy", source="E", unit="kWh", kind=Kind.COUNTER, low=0, high=10**7, greatest_rate=100, title="active energy"
    ),
)


def parse(frame: Frame) -> tuple[Reading, ...]:
    """The reading in a round of answers. Raises FrameError: no-id, bad-line."""
    if frame.device is None:
        raise FrameError("no-id", "the serial server is not known")
    values = {}
    for line in frame.payload.split(b"\n"):
        key, equals, value = line.decode("ascii", "replace").strip().partition("=")
        if equals:
            values[key] = value
        elif key:
            raise FrameError("bad-line", repr(key)[:80])
    return (Reading(device_id=frame.device, values=values),)


DATATYPE = DataType(
    name="pump",
    title="Pumps",
    endpoint="pump-data",
    collection="pump_data",
    match=(Tcp(registration="PUMP####", dialogue=PumpDialogue),),
    fields=FIELDS,
    parse=parse,
    stale_after=60,
    open=False,
)
