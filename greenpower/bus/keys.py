"""The keys and channels in Redis, all of them, but for those of the job queue.

| name | what |
|---|---|
| `greenpower:latest:type:<type>` | hash, device id -> newest reading: stamp, then its parts, a line of JSON each |
| `greenpower:latest:whole` | there while those hashes hold the newest of every device; gone when Redis lost them |
| `greenpower:latest:rebuilding` | held by the process that fills them from MongoDB |
| `greenpower:status:<type>` | hash, device id -> status message |
| `greenpower:homeassistant` | hash, topic -> hash of the message that the broker retains there; and the mark |
| `greenpower:notify:woken` | there from when the job that sends notices was woken until it looks |
| `greenpower:alarms:wanted` | there while there is something for the evaluator of alarms to do |
| `greenpower:alarm` | channel: a list of alarm messages |
| `greenpower:outbound:woken` | the same, of the job that serves outbound targets |
| `greenpower:reading:<type>` | channel: `{"type", "readings": [reading message, …]}` |
| `greenpower:status` | channel: a list of status messages |

Logins that have ended are in `greenpower.bus.revocation`, who may see which devices in `greenpower.bus.visibility`,
counts of jobs in `greenpower.bus.job_counts`.
"""

from __future__ import annotations

PREFIX = "greenpower:"
WHOLE = PREFIX + "latest:whole"
REBUILDING = PREFIX + "latest:rebuilding"
STATUS_CHANNEL = PREFIX + "status"
HOMEASSISTANT = PREFIX + "homeassistant"
NOTIFY_WOKEN = PREFIX + "notify:woken"
ALARMS_WANTED = PREFIX + "alarms:wanted"
ALARM_CHANNEL = PREFIX + "alarm"
OUTBOUND_WOKEN = PREFIX + "outbound:woken"


def latest_key(type_name: str) -> str:
    """The hash of a type's newest readings."""
    # With `type:`, so that no data type is called like one of the marks.
    return f"{PREFIX}latest:type:{type_name}"


def status_key(type_name: str) -> str:
    """The hash of a type's statuses."""
    return f"{PREFIX}status:{type_name}"


def reading_channel(type_name: str) -> str:
    """The channel of a type's readings."""
    return f"{PREFIX}reading:{type_name}"
