"""Instantaneous electrical values of COMPERE power meters (KPM31, KPM33, KPM37, DDS666, R12) over MQTT.

Source: COMPERE "MQTT communication protocol" V1.9, topic `MQTT_RT_DATA`. Keys are in upper or lower case. A reading can
be split into packets with the same `id` and `time`.
"""

from functools import partial

from greenpower.datatype import DataType, Field, Http, Kind, Mqtt, json_parser, json_wire
from plugins.rt.command import COMMANDS, SIMULATED_RESPONSE
from plugins.rt.device import IDS, MODELS

volts = partial(Field, unit="V", low=0, high=1_000_000)
amperes = partial(Field, unit="A", low=0, high=100_000)
kilowatts = partial(Field, unit="kW", low=-1_000_000, high=1_000_000)
kilovars = partial(Field, unit="kvar", low=-1_000_000, high=1_000_000)
kilovolt_amperes = partial(Field, unit="kVA", low=0, high=1_000_000)
factor = partial(Field, unit="1", low=-1, high=1)
hertz = partial(Field, unit="Hz", low=0, high=100)
degrees = partial(Field, unit="°", kind=Kind.ANGLE, low=-360, high=360)
celsius = partial(Field, unit="°C", low=-60, high=200)
percent = partial(Field, unit="%", low=0, high=1_000)

FIELDS = (
    volts("ua", title="voltage, phase A", measures="voltage", phase="a"),
    volts("ub", title="voltage, phase B", measures="voltage", phase="b"),
    volts("uc", title="voltage, phase C", measures="voltage", phase="c"),
    volts("uab", title="line voltage A-B", measures="voltage", phase="ab"),
    volts("ubc", title="line voltage B-C", measures="voltage", phase="bc"),
    volts("uca", title="line voltage C-A", measures="voltage", phase="ca"),
    amperes("ia", title="current, phase A", measures="current", phase="a"),
    amperes("ib", title="current, phase B", measures="current", phase="b"),
    amperes("ic", title="current, phase C", measures="current", phase="c"),
    amperes("ig", title="residual current"),
    kilowatts("pa", title="active power, phase A", measures="active_power", phase="a"),
    kilowatts("pb", title="active power, phase B", measures="active_power", phase="b"),
    kilowatts("pc", title="active power, phase C", measures="active_power", phase="c"),
    kilowatts("zyggl", title="active power, total", measures="active_power"),
    kilovars("qa", title="reactive power, phase A", measures="reactive_power", phase="a"),
    kilovars("qb", title="reactive power, phase B", measures="reactive_power", phase="b"),
    kilovars("qc", title="reactive power, phase C", measures="reactive_power", phase="c"),
    kilovars("zwggl", title="reactive power, total", measures="reactive_power"),
    kilovolt_amperes("sa", title="apparent power, phase A", measures="apparent_power", phase="a"),
    kilovolt_amperes("sb", title="apparent power, phase B", measures="apparent_power", phase="b"),
    kilovolt_amperes("sc", title="apparent power, phase C", measures="apparent_power", phase="c"),
    kilovolt_amperes("zszgl", title="apparent power, total", measures="apparent_power"),
    factor("pfa", title="power factor, phase A", measures="power_factor", phase="a"),
    factor("pfb", title="power factor, phase B", measures="power_factor", phase="b"),
    factor("pfc", title="power factor, phase C", measures="power_factor", phase="c"),
    factor("zglys", title="power factor, total", measures="power_factor"),
    hertz("f", title="frequency", measures="frequency"),
    volts("u0", title="zero sequence voltage"),
    volts("uplus", title="positive sequence voltage", measures="positive_sequence_voltage"),
    volts("uminus", title="negative sequence voltage", measures="negative_sequence_voltage"),
    amperes("i0", title="zero sequence current"),
    amperes("iplus", title="positive sequence current"),
    amperes("iminus", title="negative sequence current"),
    degrees("uxja", title="voltage phase angle A"),
    degrees("uxjb", title="voltage phase angle B"),
    degrees("uxjc", title="voltage phase angle C"),
    degrees("ixja", title="current phase angle A"),
    degrees("ixjb", title="current phase angle B"),
    degrees("ixjc", title="current phase angle C"),
    percent("unb", title="voltage unbalance"),
    percent("inb", title="current unbalance"),
    kilowatts("pdm", title="active power demand"),
    kilovars("qdm", title="reactive power demand"),
    kilovolt_amperes("sdm", title="apparent power demand"),
    amperes("iadm", title="current demand, phase A"),
    amperes("ibdm", title="current demand, phase B"),
    amperes("icdm", title="current demand, phase C"),
    celsius("ta", title="temperature, phase A"),
    celsius("tb", title="temperature, phase B"),
    celsius("tc", title="temperature, phase C"),
    celsius("tn", title="temperature, neutral"),
    celsius("temp", title="board temperature"),
)

DATATYPE = DataType(
    name="rt",
    title="Power meters",
    endpoint="rt-data",
    collection="grid_rt_data",
    match=(
        Mqtt("MQTT_RT_DATA"),
        Mqtt("MQTT_TELEIND", noted="digital inputs and outputs"),
        Http("rt"),
    ),
    fields=FIELDS,
    parse=json_parser(device="id", time="time", complete="isend"),
    anchors=("ua", "ub", "uc"),
    stale_after=60,
    wire=json_wire(FIELDS, device="id", time="time", complete="isend", ids=IDS, models=MODELS),
    commands=COMMANDS,
    simulated_response=SIMULATED_RESPONSE,
)
