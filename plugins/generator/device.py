"""The messages of a generator controller's gateway: the inverse of the parser, for simulated devices."""

import json

from greenpower.datatype import Field, Model, Sample, decimals_of

DEVICE_POINT = 0

#: example points of a site; the names are their numbers
POINTS = (
    *(Field(str(number), unit="V", title=f"voltage, phase {phase}") for number, phase in enumerate("ABC", 1)),
    *(Field(str(number), unit="A", title=f"current, phase {phase}") for number, phase in enumerate("ABC", 4)),
    Field("7", unit="kW", title="active power, total"),
    Field("8", unit="1", title="power factor, total"),
    Field("9", unit="Hz", title="frequency"),
    Field("10", unit="rpm", title="engine speed"),
    Field("11", unit="°C", title="coolant temperature"),
    Field("12", unit="kPa", title="oil pressure"),
    Field("13", unit="V", title="battery voltage"),
    Field("14", unit="%", title="fuel level", low=0, high=100),
)


class GeneratorWire:
    """Messages of numbered points; the last message of a sample has the device id as point 0."""

    fields: tuple[Field, ...] = POINTS
    ids: str = "SIMULATED_GENERATOR_####"
    models: tuple[Model, ...] = (Model(name="in one message"), Model(name="in three messages", packets=3))

    def encode(self, sample: Sample) -> tuple[bytes, ...]:
        """One object per message, each with the sample's `tp`."""
        points: list[dict[str, object]] = [
            {"id": int(item.name), "val": round(sample.values[item.name], decimals_of(item))}
            for item in POINTS
            if item.name in sample.values
        ]
        count = max(1, min(sample.packets or sample.model.packets, len(points)))
        tp = int(sample.stamp.timestamp() * 1000)
        shares = [
            points[number * len(points) // count : (number + 1) * len(points) // count] for number in range(count)
        ]
        shares[-1].insert(0, {"id": DEVICE_POINT, "val": sample.device_id})
        return tuple(
            json.dumps({"data": [{"tp": tp, "point": share}]}, separators=(",", ":")).encode() for share in shares
        )
