"""The sender, a process: meters with QoS 1 and 0, meters whose clocks step, gateways that are polled over TCP.

Prints one line of JSON at its end: {"seconds", "connections", "ticks": [[device, number, seconds, step, part]],
"rounds": {device: answered}}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

from greenpower.catalog.registry import get_registry
from greenpower.simulator.dial import Dialler
from greenpower.simulator.gateway import make_gateways
from tools.chaos.clocks import Tick, ticks
from tools.chaos.plan import RT, Plan, stamp
from tools.chaos.record import Record
from tools.chaos.sender import Sender

PAUSE = 0.005
LOOSE_EVERY = 50
HEARTBEAT_SECONDS = 0.5


class Generator:
    """Sends a plan at a rate, frames a second at most, and notes what the broker took."""

    def __init__(self, plan: Plan, record: Record, port: int, rate: float) -> None:
        self.plan, self.record, self.rate = plan, record, rate
        self.sender = Sender(port, f"meters-{plan.prefix}")
        self.loose = Sender(port, f"loose-{plan.prefix}")
        self.ended = threading.Event()
        self.rounds: Counter[str] = Counter()
        self.ticks: list[Tick] = []

    def run(self) -> None:
        """Send everything; returns when all of it is acknowledged."""
        began = time.monotonic()
        for count, item in enumerate(self.plan.items()):
            while self.sender.is_full or count > self.rate * (time.monotonic() - began):
                self._collect()
                time.sleep(PAUSE)
            self.record.note_sent(item)  # before it is: a reader must never find more than was sent
            self.sender.send(*self.plan.message(item), item)
            if count % LOOSE_EVERY == 0:
                self._send_loosely(count // LOOSE_EVERY)
            if count % 100 == 0:
                self._collect()
        while self.sender.outstanding:
            self._collect()
            time.sleep(PAUSE)
        self._collect()
        self.ended.set()

    def _collect(self) -> None:
        for item in self.sender.acked():
            self.record.note_acked(item)
        self.loose.acked()
        self.record.totals[3] = self.rounds.total()
        self.record.save()

    def _send_loosely(self, number: int) -> None:
        body = f'{{"id":"33Q{number % 10:010d}","ua":230.5,"time":"{stamp(self.plan.begin + number)}","isend":"1"}}'
        self.loose.send_loosely(RT, body)
        self.record.totals[2] += 1

    def tick(self, port: int) -> None:
        """Send what meters with odd clocks send, until the rest has ended and all of it is acknowledged."""
        sender, last, number = Sender(port, "clocks"), 0, 0
        while not self.ended.is_set() or sender.outstanding:
            now = int(time.time())
            if now > last and not self.ended.is_set():
                last, number = now, number + 1
                for tick in ticks(number, now, self.record.totals[0] / self.plan.frames):
                    self.ticks.append(tick)
                    sender.send(*tick.message(), None)
            sender.acked()
            time.sleep(0.05)
        sender.close()

    async def dial(self, port: int, count: int) -> None:
        """Be polled over TCP until the rest has ended."""
        datatype = next(datatype for datatype in get_registry() if datatype.gateways)
        tasks = []
        for gateway in make_gateways(datatype, count, 0, ZoneInfo("UTC")):

            def on_round(device: str = gateway.device_id) -> None:
                self.rounds[device] += 1

            dialler = Dialler(
                gateway=gateway,
                host="127.0.0.1",
                port=port,
                heartbeat_seconds=HEARTBEAT_SECONDS,
                on_round=on_round,
            )
            tasks.append(asyncio.create_task(dialler.run()))
        while not self.ended.is_set():
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tcp-port", type=int, default=0)
    parser.add_argument("--gateways", type=int, default=0)
    parser.add_argument("--plan", type=json.loads, required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True)
    given = parser.parse_args()
    plan = Plan(**given.plan)
    began = time.monotonic()
    generator = Generator(plan, Record(given.record, 2 * plan.frames), given.port, given.rate)
    others = []
    if given.gateways:
        others.append(threading.Thread(target=generator.tick, args=(given.port,)))
        dialling = generator.dial(given.tcp_port, given.gateways)
        others.append(threading.Thread(target=asyncio.run, args=(dialling,)))
    for thread in others:
        thread.start()
    generator.run()
    for thread in others:
        thread.join()
    generator.sender.close()
    generator.loose.close()
    report = {
        "seconds": time.monotonic() - began,
        "connections": generator.sender.connections,
        "ticks": [[tick.device, tick.number, tick.seconds, tick.step, tick.part] for tick in generator.ticks],
        "rounds": generator.rounds,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
