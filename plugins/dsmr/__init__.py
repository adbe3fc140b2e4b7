"""Smart meters with a P1 port (DSMR 2.2 to 5, ESMR 5, also of Belgium and Luxembourg) behind a serial server, dialled.

Source: the P1 companion standard 5.0.2 of Netbeheer Nederland. A frame is one telegram.
"""

from functools import partial

from greenpower.datatype import DataType, Dialled, Field, Kind, Metered, PointRole
from greenpower.framing.obis import TelegramParser

PHASES = (("a", ", phase A"), ("b", ", phase B"), ("c", ", phase C"))
#: kW: more than any connection with such a meter has
GREATEST_POWER = 1_000

kilowatts = partial(Field, unit="kW", low=0, high=1_000)
register = partial(Field, unit="kWh", kind=Kind.COUNTER, low=0, high=10**9, greatest_rate=GREATEST_POWER)
volts = partial(Field, unit="V", low=0, high=500)
amperes = partial(Field, unit="A", low=0, high=1_000)
volume = partial(Field, unit="m³", kind=Kind.COUNTER, low=0, high=10**8, greatest_rate=1_000)

FIELDS = (
    register("active_energy_imported_1", title="active energy, imported, tariff 1", measures="active_energy"),
    register("active_energy_imported_2", title="active energy, imported, tariff 2", measures="active_energy"),
    register("active_energy_exported_1", title="active energy, exported, tariff 1", measures="active_energy_returned"),
    register("active_energy_exported_2", title="active energy, exported, tariff 2", measures="active_energy_returned"),
    kilowatts("active_power_imported", title="active power, imported", measures="active_power"),
    kilowatts("active_power_exported", title="active power, exported", measures="active_power_returned"),
    *(
        kilowatts(
            f"active_power_imported_{key}", title=f"active power, imported{words}", measures="active_power", phase=key
        )
        for key, words in PHASES
    ),
    *(
        kilowatts(
            f"active_power_exported_{key}",
            title=f"active power, exported{words}",
            measures="active_power_returned",
            phase=key,
        )
        for key, words in PHASES
    ),
    *(volts(f"voltage_{key}", title=f"voltage{words}", measures="voltage", phase=key) for key, words in PHASES),
    *(amperes(f"current_{key}", title=f"current{words}", measures="current", phase=key) for key, words in PHASES),
    Field("tariff", unit="1", kind=Kind.STATE, low=0, high=9, title="tariff in force"),
    Field("power_failures", unit="1", kind=Kind.STATE, low=0, high=10**5, title="power failures so far"),
    volume("volume", title="volume that a meter of gas or water counted"),
)

CODES = {
    "1-0:1.8.1": "active_energy_imported_1",
    "1-0:1.8.2": "active_energy_imported_2",
    "1-0:2.8.1": "active_energy_exported_1",
    "1-0:2.8.2": "active_energy_exported_2",
    "1-0:1.7.0": "active_power_imported",
    "1-0:2.7.0": "active_power_exported",
    "0-0:96.14.0": "tariff",
    "0-0:96.7.21": "power_failures",
}
for number, (phase, _) in enumerate(PHASES):
    power, measured = 20 + 20 * number, 30 + 20 * number
    CODES |= {
        f"1-0:{power + 1}.7.0": f"active_power_imported_{phase}",
        f"1-0:{power + 2}.7.0": f"active_power_exported_{phase}",
        f"1-0:{measured + 2}.7.0": f"voltage_{phase}",
        f"1-0:{measured + 1}.7.0": f"current_{phase}",
    }

DATATYPE = DataType(
    name="dsmr",
    title="Smart meters with a P1 port",
    endpoint="dsmr-data",
    collection="dsmr_data",
    match=(Dialled(protocol="telegrams"),),
    fields=FIELDS,
    parse=TelegramParser(CODES, {"m3": "volume"}),
    stale_after=60,
    open=False,
    metered=(
        Metered(fields=("active_energy_imported_1", "active_energy_imported_2"), role=PointRole.GRID_IMPORT),
        Metered(fields=("active_energy_exported_1", "active_energy_exported_2"), role=PointRole.GRID_EXPORT),
    ),
    by_default=False,
)
