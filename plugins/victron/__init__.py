"""Victron Energy systems with a GX device (Venus OS), over MQTT: one value per topic, as `{"value": …}`.

Source: Victron's dbus-flashmq, "N/<portal id>/<service>/<instance>/<path>", and the Venus OS wiki, "D-Bus". Each
service (battery, charger, meter …) is a device: `<portal id>-<service>-<instance>`.
"""

from functools import partial

from greenpower.datatype import DataType, Field, Kind, Mqtt, value_parser

#: kW: more than any such system has; a site file can set another
GREATEST_POWER = 250
#: what of the tree is measured
SERVICES = (
    "system", "grid", "genset", "pvinverter", "acload", "vebus", "multi", "inverter", "battery", "solarcharger",
    "alternator", "dcload", "temperature", "tank",
)  # fmt: skip
PHASES = (("a", "L1"), ("b", "L2"), ("c", "L3"))
STATES = {
    0: "off", 1: "low power", 2: "fault", 3: "bulk", 4: "absorption", 5: "float", 6: "storage", 7: "equalize",
    8: "passthru", 9: "inverting", 10: "assisting", 11: "power supply", 252: "external control", 256: "discharging",
    257: "sustain",
}  # fmt: skip

kilowatts = partial(Field, unit="kW", sent_in="W", low=-1_000, high=1_000)
volts = partial(Field, unit="V", low=0, high=1_000)
amperes = partial(Field, unit="A", low=-10_000, high=10_000)
register = partial(Field, unit="kWh", kind=Kind.COUNTER, low=0, high=10**9, greatest_rate=GREATEST_POWER)
percent = partial(Field, unit="%", low=0, high=100)


def phase(key: str, line: str) -> tuple[Field, ...]:
    """What meters, inverters and the system as a whole have of each phase."""
    of = f"phase {key.upper()}"
    return (
        kilowatts(
            f"active_power_{key}",
            source=f"Ac/{line}/Power",
            title=f"active power, {of}",
            measures="active_power",
            phase=key,
        ),
        volts(f"voltage_{key}", source=f"Ac/{line}/Voltage", title=f"voltage, {of}", measures="voltage", phase=key),
        amperes(f"current_{key}", source=f"Ac/{line}/Current", title=f"current, {of}", measures="current", phase=key),
        kilowatts(f"input_power_{key}", source=f"Ac/ActiveIn/{line}/P", title=f"power from the AC input, {of}"),
        kilowatts(f"output_power_{key}", source=f"Ac/Out/{line}/P", title=f"power to the AC output, {of}"),
        kilowatts(f"grid_power_{key}", source=f"Ac/Grid/{line}/Power", title=f"power from the grid, {of}"),
        kilowatts(f"load_power_{key}", source=f"Ac/Consumption/{line}/Power", title=f"power of the loads, {of}"),
    )


FIELDS = (
    kilowatts("active_power", source="Ac/Power", title="active power", measures="active_power"),
    *(field for key, line in PHASES for field in phase(key, line)),
    Field(
        "frequency",
        unit="Hz",
        source=("Ac/Frequency", "Ac/Out/L1/F"),
        low=0,
        high=100,
        title="frequency",
        measures="frequency",
    ),
    register("active_energy", source="Ac/Energy/Forward", title="active energy", measures="active_energy"),
    register(
        "active_energy_returned",
        source="Ac/Energy/Reverse",
        title="active energy returned",
        measures="active_energy_returned",
    ),
    volts("dc_voltage", source=("Dc/0/Voltage", "Dc/Battery/Voltage"), title="voltage, DC"),
    amperes("dc_current", source=("Dc/0/Current", "Dc/Battery/Current"), title="current, DC"),
    kilowatts("dc_power", source=("Dc/0/Power", "Dc/Battery/Power"), title="power, DC"),
    percent("charge", source=("Soc", "Dc/Battery/Soc"), title="charge of the battery"),
    percent("health", source="Soh", title="health of the battery"),
    register("charged_energy", source="History/ChargedEnergy", title="energy into the battery"),
    register("discharged_energy", source="History/DischargedEnergy", title="energy out of the battery"),
    kilowatts("pv_power", source=("Yield/Power", "Dc/Pv/Power"), title="power of the modules"),
    volts("pv_voltage", source="Pv/V", title="voltage of the modules"),
    register("pv_energy", source="Yield/System", title="yield of the modules"),
    Field("state", unit="1", kind=Kind.ENUMERATION, codes=STATES, source="SystemState/State", title="state"),
    Field("temperature", unit="°C", source="Dc/0/Temperature", low=-60, high=200, title="temperature"),
    percent("humidity", title="relative humidity"),
    percent("level", title="level of the tank"),
    Field("volume", unit="m³", source="Remaining", low=0, high=10_000, title="content of the tank"),
)

DATATYPE = DataType(
    name="victron",
    title="Victron systems",
    endpoint="victron-data",
    collection="victron_data",
    match=tuple(
        Mqtt(f"N/{{portal}}/{service}/{{instance}}/{{field#}}", device=f"{{portal}}-{service}-{{instance}}", gather=2.0)
        for service in SERVICES
    ),
    fields=FIELDS,
    parse=value_parser(value="value", noted="nothing that is measured"),
    stale_after=300,
    open=False,
    by_default=False,
)
