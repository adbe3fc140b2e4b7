"""A data type with a field of every kind, for tests of any room.

What belongs here: the declaration, and its bits and codes. What does not: series for it, in the tests that need them.
"""

from __future__ import annotations

from pathlib import Path

from greenpower.datatype import STANDARD_TIERS, DataType, Field, Kind, Mqtt, json_parser

MODES = {0: "off", 1: "standby", 2: "running", 7: "fault"}
FAULTS = {0: "fan", 1: "overheated", 5: "door open"}
#: most that any of its meters counts, in kW
RATE = 100
EVERY_KIND = DataType(
    name="every_kind",
    title="Every kind",
    endpoint="every-kind-data",
    collection="every_kind_data",
    match=(Mqtt("EVERY_KIND"),),
    fields=(
        Field("power", unit="kW", title="power"),
        Field("bearing", unit="°", kind=Kind.ANGLE),
        Field("imported", unit="kWh", kind=Kind.COUNTER, greatest_rate=RATE, modulus=10**6),
        Field("netted", unit="kWh", kind=Kind.NET, greatest_rate=RATE),
        Field("today", unit="kWh", kind=Kind.DAILY, greatest_rate=RATE),
        Field("used", unit="kWh", kind=Kind.DELTA, greatest_rate=RATE),
        Field("setpoint", unit="kW", kind=Kind.STATE),
        Field("mode", unit="1", kind=Kind.ENUMERATION, codes=MODES),
        Field("faults", unit="1", kind=Kind.ENUMERATION, codes=FAULTS, bits=True),
    ),
    parse=json_parser(device="id", time="time", message_id="message"),
    tiers=STANDARD_TIERS,
    stale_after=1_020,
    open=False,
)


def install_every_kind(folder: Path) -> dict[str, str]:
    """Install the data type for processes. Returns their environment."""
    source = Path(__file__).read_text(encoding="utf-8")
    (folder / "gp_every_kind.py").write_text(f"{source}\n\nDATATYPE = EVERY_KIND\n", encoding="utf-8")
    info = folder / "gp_every_kind-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gp_every_kind\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[greenpower.plugins]\ngp_every_kind = gp_every_kind\n")
    return {"PYTHONPATH": str(folder)}
