"""A firmware that goes from kWh to Wh, and the factor that an operator gives, through broker, ingest, rollups and API.

The case is made anew from a public report. Undecided it counts what is sure; after the factor all of it; withdrawn, it
is as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS
from greenpower.stack import Mongod, Mosquitto, Valkey
from tests.api.energy.chain import TYPE, Chain, make_chain, millionths

QUARTER, DAY = timedelta(minutes=15), timedelta(days=1)
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = MIDNIGHT - 6 * DAY
VALUES = (12.5, 12.6, 12.7, 12800, 12900, 13000, 13100)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCase:
    """A register whose unit changes with sample `first`, up to before sample `past`. undecided, corrected: energies by
    hand. early: the factor is known before anything is rolled up."""

    name: str
    values: tuple[float, ...]
    factor: float
    undecided: float
    corrected: float
    first: int = 3
    past: int | None = None
    field: str = "zygsz"
    start: timedelta = timedelta()
    every: timedelta = QUARTER
    early: bool = False

    def time(self, number: int) -> datetime:
        return START + self.start + number * self.every

    @property
    def samples(self) -> list[tuple[datetime, float]]:
        return [(self.time(number), value) for number, value in enumerate(self.values)]


CASES = (
    UnitCase(name="wh", values=VALUES, factor=0.001, undecided=0.2, corrected=0.6),
    UnitCase(
        name="kwh", values=(12500, 12600, 12700, 12.8, 12.9, 13.0, 13.1), factor=1000, undecided=200, corrected=600
    ),
    UnitCase(
        name="hundredths", values=(50.0, 50.25, 50.5, 5075, 5100, 5125, 5150), factor=0.01, undecided=0.5,
        corrected=1.5, field="zwgsz",
    ),
    UnitCase(
        name="over-midnight", values=VALUES, factor=0.001, undecided=0.2, corrected=0.6, start=timedelta(hours=23),
    ),
    UnitCase(
        name="every-minute", values=VALUES, factor=0.001, undecided=0.2, corrected=0.6, field="zszsz",
        every=timedelta(minutes=1), start=timedelta(hours=5, minutes=44),
    ),
    UnitCase(name="early", values=VALUES, factor=0.001, undecided=0.2, corrected=0.6, early=True),
    UnitCase(
        name="and-back", values=(*VALUES, 13.2, 13.3, 13.4, 13.5), factor=0.001, undecided=1.0, corrected=1.0, past=7,
        every=timedelta(minutes=10),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def chain(
    tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto
) -> Iterator[Chain]:
    with make_chain(tmp_path_factory.mktemp("units"), mongod, valkey, mosquitto) as chain:
        for case in CASES:
            chain.send(case.name, case.samples, case.field)
        chain.store()
        yield chain


def send(chain: Chain, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {chain.tokens['access']}"}
    response = chain.client.open(path, method=method, json=body, headers=headers)
    assert response.status_code in (200, 201), response.text
    return response.get_json()


def corrections_of(chain: Chain, case: UnitCase) -> str:
    rows = chain.get("/api/devices/", page_size=100).get_json()["results"]
    there = {row["device_id"]: row["id"] for row in rows}
    if case.name not in there:
        there[case.name] = send(chain, "POST", "/api/devices/", {"device_id": case.name, "name": case.name})["id"]
    return f"/api/devices/{there[case.name]}/corrections/"


def give_factor(chain: Chain, case: UnitCase) -> str:
    """Returns the address of the correction."""
    body = {
        "type": TYPE,
        "field": case.field,
        "kind": "factor",
        "factor": case.factor,
        "begin": case.time(case.first).isoformat(),
        "end": None if case.past is None else case.time(case.past).isoformat(),
        "reason": "the firmware changed its unit",
    }
    place = corrections_of(chain, case)
    return f"{place}{send(chain, 'POST', place, body)['id']}/"


def energies(chain: Chain, case: UnitCase, bucket: str = "day") -> list[int | None]:
    rows, body = chain.consumption(
        case.name, case.field, bucket=bucket, tz="UTC", start_time=START - DAY, end_time=START + 3 * DAY
    )
    total = millionths(body["total"])
    assert total == sum(millionths(row["energy"]) or 0 for row in rows)
    return [total, *(millionths(row["energy"]) for row in rows)]


def ledger(chain: Chain, case: UnitCase) -> list[dict[str, Any]]:
    """What the ledger holds of a device, but for when it was written."""
    return [
        {name: value for name, value in document.items() if name not in ("as_of", "updated_at")}
        for name in (INTERVALS, ENERGY_DAYS)
        for document in chain.database[name].find({"device_id": case.name}).sort("_id")
    ]


def test_both_answers_and_no_trace_when_withdrawn(chain: Chain) -> None:
    early: Sequence[UnitCase] = [case for case in CASES if case.early]
    late = [case for case in CASES if not case.early]
    addresses = {case.name: give_factor(chain, case) for case in early}
    chain.roll()
    before = {}
    for case in late:
        before[case.name] = energies(chain, case), energies(chain, case, "hour"), ledger(chain, case)
        assert energies(chain, case)[0] == millionths(case.undecided), case.name
        found = [(one.kind, one.status) for one in chain.incidents(case.name)]
        assert [kind for kind, status in found if status == "open"] == ([] if case.past else ["unit_change"]), case.name
    addresses |= {case.name: give_factor(chain, case) for case in late}
    chain.roll()
    for case in CASES:
        assert energies(chain, case)[0] == energies(chain, case, "hour")[0] == millionths(case.corrected), case.name
        assert chain.incidents(case.name) == [], case.name
        sent = chain.body(device_id=case.name, path="", start_time=START.isoformat(), resolution="raw")["results"]
        assert [row["payload"][case.field] for row in sent] == list(case.values)
    for address in addresses.values():
        send(chain, "DELETE", address)
    chain.roll()
    for case in late:
        assert before[case.name] == (energies(chain, case), energies(chain, case, "hour"), ledger(chain, case))
    for case in early:
        assert energies(chain, case)[0] == millionths(case.undecided)
