"""What the reader makes of what a parser returns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Field, Frame, Mqtt, Noted, Reading, json_parser
from greenpower.datatype.declaration import Parser
from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.reader import Reader

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)


def read(parse: Parser, payload: bytes = b"", *, retained: bool = False) -> tuple[Arrival, list[FrameReading]]:
    datatype = DataType(
        name="test", title="Test", collection="test_data", match=(Mqtt("test"),), parse=parse,
        fields=(Field("power", unit="kW", sent_in="W", source="em.power"),),
    )  # fmt: skip
    arrival = Arrival(topic="test", payload=payload, received_at=NOW, source="mqtt", retained=retained)
    return arrival, Reader(Registry.of(datatype), 10_000).read(arrival)


@pytest.mark.parametrize("retained", [False, True])
def test_a_note_is_no_reading_and_no_fault(retained: bool) -> None:
    arrival, found = read(lambda frame: (Noted("a birth", device_id="D"),), retained=retained)
    assert (found, arrival.noted, arrival.rejected, arrival.device) == ([], "a birth", "", "D")


def test_a_note_beside_readings_is_the_detail_of_their_frame() -> None:
    def parse(frame: Frame) -> tuple[Reading, ...]:
        return Noted("one child is new"), Reading(device_id="D", values={"em.power": 64.2}), Noted("one child is new")

    arrival, [item] = read(parse)
    assert (item.device_id, item.payload) == ("D", {"power": 0.0642})
    assert (arrival.noted, arrival.rejected, arrival.detail, arrival.device) == ("", "", "one child is new", "D")


def test_a_reason_of_any_text_can_be_stored() -> None:
    arrival, _ = read(lambda frame: (Noted("\ud800" * 300),))
    assert len(arrival.noted.encode()) > 0


def test_children_of_one_frame_are_readings_of_their_own() -> None:
    parse = json_parser(device="mac", each="all", noted="nothing measured")
    arrival, found = read(parse, b'{"all":[{"mac":"A","em":{"power":1}},{"mac":"B"},{"mac":"C","em":{"power":2.5}}]}')
    assert [(item.device_id, item.payload) for item in found] == [("A", {"power": 0.001}), ("C", {"power": 0.0025})]
    arrival, found = read(parse, b'{"all":[{"mac":"A"}]}')
    assert (arrival.noted, found) == ("nothing measured", [])


def test_a_child_with_a_bad_value_costs_itself() -> None:
    parse = json_parser(device="mac", each="all")
    arrival, [item] = read(parse, b'{"all":[{"mac":"A","em":{"power":"x"}},{"mac":"B","em":{"power":1}}]}')
    assert (item.device_id, arrival.rejected) == ("B", "")
    assert "1 of 2" in arrival.detail
