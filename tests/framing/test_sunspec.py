"""SunSpec: finding models, and reading them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import pytest

from greenpower.datatype import Frame, FrameError
from greenpower.datatype.dialled import Dialled
from greenpower.framing.rounds import Rounds
from greenpower.framing.sunspec import SunSpecParser
from tests.framing.test_rounds import Line

PARSER = SunSpecParser()
Model = Mapping[int, int]


def model(number: int, length: int, contents: Model) -> list[int]:
    """The registers of a model; its points by offset, what is not given is not implemented."""
    words = [number, length, *[0xFFFF] * length]
    for at, content in contents.items():
        words[at] = content & 0xFFFF
    return words


def floats(contents: Mapping[int, float]) -> dict[int, int]:
    found = {}
    for at, value in contents.items():
        found[at], found[at + 1] = struct.unpack(">HH", struct.pack(">f", value))
    return found


INVERTER = model(
    103,
    50,
    {2: 1234, 3: 411, 4: 412, 5: 411, 6: -2, 10: 2301, 11: 2305, 12: 2298, 13: -1, 14: 8520, 15: 0, 16: 4998, 17: -2,
     18: 0x8000, 19: 0, 20: 0x8000, 21: 0, 22: 9990, 23: -2, 24: 0x0012, 25: 0xD687, 26: 0, 27: 0xFFFF, 28: 0, 29: 7105,
     30: -1, 31: 8700, 32: 0, 33: 0x8000, 34: 412, 35: 0x8000, 36: 0x8000, 37: -1, 38: 4},
)  # fmt: skip
INVERTER_VALUES = {
    "current": 12.34, "current_a": 4.11, "current_b": 4.12, "current_c": 4.11, "voltage_a": 230.1, "voltage_b": 230.5,
    "voltage_c": 229.8, "active_power": 8.52, "frequency": 49.98, "power_factor": 0.999, "active_energy": 1234567,
    "dc_voltage": 710.5, "dc_power": 8.7, "temperature_heat_sink": 41.2, "operating_state": 4,
}  # fmt: skip
INPUTS = model(
    160, 48, {2: -2, 3: -1, 4: 0, 5: 0, 8: 2, 19: 611, 20: 7105, 21: 4340, 22: 0, 23: 0, 39: 613, 40: 7100, 41: 4360,
              42: 0x0009, 43: 0x6B43},
)  # fmt: skip
METER = model(
    203, 105, {2: -120, 6: -1, 18: -2760, 22: 0, **dict.fromkeys(range(38, 54), 0), 38: 1, 39: 1, 46: 0, 47: 500, 54: 1}
)
COMMON = model(1, 66, {})


class Map:
    """The registers of a device, from a base on."""

    def __init__(self, *models: list[int], base: int = 40001) -> None:
        self.words = [0x5375, 0x6E53, *(word for item in models for word in item), 0xFFFF, 0]
        self.base = base
        self.broken: set[int] = set()

    def answer(self, request: object) -> bytes:
        start = request.register - self.base  # type: ignore[attr-defined]
        if not 0 <= start <= start + request.count <= len(self.words) or start in self.broken:  # type: ignore[attr-defined]
            return request.exception(2)  # type: ignore[attr-defined, no-any-return]
        words = self.words[start : start + request.count]  # type: ignore[attr-defined]
        return request.answer(struct.pack(f">{len(words)}H", *words))  # type: ignore[attr-defined, no-any-return]


def dial(device: Map, framing: str = "tcp") -> tuple[Rounds, Line]:
    claim = Dialled(protocol="modbus", host="h", device="ROOF", unit=3, framing=framing)  # type: ignore[arg-type]
    talk = Rounds([PARSER.polled(claim)], timeout=2, greatest_pause=60, silence=100)
    line = Line(talk)
    line.answer = device.answer
    talk.begin(0)
    line.go(0)
    return talk, line


def readings(payload: bytes) -> dict[str | None, dict[str, object]]:
    return {item.device_id: item.values for item in PARSER(Frame(topic="t", payload=payload, device="ROOF"))}


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
@pytest.mark.parametrize("base", [40001, 50001, 1])
def test_models_are_found_and_read(base: int, framing: str) -> None:
    talk, line = dial(Map(COMMON, INVERTER, INPUTS, COMMON, METER, base=base), framing)
    ((_, payload, _),) = talk.take_rounds()
    found = readings(payload)
    assert found["ROOF"] == {
        **INVERTER_VALUES, "dc_current_1": 6.11, "dc_voltage_1": 710.5, "dc_power_1": 4.34, "dc_current_2": 6.13,
        "dc_voltage_2": 710, "dc_power_2": 4.36, "dc_energy_2": 617283,
    }  # fmt: skip
    meter = found["ROOF-meter"]
    assert (meter["current"], meter["active_power"]) == (-12, -2.76)
    assert (meter["active_energy_exported"], meter["active_energy_imported"]) == (655370, 5000)
    line.taken()
    talk.tick(10)
    line.go(10)
    assert len(line.taken()) == 3, "they are looked for once"


@pytest.mark.parametrize("number", [111, 112, 113])
def test_models_of_floats(number: int) -> None:
    contents = floats(
        {2: 12.5, 22: 8520.0, 24: 50.0, 30: 99.5, 32: 1234567.0, **dict.fromkeys((4, 6, 8, 26), float("nan"))}
    )
    talk, _ = dial(Map(model(number, 60, {**floats(dict.fromkeys(range(2, 48, 2), float("nan"))), **contents, 48: 2})))
    ((_, payload, _),) = talk.take_rounds()
    assert readings(payload) == {
        "ROOF": {"current": 12.5, "active_power": 8.52, "frequency": 50, "power_factor": 0.995,
                 "active_energy": 1234567, "operating_state": 2}
    }  # fmt: skip


def test_two_meters_and_no_inverter() -> None:
    talk, _ = dial(Map(METER, METER))
    ((_, payload, _),) = talk.take_rounds()
    assert set(readings(payload)) == {"ROOF-meter", "ROOF-meter-2"}


def test_a_round_without_one_of_the_models_is_none() -> None:
    """Else the second meter would be taken for the first."""
    device = Map(METER, METER)
    talk, line = dial(device)
    talk.take_rounds()
    device.broken = {2}
    talk.tick(10)
    line.go(10)
    assert talk.take_rounds() == []
    assert "unfinished-round" in [reason for _, reason, _, _ in talk.take_device_notes()]


def test_many_inputs_are_read_in_two_requests() -> None:
    talk, line = dial(Map(model(160, 8 + 20 * 8, {2: -2, 3: -1, 4: 0, 5: 0, 8: 8, 19 + 20 * 5: 100, 19 + 20 * 7: 200})))
    ((_, payload, _),) = talk.take_rounds()
    assert readings(payload)["ROOF"]["dc_current_6"] == 1
    assert len({key for key in line.taken() if key[1] > 40004}) == 2


def test_a_model_that_is_listed_and_cannot_be_read_is_left_out() -> None:
    device = Map(INVERTER, METER)
    line_break = 2 + len(INVERTER)
    real = device.answer

    def answer(request: object) -> bytes:
        if request.register - device.base == line_break and request.count > 2:  # type: ignore[attr-defined]
            return request.exception(2)  # type: ignore[attr-defined, no-any-return]
        return real(request)

    device.answer = answer  # type: ignore[method-assign]
    talk, _ = dial(device)
    ((_, payload, _),) = talk.take_rounds()
    assert set(readings(payload)) == {"ROOF"}


def test_a_device_without_a_map() -> None:
    talk, _ = dial(Map(INVERTER, base=1000))
    assert talk.take_rounds() == []
    assert [reason for _, reason, _, _ in talk.take_device_notes()] == ["not-found"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [(lambda data: b"", "bad-answer"), (lambda data: data[:-1], "bad-answer"), (lambda data: data[:12], "bad-answer")],
)
def test_what_is_no_round(change: object, reason: str) -> None:
    talk, _ = dial(Map(INVERTER))
    ((_, payload, _),) = talk.take_rounds()
    with pytest.raises(FrameError) as caught:
        readings(change(payload))  # type: ignore[operator]
    assert caught.value.reason == reason
