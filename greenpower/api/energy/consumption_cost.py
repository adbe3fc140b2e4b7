"""What a question for energy may cost.

What belongs here: the limits, and the answer 422 that says what to ask instead. What does not: what a question reads
(`greenpower.mongo.energy`), waiting for a turn (`greenpower.api.http.turns`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from greenpower.api.http.errors import abort_query

MAX_BUCKETS = 1_000
# A bucket of a device is a row.
MAX_ROWS_PER_ANSWER = 50_000
# Days and months of the interval ledger.
MAX_LEDGER_DOCUMENTS = 40_000
# Of the time that the ledger has not come to yet.
MAX_RECENT_READINGS = 100_000


def check_buckets(count: float, unit: str) -> None:
    """Abort with 422 for a range of more buckets than one answer has."""
    if count > MAX_BUCKETS:
        text = f"The range has about {count:.0f} buckets of a {unit}; at most {MAX_BUCKETS} are allowed."
        abort_query("start_time", f"{text} Ask for a shorter range or a longer bucket.")


def check_rows(buckets: int, devices: int) -> None:
    """Abort with 422 for more rows than one answer has."""
    if buckets * devices > MAX_ROWS_PER_ANSWER:
        text = f"{buckets} buckets of {devices} devices are more than {MAX_ROWS_PER_ANSWER} rows."
        abort_query("device_id", f"{text} {_ask_for(MAX_ROWS_PER_ANSWER, buckets)}")


def check_documents(needed: int, devices: int) -> None:
    """Abort with 422 where too much of the ledger would be read."""
    if needed > MAX_LEDGER_DOCUMENTS:
        text = f"This reads up to {needed} days and months; at most {MAX_LEDGER_DOCUMENTS} are allowed."
        abort_query("device_id", f"{text} {_ask_for(MAX_LEDGER_DOCUMENTS, max(1, needed // devices))}")


def check_readings(count: int, made_until: datetime | None) -> None:
    """Abort with 422 where too many readings are not in the ledger yet. made_until: up to where it is made; None where
    it has not been begun, or the type has none."""
    if count <= MAX_RECENT_READINGS:
        return
    text = f"More than {MAX_RECENT_READINGS} readings of this range have to be added up."
    if made_until is None:
        abort_query("device_id", f"{text} Ask for fewer devices or a shorter range.")
    until = made_until.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    text = f"{text} Energy is ready up to {until}: ask with end_time={until} or earlier, or for fewer devices."
    abort_query("end_time", text)


def _ask_for(most: int, each: int) -> str:
    devices = most // each
    if devices:
        return f"Ask for at most {devices} devices at once, for a shorter range or for longer buckets."
    return "Ask for a shorter range or for longer buckets."
