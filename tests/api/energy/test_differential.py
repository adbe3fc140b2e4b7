"""Random meters through the whole chain, held against the plain recomputation: every stretch, from every start.

Each is a device of its own in one chain. Its readings arrive in any order, in batches between which the tiers run at a
clock that moves; meanwhile people report swaps, decide incidents and enter the power of devices.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from greenpower.mongo.client import Document
from greenpower.mongo.energy.slot_columns import SLOTS_PER_DAY, SLOTS_PER_MONTH, SlotColumns
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS
from greenpower.stack import Mongod, Mosquitto, Valkey
from tests.api.energy.chain import TYPE, Chain, make_chain, millionths, unstamped
from tests.api.energy.random_meter import DAY, HOUR, ROUNDS, RandomMeter, make_meters
from tests.measure import plain
from tests.measure.plain_count import PlainCount
from tests.measure.plain_counter import windows
from tests.wait import busy, wait_until

QUARTER = timedelta(minutes=15)
ZONES = ("UTC", "Asia/Dhaka", "Asia/Kathmandu", "Europe/Berlin", "America/St_Johns", "Pacific/Chatham")
SEED = 1
# What the first test waits for is the work of all of them.
pytestmark = pytest.mark.timeout(600)


class Fleet:
    """The meters, after everything arrived and was rolled up."""

    def __init__(self, chain: Chain, meters: Sequence[RandomMeter], now: datetime) -> None:
        self.chain = chain
        self.meters = meters
        self.now = now
        self.ids: dict[str, int] = {}
        self.wanted: dict[str, PlainCount] = {}

    def play(self) -> None:
        """Send, store and roll up, round by round."""
        for meter in self.meters:
            self.ids[meter.device] = self.post("/api/devices/", {"device_id": meter.device})["id"]
        for number in range(ROUNDS):
            for meter in self.meters:
                for _, batch in (found for found in meter.batches if found[0] == number):
                    self.chain.send(meter.device, batch, meter.field, meter.stamp)
            self.chain.store()
            if number == ROUNDS - 1:
                for meter in self.meters:
                    self.chain.send(meter.device, [(self.now, value) for value in meter.burst], meter.field, unstamped)
                self.chain.store()
            for meter in self.meters:
                self.tell(meter, number)
            self.chain.roll(self.now - (60, 15, 1, 0)[number] * DAY)
        # What came a moment ago may decide samples of days ago, as soon as its own window is over.
        self.chain.roll(self.now + 2 * HOUR)
        for meter in self.meters:
            self.wanted[meter.device] = meter.counted(*self.chain.stored(meter.device, meter.field))

    def post(self, path: str, body: Document, method: str = "POST") -> Document:
        """What the API answers to a change."""
        headers = {"Authorization": f"Bearer {self.chain.tokens['access']}"}
        response = self.chain.client.open(path, method=method, json=body, headers=headers)
        assert response.status_code in (200, 201), response.text
        found: Document = response.get_json()
        return found

    def tell(self, meter: RandomMeter, number: int) -> None:
        """What people say of a meter in a round."""
        path = f"/api/devices/{self.ids[meter.device]}/"
        if meter.meter.power is not None and meter.powered_in == number:
            self.post(path, {"greatest_power": meter.meter.power}, "PATCH")
        for _, swap in (found for found in meter.swaps if found[0] == number):
            readings = {meter.field: {"last": swap.last, "first": swap.first}}
            self.post(f"{path}meter-swaps/", {"type": TYPE, "at": swap.at.isoformat(), "readings": readings})
        if meter.decides_in == number:
            chance = random.Random(meter.device)
            found = self.chain.get(f"{path}incidents/", status="open").get_json()["results"]
            for incident in chance.sample(found, min(2, len(found))):
                status = chance.choice(["confirmed", "rejected"])
                self.post(f"{path}incidents/{incident['id']}/", {"status": status}, "PATCH")
                meter.decided[datetime.fromisoformat(incident["at"])] = status

    def each(self) -> Iterator[tuple[RandomMeter, PlainCount]]:
        for meter in self.meters:
            yield meter, self.wanted[meter.device]


def make_fleet(chain: Chain, number: int) -> Fleet:
    now = datetime.now(UTC)
    fleet = Fleet(chain, make_meters(SEED, number, now), now)
    fleet.play()
    return fleet


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto
) -> Iterator[Fleet]:
    """Thirty meters."""
    folder = tmp_path_factory.mktemp("differential")
    with make_chain(folder, mongod, valkey, mosquitto, changes_horizon_seconds=1) as chain:
        yield make_fleet(chain, 30)


def check_rows(meter: RandomMeter, wanted: PlainCount, rows: Sequence[Document], body: Document) -> None:
    """The rows of a device against the plain recomputation of their stretches, and their sum."""
    for row in rows:
        stretch = row["start"], row["end"]
        assert millionths(row["energy"]) == wanted.energy(*stretch), (meter.device, row)
        assert row["samples"] == wanted.samples(*stretch), (meter.device, row)
        assert row["silence_s"] == wanted.silence(*stretch), (meter.device, row)
        before = wanted.register_before(row["start"])
        assert (row["first"] or {}).get("value") == before, (meter.device, row)
    undecided = [incident.at for incident in wanted.incidents if incident.status == "open"]
    for row in rows:
        if not undecided:
            assert not row["undecided"], (meter.device, row)
        elif any(row["start"] <= at < row["end"] for at in undecided):
            assert row["undecided"], (meter.device, row)
    counted = [row["energy"] for row in rows if row["energy"] is not None]
    total = sum(map(_millionths, counted)) if counted else None
    assert millionths(body["device"]["total"]) == total == millionths(body["total"])


def _millionths(energy: float) -> int:
    return round(energy * 1_000_000)


def check_consumption(fleet: Fleet) -> None:
    """By hour around some samples, by day, week, month and year as a whole; two zones for each meter, six in all."""
    for number, (meter, wanted) in enumerate(fleet.each()):
        chance = random.Random(meter.device)
        samples = meter.samples
        first, last = samples[0][0], max(samples[-1][0], wanted.steps[-1].at)
        for zone in (ZONES[number % 6], ZONES[(number // 6 + number + 1) % 6]):
            ranges: list[tuple[str, datetime, datetime]] = []
            for time in (first, *(chance.choice(samples)[0] for _ in range(2)), last):
                begin = time - timedelta(minutes=chance.randrange(3 * 24 * 60))
                ranges.append(("hour", begin, begin + 4 * DAY))
            for bucket, margin in (("day", 3 * DAY), ("week", 9 * DAY), ("month", 40 * DAY), ("year", 400 * DAY)):
                ranges.append((bucket, first - margin * chance.random(), last + HOUR))
            for bucket, begin, end in ranges:
                rows, body = fleet.chain.consumption(
                    meter.device, meter.field, bucket=bucket, tz=zone, start_time=begin, end_time=end
                )
                check_rows(meter, wanted, rows, body)
                if bucket != "hour":
                    assert millionths(body["total"]) == sum(step.counts for step in wanted.steps)


def check_ledger(fleet: Fleet) -> None:
    """Every quarter-hour and every day that the ledger keeps, one by one, and their sums."""
    done = fleet.now - HOUR
    for meter, wanted in fleet.each():
        key = {"type": TYPE, "device_id": meter.device, "field": meter.field}
        seen = 0
        for document in fleet.chain.database[INTERVALS].find(key):
            columns = SlotColumns.unpack(document["slots"], SLOTS_PER_DAY)
            for slot, found in enumerate(zip(columns.energy, columns.n, columns.silence, strict=True)):
                begin = document["day"] + slot * QUARTER
                if begin + QUARTER <= done:
                    check_stretch(meter, wanted, begin, begin + QUARTER, found)
                    seen += found[1]
        assert seen == sum(step.at < plain.window_of(done, 900) for step in wanted.steps), meter.device
        for document in fleet.chain.database[ENERGY_DAYS].find(key):
            columns = SlotColumns.unpack(document["slots"], SLOTS_PER_MONTH)
            for slot, found in enumerate(zip(columns.energy, columns.n, columns.silence, strict=True)):
                begin = document["month"] + slot * DAY
                if begin + DAY <= done and begin.month == document["month"].month:
                    check_stretch(meter, wanted, begin, begin + DAY, found)


def check_stretch(
    meter: RandomMeter, wanted: PlainCount, begin: datetime, end: datetime, found: tuple[int, int, int]
) -> None:
    """(energy, samples, seconds of silence) of a stretch against the plain recomputation."""
    stretch = begin, end
    by_hand = wanted.energy(*stretch) or 0, wanted.samples(*stretch), wanted.silence(*stretch)
    assert found == by_hand, (meter.device, begin)


def check_rows_everywhere(fleet: Fleet) -> None:
    """List, export and changes have the buckets of half an hour that the plain recomputation has."""
    changes: dict[tuple[str, str], Document] = {}
    until = datetime.now(UTC)

    def seen() -> bool:
        return datetime.fromisoformat(fleet.chain.body("changes/", resolution="30m")["until"]) > until

    wait_until(seen, 10 * busy(), every=0.2)
    after: dict[str, str] = {}
    while True:
        page = fleet.chain.body("changes/", resolution="30m", stats="true", **after)
        changes |= {(row["device_id"], row["timestamp"]): row for row in page["results"]}
        if page["next"] is None:
            break
        after = {"after": page["after"]}
    done = fleet.now - HOUR
    for meter, wanted in fleet.each():
        by_hand = windows(wanted, lambda time: plain.window_of(time, 1800))
        listed = list(pages(fleet.chain, meter))
        exported = fleet.chain.get(
            "/api/telemetry/eny-now-data/export/", resolution="30m", device_id=meter.device, fields=meter.field
        ).data.splitlines()
        assert [orjson.loads(line)["payload"] for line in exported] == [row["payload"] for row in listed]
        for row in listed:
            start = datetime.fromisoformat(row["timestamp"])
            state, mine = by_hand.get(start), row["stats"].get(meter.field)
            assert (mine is None) == (state is None), (meter.device, row)
            if state is None:
                continue
            energy = float(state["last"]) - float(state["first"]) + float(state["correction"])
            assert (mine["n"], mine["first"], mine["last"]) == (state["n"], state["first"], state["last"]), row
            assert abs(mine["energy"] - energy) < 1e-6 * max(1, abs(energy)), (meter.device, row)
            if start < done - HOUR and not meter.burst:
                assert changes[meter.device, row["timestamp"]]["stats"][meter.field] == mine


def pages(chain: Chain, meter: RandomMeter) -> Iterator[Document]:
    """All rows of a meter by half an hour, in order."""
    start = meter.samples[0][0] - HOUR
    for page in range(1, 1000):
        body = chain.body(
            "",
            resolution="30m",
            device_id=meter.device,
            fields=meter.field,
            stats="true",
            order="asc",
            start_time=start.isoformat(),
            page=page,
            page_size=1000,
        )
        yield from body["results"]
        if body["next"] is None:
            break


def check_incidents(fleet: Fleet) -> None:
    """What is on record is what the plain recomputation finds."""
    for meter, wanted in fleet.each():
        by_time = sorted(wanted.incidents, key=lambda incident: (incident.at, incident.kind))
        assert fleet.chain.incidents(meter.device) == by_time, meter.device


def check_twins(fleet: Fleet) -> None:
    """Another order and other batches end in the same buckets and the same incidents."""
    twins = {meter.device: meter for meter in fleet.meters}
    database = fleet.chain.database
    for device, meter in twins.items():
        other = twins.get(f"{device}-twin")
        if other is None or meter.burst:
            continue
        for tier in fleet.chain.datatype.tiers:
            if tier.window is not None:
                assert stats_of(database[tier.prefix + fleet.chain.datatype.collection], device) == stats_of(
                    database[tier.prefix + fleet.chain.datatype.collection], other.device
                )


def stats_of(collection: Any, device: str) -> list[Document]:
    """The buckets of a device without what tells writes apart."""
    keys = {"_id": 0, "timestamp": 1, "stats": 1, "blocks": 1, "payload": 1, "coverage": 1, "holds": 1}
    return list(collection.find({"device_id": device}, keys).sort("timestamp"))


def test_every_sample_that_was_sent_is_stored(fleet: Fleet) -> None:
    for meter in fleet.meters:
        samples, arrivals = fleet.chain.stored(meter.device, meter.field)
        assert [sample for sample in samples if sample[0] not in arrivals] == meter.samples
        assert [value for time, value in samples if time in arrivals] == meter.burst


def test_consumption_equals_the_plain_recomputation(fleet: Fleet) -> None:
    check_consumption(fleet)


def test_the_ledger_equals_the_plain_recomputation(fleet: Fleet) -> None:
    check_ledger(fleet)


def test_list_export_and_changes_equal_the_plain_recomputation(fleet: Fleet) -> None:
    check_rows_everywhere(fleet)


def test_incidents_equal_the_plain_recomputation(fleet: Fleet) -> None:
    check_incidents(fleet)


def test_order_and_batches_change_nothing(fleet: Fleet) -> None:
    check_twins(fleet)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_meters(tmp_path: Any, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto) -> None:
    with make_chain(tmp_path, mongod, valkey, mosquitto, changes_horizon_seconds=1) as chain:
        found = make_fleet(chain, 200)
        for check in (check_consumption, check_ledger, check_rows_everywhere, check_incidents, check_twins):
            check(found)


def test_windows_computed_for_their_means_come_again_where_their_counters_change(
    tmp_path: Any, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto
) -> None:
    """A meter whose readings arrive backwards, with a clock at which its windows once stayed as they were."""
    now = datetime.now(UTC).replace(minute=49, second=46, microsecond=0) - HOUR
    with make_chain(tmp_path, mongod, valkey, mosquitto, changes_horizon_seconds=1) as chain:
        meters = [meter for meter in make_meters(SEED, 96, now) if meter.device.startswith("meter-1-95")]
        fleet = Fleet(chain, meters, now)
        fleet.play()
        for check in (check_consumption, check_ledger, check_incidents, check_twins):
            check(fleet)
