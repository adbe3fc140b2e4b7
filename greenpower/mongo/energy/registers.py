"""Reading the states of one counter: from buckets by the start of their window, from readings with others around."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from greenpower.measure.counter.dip_filter import SAMPLES_AHEAD, SAMPLES_BEFORE
from greenpower.measure.counter.rules import CounterRules, OperatorDecision
from greenpower.measure.counter.state import merge_counters
from greenpower.measure.roll import roll
from greenpower.measure.spec import Spec
from greenpower.measure.state import State
from greenpower.measure.windows import done_before, spans
from greenpower.mongo.client import Document
from greenpower.mongo.energy.interval_plan import Piece
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.rollups.source import MAX_LOOK_BACK, neighbours
from greenpower.mongo.rollups.tier_view import TierView

# With more stretches than this the query lists the starts of windows instead.
MAX_STRETCHES_PER_QUERY = 4
PIECES_PER_QUERY = 100
MAX_PIECE_SPAN = timedelta(days=1)
DOCUMENTS_PER_BATCH = 5_000

Key = tuple[str, Piece]


@dataclass(frozen=True, slots=True)
class PieceState:
    """The state of a counter in a piece. settled: whether no later sample can change it."""

    state: State
    settled: bool


class Registers:
    """Reads one counter of a type. Raises PyMongoError."""

    def __init__(
        self,
        db: Database[Document],
        spec: Spec,
        name: str,
        decisions: dict[str, dict[str, OperatorDecision]],
        now: datetime,
    ):
        self.db = db
        self.spec = spec
        self.name = name
        self.decisions = decisions
        self.now = now

    def rules(self, device: str) -> CounterRules:
        """The rules of this counter of a device."""
        return self.spec.rules(self.name, self.decisions.get(device, {}))

    def read(self, devices: Sequence[str], pieces: Iterable[Piece]) -> dict[Key, PieceState]:
        """The states of pieces of some devices; those without a sample that counts are left out."""
        found: dict[Key, PieceState] = {}
        tier_views: defaultdict[TierView, dict[datetime, Piece]] = defaultdict(dict)
        stretches = []
        for piece in dict.fromkeys(pieces):
            if piece.tier_view.window is None:
                stretches.append(piece)
            else:
                tier_views[piece.tier_view][piece.begin] = piece
        for tier_view, starts in tier_views.items():
            self._buckets(tier_view, starts, devices, found)
        for device in devices:
            for first in range(0, len(stretches), PIECES_PER_QUERY):
                self._readings(device, stretches[first : first + PIECES_PER_QUERY], found)
        return found

    def _buckets(
        self, tier_view: TierView, starts: dict[datetime, Piece], devices: Sequence[str], found: dict[Key, PieceState]
    ) -> None:
        assert tier_view.window is not None
        ranges = spans(starts, tier_view.window)
        times: list[Document] = [{"timestamp": {"$gte": begin, "$lt": end}} for begin, end in ranges]
        if len(ranges) > MAX_STRETCHES_PER_QUERY:
            times = [{"timestamp": {"$in": list(starts)}}]
        shown = {"_id": 0, "device_id": 1, "timestamp": 1, "final": 1, f"stats.{self.name}": 1}
        for time in times:
            with pymongo.timeout(QUERY_SECONDS):
                query = {"device_id": {"$in": list(devices)}, **time}
                for document in self.db[tier_view.collection].find(query, shown).batch_size(DOCUMENTS_PER_BATCH):
                    state = document["stats"].get(self.name)
                    if state and "correction" in state:
                        place = (document["device_id"], starts[document["timestamp"]])
                        found[place] = PieceState(state, document["final"])

    def _readings(self, device: str, stretches: Sequence[Piece], found: dict[Key, PieceState]) -> None:
        if not stretches:
            return
        value = f"payload.{self.name}"
        shown: Document = {"$project": {"_id": 0, "timestamp": 1, value: 1}}

        def lookup(name: str, within: list[Document], order: int, limit: int | None) -> Document:
            match = {"device_id": device, value: {"$type": "number"}, "$expr": {"$and": within}}
            stages: list[Document] = [{"$match": match}, {"$sort": {"timestamp": order}}]
            stages += [shown] if limit is None else [{"$limit": limit}, shown]
            variables = {"begin": "$begin", "end": "$end", "behind": "$behind", "ahead": "$ahead"}
            source = stretches[0].tier_view.collection
            return {"$lookup": {"from": source, "let": variables, "pipeline": stages, "as": name}}

        def span(begin: str, end: str) -> list[Document]:
            return [{"$gte": ["$timestamp", f"$${begin}"]}, {"$lt": ["$timestamp", f"$${end}"]}]

        pipeline: list[Document] = [
            {"$documents": [cut for index, piece in enumerate(stretches) for cut in _cut(index, piece)]},
            lookup("before", span("behind", "begin"), DESCENDING, SAMPLES_BEFORE),
            lookup("inside", span("begin", "end"), ASCENDING, None),
            lookup("after", span("end", "ahead"), ASCENDING, SAMPLES_AHEAD),
        ]
        states: defaultdict[int, list[State]] = defaultdict(list)
        open_pieces = set()
        with pymongo.timeout(QUERY_SECONDS):
            for row in self.db.aggregate(pipeline):
                documents = [*reversed(row["before"]), *row["inside"], *row["after"]]
                state, settled = self._roll(device, documents, row["begin"], row["end"])
                if state is not None:
                    states[row["piece"]].append(state)
                if not settled:
                    open_pieces.add(row["piece"])
        for index, several in states.items():
            merged = merge_counters(several, self.rules(device))
            found[device, stretches[index]] = PieceState(merged, index not in open_pieces)

    def _roll(
        self, device: str, documents: Sequence[Document], begin: datetime, end: datetime
    ) -> tuple[State | None, bool]:
        """The state of `[begin, end)`; `begin` is a whole second."""
        rolled = roll(
            [document["timestamp"] for document in documents],
            [document["payload"] for document in documents],
            begin=begin,
            end=end,
            # Windows as long as that begin at `begin`, and there is one.
            length=int(begin.timestamp()),
            spec=self.spec,
            settled_before=done_before(self.now, None),
            decisions=self.decisions.get(device, {}),
        )
        states = [bucket.stats[self.name] for bucket in rolled.buckets if self.name in bucket.stats]
        settled = all(bucket.settled for bucket in rolled.buckets)
        return (merge_counters(states, self.rules(device)) if states else None), settled

    def before(self, device: str, time: datetime, tier_views: Sequence[TierView]) -> State | None:
        """The last sample that counts before a time, as a state; None where there is none within `MAX_LOOK_BACK`."""
        readings, *tiers = tier_views
        if tiers and tiers[-1].done_until is not None and tiers[-1].done_until >= time:
            query: Document = {"device_id": device, "timestamp": {"$lt": time, "$gte": time - MAX_LOOK_BACK}}
            query[f"stats.{self.name}.correction"] = {"$exists": True}
            with pymongo.timeout(QUERY_SECONDS):
                found = self.db[tiers[-1].collection].find_one(query, sort=[("timestamp", DESCENDING)])
            return None if found is None else found["stats"][self.name]
        with pymongo.timeout(QUERY_SECONDS):
            source = self.db[readings.collection]
            near = neighbours(source, device, time, 2 * SAMPLES_BEFORE, before=True, field=self.name)
            after = neighbours(source, device, time, SAMPLES_AHEAD, before=False, field=self.name)
        if not near:
            return None
        return self._roll(device, [*near, *after], near[0]["timestamp"].replace(microsecond=0), time)[0]


def _cut(index: int, piece: Piece) -> Iterable[Document]:
    """A stretch in parts that one document can hold the readings of."""
    begin = piece.begin
    while begin < piece.end:
        end = min(piece.end, begin + MAX_PIECE_SPAN)
        yield {
            "piece": index,
            "begin": begin,
            "end": end,
            "behind": begin - MAX_LOOK_BACK,
            "ahead": end + MAX_LOOK_BACK,
        }
        begin = end
