"""The newest reading of each device in Redis: written and told in one step, so that a late one never wins."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from redis.asyncio import Redis

from greenpower.bus.keys import WHOLE, latest_key, reading_channel, status_key
from greenpower.bus.message import STAMP_LENGTH, Message, stamp

# Ids come from outside: a sender that invents them must not fill Redis.
MOST_DEVICES = 100_000
# Of one reading, all its parts. What is longer is told but not kept.
MAX_KEPT_BYTES = 128 * 1024
# What is newer may be of a device that was heard a moment ago and is not among those seen yet.
NOT_SEEN_YET = timedelta(hours=1)

# KEYS: hash, marker. ARGV: channel, type, most devices, most bytes, "whole" or "", then device, stamp, text for each.
# Returns whether the marker is there. Stamps are of one length, so comparing them as texts is comparing times.
# What is whole comes before the parts that are kept, so that its values win: a part may have been stored and told after
# the whole was read from MongoDB.
SCRIPT = """
local told = {}
local room = tonumber(ARGV[3]) - redis.call('HLEN', KEYS[1])
for i = 6, #ARGV, 3 do
  local device, stamp, text = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local old = redis.call('HGET', KEYS[1], device)
  local value = nil
  if not old then
    if room > 0 then
      room = room - 1
      value = stamp .. text
    end
  else
    local at = string.sub(old, 1, 24)
    if stamp > at then
      value = stamp .. text
    elseif stamp == at and ARGV[5] == 'whole' then
      value = old
      if string.sub(old, 25, 24 + #text) ~= text then
        value = stamp .. text .. '\\n' .. string.sub(old, 25)
      end
    elseif stamp == at then
      value = old .. '\\n' .. text
    end
  end
  if value then
    if #value <= tonumber(ARGV[4]) then
      redis.call('HSET', KEYS[1], device, value)
    end
    told[#told + 1] = text
  end
end
if #told > 0 then
  redis.call('PUBLISH', ARGV[1], '{"type":"' .. ARGV[2] .. '","readings":[' .. table.concat(told, ',') .. ']}')
end
return redis.call('EXISTS', KEYS[2])
"""


class Latest:
    """Writes newest readings. `redis` is the caller's, who closes it."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(SCRIPT)

    async def put(self, type_name: str, readings: Iterable[Message], *, whole: bool = False) -> bool:
        """Keep and tell those that are not older than what is kept; one message for all. Raises RedisError.

        A reading of the same time is a further part of it, or with `whole` what MongoDB had of it a moment ago. Returns
        whether Redis holds the newest readings of all devices, as far as it knows.
        """
        arguments: list[Any] = [
            reading_channel(type_name),
            type_name,
            MOST_DEVICES,
            MAX_KEPT_BYTES,
            "whole" if whole else "",
        ]
        for reading in readings:
            arguments += (reading["device_id"], reading["timestamp"], orjson.dumps(reading))
        return bool(await self._script(keys=[latest_key(type_name), WHOLE], args=arguments))


async def forget_gone(redis: Redis, type_name: str, known: set[str], now: datetime) -> int:
    """Drop what is kept of devices that are not known any more. Returns how many. Raises RedisError."""
    hashes = cast(Any, redis)  # its types are those of both kinds of client
    old = stamp(now - NOT_SEEN_YET).encode()
    gone = [key for key in await hashes.hkeys(latest_key(type_name)) if key.decode("utf-8", "replace") not in known]
    if gone:
        values = await hashes.hmget(latest_key(type_name), gone)
        gone = [key for key, value in zip(gone, values, strict=True) if (value or b"")[:STAMP_LENGTH] < old]
    if gone:
        await hashes.hdel(latest_key(type_name), *gone)
    unseen = [key for key in await hashes.hkeys(status_key(type_name)) if key.decode("utf-8", "replace") not in known]
    if unseen:
        await hashes.hdel(status_key(type_name), *unseen)
    return len({*gone, *unseen})
