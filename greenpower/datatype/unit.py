"""The closed vocabulary of units. A new unit is added here, with what it measures, and nowhere else."""

UNITS: dict[str, str] = {
    "V": "voltage",
    "A": "current",
    "kW": "active power",
    "kvar": "reactive power",
    "kVA": "apparent power",
    "Wh": "active energy",
    "kWh": "active energy",
    "kvarh": "reactive energy",
    "kVAh": "apparent energy",
    "Hz": "frequency",
    "°": "angle",
    "°C": "temperature",
    "%": "ratio, relative humidity, distortion",
    "µg/m³": "mass concentration",
    "kPa": "pressure",
    "rpm": "rotational speed",
    "L": "volume",
    "h": "running time",
    "s": "time, epoch seconds",
    "1": "no dimension: power factor, count, code",
}
