"""What goes wrong between a device's reading and the broker, as it was seen on real meters.

What belongs here: the faults by name, and a sender that applies them. What does not: how registers are wrong
(`register_fault`), sockets.
Faults are drawn from the seed, the device and the time, so a run can be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from greenpower.datatype import Sample
from greenpower.simulator.device import Packet, SimulatedDevice
from greenpower.simulator.garbage import garbage
from greenpower.simulator.register_fault import REGISTER_FAULTS, misread, register_faults

FAULTS = {
    "duplicates": "a frame, or an answer of a gateway, is sent two or three times",
    "zero": "a frame is followed by an all-zero copy with the same id and time",
    "clock": "the clock of every fourth device is in 2005, and of another fourth ten minutes slow",
    "split": "a device sends several packets instead of one; a gateway sends byte by byte",
    "reorder": "packets of a reading are sent in any order, some between those of other devices; a gateway "
    "joins its answer and its next heartbeat",
    "drop": "a packet is not sent; an answer is missing or cut off, and some gateways then connect again",
    "garbage": "frames without a reading are sent in between; a gateway sends noise, or exceptions as answers",
    **REGISTER_FAULTS,
}
#: the share of readings that have a fault; `clock` and those of registers are faults of devices instead
FAULTY_READING_SHARE = 0.15
CLOCK_RESET = timedelta(days=7670)  # 2026-01-01 becomes 2005-01-01
CLOCK_LAG = timedelta(minutes=10)


class Sender:
    """Makes the packets that are sent for readings, some of them with faults.

    `counts` has how often there was each fault. With `reorder` some packets are held back until the next readings or
    `flush`.
    """

    def __init__(self, faults: Iterable[str] = (), seed: int = 0, wiring: str = "") -> None:
        """wiring: one of `WIRING_FAULTS`, which all devices have then."""
        self.faults = frozenset(faults)
        self.counts: Counter[str] = Counter()
        self.seed = seed
        self.wiring = wiring
        self._held: list[Packet] = []
        self._sent: dict[tuple[str, str], datetime] = {}

    def send(self, device: SimulatedDevice, at: datetime) -> list[Packet]:
        """The packets to send now, in order, for the reading of a device at a time (aware)."""
        since = self._sent.get((device.datatype.name, device.device_id))
        self._sent[device.datatype.name, device.device_id] = at
        sample = device.sample(at, since)
        if self.wiring:
            sample = replace(sample, values=device.measure_rewired(at, since, self.wiring))
        if registers := register_faults(self.faults):
            values, struck = misread(
                device.datatype, device.device_id, at, lambda time: self._measure(device, time, since), registers
            )
            sample = replace(sample, values=values)
            self.counts.update(struck)
        if not self.faults:
            return device.send(sample)
        random = Random(f"{self.seed}/{device.datatype.name}/{device.device_id}/{at.timestamp()}")
        good = device.send(self._with_faults(device, sample, random))
        if self._has("drop", random):
            del good[random.randrange(len(good))]
        if self._has("duplicates", random) and good:
            place = random.randrange(len(good))
            good[place:place] = [good[place]] * random.choice((1, 1, 2))
        if device.datatype.anchors and self._has("zero", random):
            zeros = replace(sample, values=dict.fromkeys(sample.values, 0.0), packets=1)
            place = random.randint(0, len(good))
            good[place:place] = device.send(zeros)
        if self._has("garbage", random):
            good.insert(random.randint(0, len(good)), (device.topic, garbage(random, device.datatype)))
        if "reorder" in self.faults:
            return self._reordered(good, random)
        return good

    def _measure(self, device: SimulatedDevice, at: datetime, since: datetime | None) -> Mapping[str, float]:
        return device.measure_rewired(at, since, self.wiring) if self.wiring else device.measure(at, since)

    def flush(self) -> list[Packet]:
        """The packets that were held back."""
        held, self._held = self._held, []
        return held

    def _has(self, fault: str, random: Random) -> bool:
        """Whether a reading has a fault. Also draws for a fault that is off, so that the others stay as they are."""
        struck = random.random() < FAULTY_READING_SHARE and fault in self.faults
        self.counts[fault] += struck
        return struck

    def _with_faults(self, device: SimulatedDevice, sample: Sample, random: Random) -> Sample:
        if "clock" in self.faults and device.number % 4 in (1, 3):
            self.counts["clock"] += 1
            sample = replace(sample, stamp=sample.stamp - (CLOCK_RESET if device.number % 4 == 1 else CLOCK_LAG))
        packets = random.randint(2, 5)
        if device.model.packets == 1 and self._has("split", random):
            sample = replace(sample, packets=packets)
        return sample

    def _reordered(self, packets: list[Packet], random: Random) -> list[Packet]:
        """Shuffle what comes now with what was held back, and hold some of it back."""
        mixed = [*self.flush(), *packets]
        if self._has("reorder", random):
            random.shuffle(mixed)
            keep = random.randint(0, len(packets) // 2)
            mixed, self._held = mixed[: len(mixed) - keep], mixed[len(mixed) - keep :]
        return mixed
