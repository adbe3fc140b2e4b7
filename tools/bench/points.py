"""Bench of the energy model: what a hundred meter points counted and cost, in a month by days and in a year by months.

Each is asked of `greenpower api` as shipped and, in turn, of MongoDB itself (`floor_points`), over one connection. The
tariff has a day and a night rate and a charge for the highest demand of each month, which the grid's point pays.
`python -m tools.bench.points` prints the figures.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.point import PointPart
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.session import sql_session
from greenpower.sql.tariff import StoredTariffVersion, Tariff
from greenpower.stack import Mongod, Valkey
from tools.bench.api import Serving, run_module
from tools.bench.reads import COUNTER, LEDGER_DEVICES, ROUNDS, SECONDS, Question, ReadBench, _device

DAY = timedelta(days=1)
YEAR_DAYS = 366
MONTH_MS, YEAR_MS = 300, 1_000
LENGTHS = {"month": 30 * DAY, "year": 365 * DAY}


def run(quick: bool = True) -> list[dict[str, Any]]:
    """The figures of each question, as those of `reads`."""
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder,
        Mongod(Path(folder) / "mongod") as mongod,
        Valkey(Path(folder) / "valkey") as valkey,
    ):
        bench = PointBench(Path(folder), mongod.uri, valkey.url, "bench_points")
        bench.fill()
        return bench.measure_questions(SECONDS if quick else 3 * SECONDS)


class PointBench(ReadBench):
    """A database with a year of the ledger, points of a hundred meters, and the API that serves them."""

    ledger_days = YEAR_DAYS

    def serving(self) -> Serving:
        """Its API, with the points."""
        found = super().serving()
        with sql_session(self.settings) as session:
            version = StoredTariffVersion(valid_from=(self.today - 2 * YEAR_DAYS * DAY).date(), content=_content())
            tariff = Tariff(
                name="Bench",
                carrier=Carrier.ELECTRICITY.value,
                currency="EUR",
                timezone=self.settings.device_timezone,
                is_default=True,
                versions=[version],
            )
            points = [_point(number) for number in range(LEDGER_DEVICES)]
            session.add_all([tariff, *points])
            session.flush()
            for point in points[1:]:
                point.parent_id = points[0].id
            session.commit()
        return found

    @property
    def questions(self) -> list[Question]:
        """What is asked."""
        return [
            self._question("energy", "consumption", "month", "day", MONTH_MS),
            self._question("energy", "consumption", "year", "month", YEAR_MS),
            self._question("balance", "balance", "year", "month", YEAR_MS),
            self._question("cost", "cost", "month", "day", MONTH_MS),
            self._question("cost", "cost", "year", "month", YEAR_MS),
        ]

    def _question(self, name: str, route: str, length: str, bucket: str, ms: float) -> Question:
        since = self.today - LENGTHS[length]
        asked = urlencode({"bucket": bucket, "start_time": since.isoformat()})
        return Question(
            name=f"{name} of {LEDGER_DEVICES} points, a {length} by {bucket}s",
            paths=[f"/api/energy/{route}/?{asked}"],
            floor="cost" if route == "cost" else bucket,
            options=["--since", since.isoformat(), "--until", self.made_until.isoformat()],
            ms=ms,
        )

    def measure_questions(self, seconds: float) -> list[dict[str, Any]]:
        """Product and floor in turn."""
        rows = []
        with self.serving() as api:
            for question in self.questions:
                pairs = [(self.ask(api.token, question.paths, seconds), self.bare(question)) for _ in range(ROUNDS)]
                ours, bare = (sorted(one[side] for one in pairs)[ROUNDS // 2] for side in (0, 1))
                rows.append(
                    {"name": question.name, "ms": ours, "floor_ms": bare, "ratio": ours / bare}
                    | {"times": question.times, "goal_ms": question.ms}
                )
        return rows

    def bare(self, question: Question) -> float:
        """The same of MongoDB itself."""
        place = ("--uri", self.settings.need("MONGO_DB_URI"), "--name", self.settings.mongo_db_name)
        return float(run_module("floor_points", question.floor, *place, *question.options)["p50_ms"])


def _point(number: int) -> MeterPoint:
    part = PointPart(type="eny_now", device_id=_device(number), field=COUNTER)
    role = PointRole.LOAD if number else PointRole.GRID_IMPORT
    return MeterPoint(
        name=f"Point {number:03}", carrier=Carrier.ELECTRICITY.value, role=role.value, parts=[part.stored()]
    )


def _content() -> dict[str, Any]:
    always = {"days": list(range(8)), "months": list(range(1, 13)), "direction": "import"}
    return {
        "rates": [
            {**always, "name": "night", "price": "0.19", "begin": "22:00", "end": "06:00"},
            {**always, "name": "day", "price": "0.29", "begin": "00:00", "end": "24:00"},
        ],
        "standing": [{"name": "meter", "price": "0.55", "per": "day"}],
        "demand": {"name": "peak", "price": "11.50", "minutes": 15, "free": "0"},
        "holidays": [],
    }


if __name__ == "__main__":
    found = run("--full" not in sys.argv)
    for row in found:
        print(f"{row['name']:<60}{row['ms']:>9.1f} ms, floor {row['floor_ms']:.1f} ms, {row['ratio']:.2f} of it")
    print(json.dumps(found))
