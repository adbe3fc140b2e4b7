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
volts = partial(Field, unit="V", low=0, high=500, measures="voltage")
amperes = partial(Field, unit="A", low=0, high=1_000, measures="current")
volume = partial(Field, unit="m³", kind=Kind.COUNTER, low=0, high=10**8, greatest_rate=1_000)
used, fed_in = partial(kilowatts, measures="active_power"), partial(kilowatts, measures="active_power_returned")
imported, exported = partial(register, measures="active_energy"), partial(register, measures="active_energy_returned")

FIELDS = (
    *(imported(f"active_energy_imported_{one}", title=f"active energy, imported, tariff {one}") for one in (1, 2)),
    *(exported(f"active_energy_exported_{one}", title=f"active energy, exported, tariff {one}") for one in (1, 2)),
    used("active_power_imported", title="active power, imported"),
    fed_in("active_power_exported", title="active power, exported"),
    *(used(f"active_power_imported_{key}", title=f"active power, imported{words}", phase=key) for key, words in PHASES),
    *(fed_in(f"active_power_exported_{p}", title=f"active power, exported{words}", phase=p) for p, words in PHASES),
    *(volts(f"voltage_{key}", title=f"voltage{words}", phase=key) for key, words in PHASES),
    *(amperes(f"current_{key}", title=f"current{words}", phase=key) for key, words in PHASES),
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
for first, (phase, _) in zip((21, 41, 61), PHASES, strict=True):
    CODES |= {
        f"1-0:{first}.7.0": f"active_power_imported_{phase}",
        f"1-0:{first + 1}.7.0": f"active_power_exported_{phase}",
        f"1-0:{first + 11}.7.0": f"voltage_{phase}",
        f"1-0:{first + 10}.7.0": f"current_{phase}",
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
