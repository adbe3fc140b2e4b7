"""Simulated gateways talk with the dialogue that ingest talks with, over real sockets too."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType, Dialogue, Frame, FrameError
from greenpower.datatype.check import Checker
from greenpower.simulator.delivery import FAULTS, deliver
from greenpower.simulator.device import CannotSimulate
from greenpower.simulator.dial import Dialler
from greenpower.simulator.gateway import Requests, SimulatedGateway, make_gateways
from tests.simulator.sample import EVENING, ZONE

TYPES = [datatype for datatype in get_registry() if datatype.gateways]
SOLAR = get_registry()["solar"]


def dialogue_of(datatype: DataType) -> Dialogue:
    (claim,) = datatype.gateways
    return claim.dialogue(claim)


def payload_of(datatype: DataType, gateway: str, frame: bytes) -> dict[str, float]:
    (reading,) = datatype.parse(Frame(topic="", payload=frame, device=gateway))
    payload, left_out = Checker(datatype).check(reading.values)
    assert not left_out
    return payload


@pytest.mark.parametrize("datatype", TYPES, ids=lambda datatype: datatype.name)
def test_a_round_of_answers_is_what_the_meter_measures(datatype: DataType) -> None:
    for gateway in make_gateways(datatype, 3, 0, ZONE):
        talk = dialogue_of(datatype)
        requests = Requests()
        ends = []
        for turn in range(len(gateway.poll.requests)):
            talk.receive(gateway.heartbeat, turn)
            (request,) = requests.receive(talk.take_output())
            ends.append(gateway.is_last(request))
            talk.receive(gateway.answer(request, EVENING), turn)
        assert talk.device_id == gateway.device_id
        assert ends == [False] * (len(ends) - 1) + [True]
        ((frame, _),) = talk.take_frames()
        payload = payload_of(datatype, gateway.device_id, frame)
        assert set(payload) == {field.name for field in datatype.fields}
        assert not talk.take_notes()


def test_values_are_a_plausible_meter() -> None:
    (gateway,) = make_gateways(SOLAR, 1, 0, ZONE)
    noon = gateway.measured.at(1.8e9 - 1.8e9 % 86_400 + 12 * 3600)
    night = gateway.measured.at(1.8e9 - 1.8e9 % 86_400 + 2 * 3600)
    assert noon["active_power_a"] > 1 and night["active_power_a"] == 0
    assert noon["active_energy_delivered"] > night["active_energy_delivered"] > 1e6


def test_a_request_that_nobody_declared_is_an_exception() -> None:
    (gateway,) = make_gateways(SOLAR, 1, 0, ZONE)
    assert gateway.answer(bytes.fromhex("000100000006010300000001"), EVENING) == bytes.fromhex("000100000003018302")


def test_requests_are_cut_wherever_the_stream_is() -> None:
    stream = bytes(range(36))
    requests = Requests()
    found = [request for byte in stream for request in requests.receive(bytes([byte]))]
    assert found == Requests().receive(stream) == [stream[:12], stream[12:24], stream[24:]]


def test_simulated_gateways_stay_out_of_the_way_of_a_sites() -> None:
    few = [gateway.device_id for gateway in make_gateways(SOLAR, 5, 0, ZONE)]
    assert few == ["GWCCCL9001", "GWCCCL9002", "GWCCCL9003", "GWCCCL9004", "GWCCCL9005"]
    many = {gateway.device_id for gateway in make_gateways(SOLAR, 2000, 0, ZONE)}
    assert len(many) == 2000 and all(name.startswith("GWCCCL") and len(name) == 10 for name in many)


def test_a_type_without_gateways_is_refused() -> None:
    with pytest.raises(CannotSimulate, match=r"^rt: "):
        make_gateways(get_registry()["rt"], 1, 0, ZONE)


def deliveries(*faults: str) -> tuple[Counter[str], set[int], list[bytes]]:
    """How often there was each fault, how many writes there were, and what they say together."""
    (gateway,) = make_gateways(SOLAR, 1, 0, ZONE)
    random = Random(4)
    counts: Counter[str] = Counter()
    writes, streams = set(), []
    for number in range(300):
        request = gateway.poll.requests[number % 3].encoded
        delivery = deliver(gateway, request, EVENING, set(faults), random)
        counts.update(delivery.faults)
        writes.add(len(delivery.writes))
        streams.append(b"".join(delivery.writes))
    return counts, writes, streams


def test_faults_of_gateways_do_what_they_say() -> None:
    faults, writes, good = deliveries()
    assert not faults and writes == {1}
    faults, writes, streams = deliveries("split")
    assert streams == good and writes == {1} | {len(answer) for answer in good}
    faults, _, streams = deliveries("reorder")
    assert sum(stream.endswith(b"GWCCCL9001") for stream in streams) == faults["reorder"] > 10
    faults, _, streams = deliveries("duplicates")
    assert {len(stream) // len(answer) for stream, answer in zip(streams, good, strict=True)} == {1, 2, 3}
    faults, _, streams = deliveries("drop")
    assert sum(len(stream) < len(answer) for stream, answer in zip(streams, good, strict=True)) == faults["drop"] > 10
    faults, _, streams = deliveries("garbage")
    assert sum(stream[7:8] == b"\x83" for stream in streams) > 5
    assert sum(stream != answer for stream, answer in zip(streams, good, strict=True)) == faults["garbage"] > 10


class Server:
    """A TCP server that talks as ingest does, and keeps what it read."""

    def __init__(self, datatype: DataType) -> None:
        self.datatype = datatype
        self.frames: list[tuple[str, bytes]] = []
        self.refused: list[str] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        talk = dialogue_of(self.datatype)
        loop = asyncio.get_running_loop()
        try:
            while data := await reader.read(4096):
                talk.receive(data, loop.time())
                self.frames += [(talk.device_id or "", frame) for frame, _ in talk.take_frames()]
                writer.write(talk.take_output())
                await writer.drain()
        except FrameError as error:
            self.refused.append(error.reason)
        except OSError:
            pass
        finally:
            writer.close()


async def dialled(gateways: list[SimulatedGateway], rounds: int, faults: set[str]) -> tuple[Server, list[str]]:
    """Run gateways against a server until each had so many rounds, or for a time at most."""
    server = Server(SOLAR)
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    ended: list[str] = []
    tasks = []
    for gateway in gateways:
        dialler = Dialler(
            gateway=gateway, host="127.0.0.1", port=port, heartbeat_seconds=0.01, faults=faults,
            on_round=lambda name=gateway.device_id: ended.append(name),  # type: ignore[misc]
        )  # fmt: skip
        tasks.append(asyncio.create_task(dialler.run()))
    try:
        async with asyncio.timeout(60):
            while min(Counter(name for name, _ in server.frames)[item.device_id] for item in gateways) < rounds:
                await asyncio.sleep(0.01)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listening.close()
        await listening.wait_closed()
    return server, ended


def test_gateways_dial_in_and_answer() -> None:
    gateways = make_gateways(SOLAR, 4, 0, ZONE)
    server, ended = asyncio.run(dialled(gateways, 5, set()))
    assert server.connections == 4
    assert not server.refused
    assert Counter(ended) >= Counter(name for name, _ in server.frames)
    now = datetime.now(UTC)
    for name, frame in server.frames:
        gateway = next(gateway for gateway in gateways if gateway.device_id == name)
        energy = payload_of(SOLAR, name, frame)["active_energy_delivered"]
        east = 6 * 3600
        assert energy == pytest.approx(gateway.measured.at(now.timestamp() + east)["active_energy_delivered"], rel=1e-4)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "drop"])
def test_the_talk_survives_a_fault(fault: str) -> None:
    gateways = make_gateways(SOLAR, 2, 0, ZONE)
    server, _ = asyncio.run(dialled(gateways, 10, {fault}))
    for name, frame in server.frames:
        payload_of(SOLAR, name, frame)


def test_a_gateway_dials_anew_when_the_server_hangs_up() -> None:
    async def go() -> int:
        calls = 0
        again = asyncio.Event()

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal calls
            calls += 1
            if calls == 3:
                again.set()
            await reader.read(10)
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
            (gateway,) = make_gateways(SOLAR, 1, 0, ZONE)
            port = listening.sockets[0].getsockname()[1]
            dialler = Dialler(
                gateway=gateway, host="127.0.0.1", port=port, heartbeat_seconds=0.01, on_round=lambda: None
            )
            task = asyncio.create_task(dialler.run())
            async with asyncio.timeout(60):
                await again.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return calls

    assert asyncio.run(go()) >= 3
