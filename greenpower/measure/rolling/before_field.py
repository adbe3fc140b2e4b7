"""What a result was before a field was rolled up: to leave the field out again, where it needs more samples before.

Such a field is rolled up once more, with these samples, and added to the rest (`Rolled.add`). What belongs here: all
that a field puts into a result. What does not: which fields are short of samples (the modules of their kinds).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenpower.measure.rolling.stretch import RollStretch


@dataclass(frozen=True, slots=True)
class BeforeField:
    """A result without a field. incidents: their number. settled: of its buckets. revisit, resettle: as in it."""

    incidents: int
    settled: list[bool]
    revisit: set[datetime]
    resettle: set[datetime]

    @classmethod
    def of(cls, stretch: RollStretch) -> BeforeField:
        """The result of a stretch as it is."""
        register, result = stretch.register, stretch.result
        return cls(
            len(result.incidents),
            [bucket.settled for bucket in result.buckets],
            register.revisit.copy(),
            register.resettle.copy(),
        )

    def bring_back(self, stretch: RollStretch, name: str) -> None:
        """Leave out all that has come since, which is of one field, but that it is short of samples."""
        register, result = stretch.register, stretch.result
        register.revisit, register.resettle = self.revisit, self.resettle
        del result.incidents[self.incidents :]
        for bucket, settled in zip(result.buckets, self.settled, strict=True):
            bucket.settled = settled
            for values in (bucket.stats, bucket.payload, bucket.holds):
                values.pop(name, None)
        result.slots.pop(name, None)
        result.open.discard(name)
