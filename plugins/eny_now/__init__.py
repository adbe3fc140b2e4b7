"""Energy registers, demand and harmonics of COMPERE power meters (KPM31, KPM33, KPM37, DDS666, R12) over MQTT.

Source: COMPERE "MQTT communication protocol" V1.9, topics `MQTT_ENY_NOW` (running registers), `MQTT_DAY_DATA` (frozen
at midnight) and `MQTT_ENY_FRZ` (frozen on a schedule). A reading can be split into packets with one `id` and `time`.
"""

from functools import partial

from greenpower.datatype import (
    ENERGY_TIERS,
    NO_TIERS,
    DataType,
    Field,
    Http,
    Kind,
    Metered,
    Mqtt,
    PointRole,
    json_parser,
    json_wire,
)
from plugins.eny_now.device import DAILY, IDS, ON_SCHEDULE, RUNNING

#: kW: a large feeder; a site file can set the installed power
GREATEST_POWER = 100_000
HOUR, DAY = 3_600, 86_400

register = partial(Field, kind=Kind.COUNTER, low=0, high=10_000_000_000, greatest_rate=GREATEST_POWER)
active = partial(register, unit="kWh")
reactive = partial(register, unit="kvarh")
apparent = partial(register, unit="kVAh")
time = partial(Field, unit="s", kind=Kind.STATE, low=0, high=2**32)
percent = partial(Field, unit="%", low=0, high=1_000)
amperes = partial(Field, unit="A", low=0, high=100_000)

TARIFFS = {1: "j", 2: "f", 3: "p", 4: "v", 5: "dv", 6: "6"}
HARMONICS = {3: "3rd", 5: "5th", 7: "7th"}
PHASES = ("a", "b", "c")

TOTALS = (
    active("zygsz", title="import active energy", source="iactive", measures="active_energy"),
    active("fygsz", title="export active energy", source="eactive", measures="active_energy_returned"),
    reactive("zwgsz", title="import reactive energy", source="ireact"),
    reactive("fwgsz", title="export reactive energy", source="ereact"),
    apparent("zszsz", title="apparent energy"),
    *(
        active(
            f"pos_en_{phase}",
            title=f"import active energy, phase {phase.upper()}",
            measures="active_energy",
            phase=phase,
        )
        for phase in PHASES
    ),
    *(
        active(f"{tag}y{letter}sz", title=f"{way} active energy, tariff {tariff}")
        for tariff, letter in TARIFFS.items()
        for tag, way in (("z", "import"), ("f", "export"))
    ),
)
FROZEN = (
    active("zygdd", title="import active energy at 00:00"),
    active("fygdd", title="export active energy at 00:00"),
    reactive("zwgdd", title="import reactive energy at 00:00"),
    reactive("fwgdd", title="export reactive energy at 00:00"),
)
DEMAND = (
    Field("dmpmax", unit="kW", low=-1_000_000, high=1_000_000, title="monthly maximum active demand"),
    time("dmpmaxoct", title="time of the maximum active demand"),
    Field("dmsmax", unit="kVA", low=0, high=1_000_000, title="monthly maximum apparent demand"),
    time("dmsmaxoct", title="time of the maximum apparent demand"),
)
DISTORTION = (
    *(
        percent(f"{letter}{phase}thd", title=f"{what} total harmonic distortion, phase {phase.upper()}")
        for letter, what in (("u", "voltage"), ("i", "current"))
        for phase in PHASES
    ),
    *(
        percent(f"{letter}{phase}xbl{order}", title=f"{nth} harmonic content of {what}, phase {phase.upper()}")
        for letter, what in (("u", "voltage"), ("i", "current"))
        for phase in PHASES
        for order, nth in HARMONICS.items()
    ),
    *(
        amperes(f"i{phase}xb{order}", title=f"{nth} harmonic of current, phase {phase.upper()}")
        for phase in PHASES
        for order, nth in HARMONICS.items()
    ),
)

meter = partial(DataType, parse=json_parser(device="id", time="time", complete="isend"))
wire = partial(json_wire, device="id", time="time", complete="isend", ids=IDS)

DATATYPES = (
    meter(
        name="eny_now",
        title="Energy registers",
        endpoint="eny-now-data",
        collection="grid_eny_now_data",
        match=(Mqtt("MQTT_ENY_NOW"), Http("eny-now")),
        fields=(*TOTALS, *DEMAND, *DISTORTION),
        tiers=ENERGY_TIERS,
        anchors=("zygsz",),
        stale_after=1_020,
        metered=(
            Metered(fields=("zygsz",), role=PointRole.GRID_IMPORT),
            Metered(fields=("fygsz",), role=PointRole.GRID_EXPORT),
        ),
        wire=wire((*TOTALS, *DEMAND, *DISTORTION), models=RUNNING),
    ),
    # The anchor is the frozen import total. It is above 0 in every meter that has ever measured energy. Packets with
    # only tariffs, which can rightly be all 0, do not have it.
    meter(
        name="day_data",
        title="Energy registers at midnight",
        endpoint="day-data",
        collection="grid_day_data",
        match=(Mqtt("MQTT_DAY_DATA"),),
        fields=(*FROZEN, *TOTALS),
        tiers=NO_TIERS,
        anchors=("zygdd",),
        stale_after=DAY + HOUR,
        wire=wire((*FROZEN, *TOTALS), models=DAILY),
    ),
    meter(
        name="eny_frz",
        title="Energy registers, frozen",
        endpoint="eny-frz-data",
        collection="grid_eny_frz_data",
        match=(Mqtt("MQTT_ENY_FRZ"),),
        fields=(*FROZEN, *TOTALS, *DEMAND, *DISTORTION),
        tiers=NO_TIERS,
        anchors=("zygsz", "zygdd"),
        stale_after=32 * DAY,
        wire=wire((*FROZEN, *TOTALS, *DEMAND, *DISTORTION), models=ON_SCHEDULE),
    ),
)
