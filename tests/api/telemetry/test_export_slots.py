"""Places for exports: one caller cannot have all of them."""

from __future__ import annotations

from greenpower.api.telemetry.export_slots import MAX_EXPORTS, MAX_EXPORTS_PER_CALLER, ExportSlots


def test_one_caller_leaves_a_place_for_others() -> None:
    slots = ExportSlots()
    assert all(slots.acquire("a") for _ in range(MAX_EXPORTS_PER_CALLER)) and not slots.acquire("a")
    assert all(slots.acquire("b") for _ in range(MAX_EXPORTS - MAX_EXPORTS_PER_CALLER)) and not slots.acquire("b")
    assert not slots.acquire("c")
    slots.release("a")
    assert slots.acquire("c") and not slots.acquire("a")
