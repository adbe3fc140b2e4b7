"""The newest reading of each device in Redis: written and told in one step, so that a late one never wins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from greenpower.bus.foreign_key import ForeignKeys, is_wrong_type
from greenpower.bus.keys import WHOLE, latest_key, reading_channel, status_key
from greenpower.bus.message import Message, merge_values, read_latest, read_stamp

# Ids come from outside: a sender that invents them must not fill Redis.
MAX_DEVICES_PER_TYPE = 100_000
# Of one reading, all its parts. What is longer is told but not kept.
MAX_KEPT_BYTES = 128 * 1024
# What is newer may be of a device that was heard a moment ago and is not among those seen yet.
NOT_SEEN_YET = timedelta(hours=1)

# KEYS: hash, marker. ARGV: channel, type, most devices, most bytes, "whole", "merged" or "", then for each
# device, stamp, text.
# Returns whether the marker is there. Stamps are of one length, so comparing them as texts is comparing times.
# A value that does not begin with a stamp is not ours and is replaced.
# What is whole comes before the parts that are kept, so that its values win: a part may have been stored and told after
# the whole was read from MongoDB.
SCRIPT = """
local told = {}
local room = tonumber(ARGV[3]) - redis.call('HLEN', KEYS[1])
for i = 6, #ARGV, 3 do
  local device, stamp, text = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local old = redis.call('HGET', KEYS[1], device)
  local value = nil
  if old and not string.match(old, '^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ') then
    value = stamp .. text
  elseif not old then
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
    elseif stamp == at and ARGV[5] == 'merged' then
      value = stamp .. text
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
    """Writes newest readings. `redis` is the caller's, who closes it. foreign: deletes a key of another Redis type."""

    def __init__(self, redis: Redis, foreign: ForeignKeys | None = None) -> None:
        self._redis = redis
        self._script = redis.register_script(SCRIPT)
        self._foreign = foreign or ForeignKeys(redis)

    async def put_merged(self, type_name: str, readings: Sequence[Message]) -> bool:
        """As `put`, for types whose values come one by one: with the newest value of each field, and its time."""
        hashes = cast(Any, self._redis)
        devices = [reading["device_id"] for reading in readings]
        try:
            kept = await hashes.hmget(latest_key(type_name), devices) if devices else []
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            kept = [None] * len(devices)
        merged = [
            reading if old is None or (before := _read(old)) is None else merge_values(before, reading)
            for reading, old in zip(readings, kept, strict=True)
        ]
        return await self._put(type_name, merged, "merged")

    async def put(self, type_name: str, readings: Iterable[Message], *, whole: bool = False) -> bool:
        """Keep and tell those that are not older than what is kept; one message for all. Raises RedisError.

        A reading of the same time is a further part of it, or with `whole` what MongoDB had of it a moment ago. Returns
        whether Redis holds the newest readings of all devices, as far as it knows.
        """
        return await self._put(type_name, readings, "whole" if whole else "")

    async def _put(self, type_name: str, readings: Iterable[Message], mode: str) -> bool:
        arguments: list[Any] = [reading_channel(type_name), type_name, MAX_DEVICES_PER_TYPE, MAX_KEPT_BYTES, mode]
        for reading in readings:
            arguments += (reading["device_id"], reading["timestamp"], orjson.dumps(reading))
        keys = [latest_key(type_name), WHOLE]
        try:
            return bool(await self._script(keys=keys, args=arguments))
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
        # The marker goes too: what the key should have held of other devices is missing.
        await self._foreign.delete(*keys)
        return bool(await self._script(keys=keys, args=arguments))


def _read(value: bytes) -> Message | None:
    """A newest reading as Redis keeps it; None where it is not ours."""
    try:
        return read_latest(value)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


async def forget_gone(redis: Redis, type_name: str, known: set[str], now: datetime) -> int:
    """Drop what is kept of devices that are not known any more. Returns how many. Raises RedisError.

    A value whose stamp cannot be read is dropped too.
    """
    hashes = cast(Any, redis)  # its types are those of both kinds of client
    old = now - NOT_SEEN_YET
    gone = [key for key in await hashes.hkeys(latest_key(type_name)) if key.decode("utf-8", "replace") not in known]
    if gone:
        values = await hashes.hmget(latest_key(type_name), gone)
        gone = [key for key, value in zip(gone, values, strict=True) if is_older(value, old)]
    if gone:
        await hashes.hdel(latest_key(type_name), *gone)
    unseen = [key for key in await hashes.hkeys(status_key(type_name)) if key.decode("utf-8", "replace") not in known]
    if unseen:
        await hashes.hdel(status_key(type_name), *unseen)
    return len({*gone, *unseen})


def is_older(value: bytes | None, limit: datetime) -> bool:
    """Whether a newest reading as Redis keeps it is older than a time, or has no stamp that can be read."""
    at = read_stamp(value or b"")
    return at is None or at < limit
