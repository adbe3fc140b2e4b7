"""A data type whose devices send one value per topic, and its frames."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Field, Kind, Mqtt, value_parser
from greenpower.ingest.arrival import Arrival

SOURCE = """
from greenpower.datatype import DataType, Field, Kind, Mqtt, value_parser
DATATYPE = DataType(
    name="gp_em", title="EM", endpoint="em-data", collection="em_data",
    match=(Mqtt("em/{device}/{channel}/{field}", device="{device}-{channel}", gather=2.0),),
    fields=(Field("power", unit="kW"), Field("voltage", unit="V"), Field("total", unit="kWh", kind=Kind.COUNTER)),
    parse=value_parser(),
)
"""
EM = DataType(
    name="gp_em", title="EM", endpoint="em-data", collection="em_data",
    match=(Mqtt("em/{device}/{channel}/{field}", device="{device}-{channel}", gather=2.0),),
    fields=(Field("power", unit="kW"), Field("voltage", unit="V"), Field("total", unit="kWh", kind=Kind.COUNTER)),
    parse=value_parser(),
)  # fmt: skip
REGISTRY = Registry.of(EM)


def value(field: str, sent: object, at: datetime, device: str = "A/0", **given: object) -> Arrival:
    """A frame with one value."""
    arrival = Arrival(topic=f"em/{device}/{field}", payload=str(sent).encode(), received_at=at, source="mqtt")
    for name, what in given.items():
        setattr(arrival, name, what)
    return arrival


def install_em(folder: Path) -> dict[str, str]:
    """Install the data type for processes. Returns their environment."""
    (folder / "gp_em.py").write_text(SOURCE)
    info = folder / "gp_em-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gp_em\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[greenpower.plugins]\ngp_em = gp_em\n")
    return {"PYTHONPATH": str(folder)}


def now_slot() -> datetime:
    """The begin of the slot of now."""
    now = datetime.now(UTC).replace(microsecond=0)
    return now.replace(second=now.second // 2 * 2)
