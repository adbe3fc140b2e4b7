"""The SunSpec models that are read: which of their points become which fields.

Offsets, types and scale factors are those of the model definitions that the SunSpec Alliance publishes
(https://github.com/sunspec/models). The single-phase, split-phase and three-phase models of a kind have one layout; so
has the meter without a neutral. What belongs here: the tables. What does not: reading them (`sunspec`).
"""

from __future__ import annotations

from greenpower.framing.block import RegisterPoint

NOT_IMPLEMENTED = {
    "int16": (0x8000,),
    "uint16": (0xFFFF,),
    "int32": (0x80000000,),
    "uint32": (0xFFFFFFFF,),
    "float32": (0x7FC00000, 0xFFC00000),
}
#: an accumulator that is not kept is 0
ACCUMULATOR = "acc32"
KILO = "0.001"
PERCENT = "0.01"
#: modules (strings) of an inverter that are read
MAX_INPUTS = 6
INPUT_WORDS = 20


def _point(field: str, offset: int, layout: str, scale: int | None = None, factor: str = "1") -> RegisterPoint:
    accumulated = layout == ACCUMULATOR
    kind = "uint32" if accumulated else layout
    return RegisterPoint(
        field=field,
        register=offset + 1,
        layout=kind,
        factor=factor,
        scale=None if scale is None else scale + 1,
        not_implemented=(0,) if accumulated else NOT_IMPLEMENTED[kind],
    )


# field, offset as integer, its scale, factor to the field's unit, offset as float
_INVERTER = (
    ("current", 2, 6, "1", 2), ("current_a", 3, 6, "1", 4), ("current_b", 4, 6, "1", 6), ("current_c", 5, 6, "1", 8),
    ("voltage_ab", 7, 13, "1", 10), ("voltage_bc", 8, 13, "1", 12), ("voltage_ca", 9, 13, "1", 14),
    ("voltage_a", 10, 13, "1", 16), ("voltage_b", 11, 13, "1", 18), ("voltage_c", 12, 13, "1", 20),
    ("active_power", 14, 15, KILO, 22), ("frequency", 16, 17, "1", 24), ("apparent_power", 18, 19, KILO, 26),
    ("reactive_power", 20, 21, KILO, 28), ("power_factor", 22, 23, PERCENT, 30), ("active_energy", 24, 26, "1", 32),
    ("dc_current", 27, 28, "1", 34), ("dc_voltage", 29, 30, "1", 36), ("dc_power", 31, 32, KILO, 38),
    ("temperature_cabinet", 33, 37, "1", 40), ("temperature_heat_sink", 34, 37, "1", 42),
)  # fmt: skip
_SIGNED = frozenset((
    "active_power", "apparent_power", "reactive_power", "power_factor", "dc_power", "temperature_cabinet",
    "temperature_heat_sink",
))  # fmt: skip


def _inverter_layout(field: str) -> str:
    if field == "active_energy":
        return ACCUMULATOR
    return "int16" if field in _SIGNED else "uint16"


INVERTER = (
    *(_point(name, at, _inverter_layout(name), scale, factor) for name, at, scale, factor, _ in _INVERTER),
    _point("operating_state", 38, "uint16"),
)
INVERTER_FLOAT = (
    *(_point(name, at, "float32", None, factor) for name, _, _, factor, at in _INVERTER),
    _point("operating_state", 48, "uint16"),
)
_PHASES = ("", "_a", "_b", "_c")
METER = (
    *(_point(f"current{phase}", 2 + at, "int16", 6) for at, phase in enumerate(_PHASES)),
    *(_point(f"voltage{phase}", 7 + at, "int16", 15) for at, phase in enumerate(_PHASES)),
    *(_point(f"voltage_{pair}", 12 + at, "int16", 15) for at, pair in enumerate(("ab", "bc", "ca"))),
    _point("frequency", 16, "int16", 17),
    *(_point(f"active_power{phase}", 18 + at, "int16", 22, KILO) for at, phase in enumerate(_PHASES)),
    *(_point(f"apparent_power{phase}", 23 + at, "int16", 27, KILO) for at, phase in enumerate(_PHASES)),
    *(_point(f"reactive_power{phase}", 28 + at, "int16", 32, KILO) for at, phase in enumerate(_PHASES)),
    *(_point(f"power_factor{phase}", 33 + at, "int16", 37, PERCENT) for at, phase in enumerate(_PHASES)),
    *(_point(f"active_energy_exported{phase}", 38 + 2 * at, ACCUMULATOR, 54) for at, phase in enumerate(_PHASES)),
    *(_point(f"active_energy_imported{phase}", 46 + 2 * at, ACCUMULATOR, 54) for at, phase in enumerate(_PHASES)),
)
INPUTS = tuple(
    point
    for number in range(MAX_INPUTS)
    for point in (
        _point(f"dc_current_{number + 1}", 19 + INPUT_WORDS * number, "uint16", 2),
        _point(f"dc_voltage_{number + 1}", 20 + INPUT_WORDS * number, "uint16", 3),
        _point(f"dc_power_{number + 1}", 21 + INPUT_WORDS * number, "uint16", 4, KILO),
        _point(f"dc_energy_{number + 1}", 22 + INPUT_WORDS * number, ACCUMULATOR, 5),
    )
)
MODELS = {
    **dict.fromkeys((101, 102, 103), INVERTER),
    **dict.fromkeys((111, 112, 113), INVERTER_FLOAT),
    160: INPUTS,
    **dict.fromkeys((201, 202, 203, 204), METER),
}
METER_MODELS = frozenset({201, 202, 203, 204})
