"""Commands: messages are pure, any bytes are safe as an answer, and simulated devices do as they are told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from greenpower.datatype import Command, DataType, Frame, FrameError, Message, Order
from greenpower.datatype.command import Value
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, short, shown
from greenpower.kit.rules.safety import bad_payloads

COMMAND_TIME = datetime(2026, 1, 12, 16, 39, tzinfo=UTC)
DEVICE = "DEVICE-12345678"
OPERATIONS = ("0" * 31 + "1", "0" * 31 + "2")


def check_commands(plugin: Plugin) -> Iterator[Problem]:
    """Every command with each choice of its parameters."""
    for datatype in plugin.datatypes:
        for command in datatype.commands:
            for parameters in command.examples():
                if fault := _fault(datatype, command, parameters):
                    yield Problem(
                        place=f"{shown(plugin.folder)}: {datatype.name}, command {command.name}",
                        found=fault,
                        expected="a pure message, an answer that is read or refused, a simulated device that obeys",
                        do="make build=, read_answer=, read_back= and simulated_response= fit each other",
                    )
                    break


def _fault(datatype: DataType, command: Command, parameters: dict[str, Value]) -> str:
    if wrong := command.problems(parameters):
        return f"{short(parameters)} is refused: {short(wrong)}"
    order, asking = (
        Order(device_id=DEVICE, operation=name, at=COMMAND_TIME, parameters=parameters) for name in OPERATIONS
    )
    try:
        told = command.build(order)
        if told != command.build(order):
            return "the same order gives another message the second time"
    except Exception as error:  # foreign code: this is what is looked for
        return f"build raises {type(error).__name__}: {short(str(error), 80)}"
    return _unsafe(datatype, command) or _disobeyed(datatype, command, told, order, asking)


def _unsafe(datatype: DataType, command: Command) -> str:
    for payload in bad_payloads(datatype).values():
        try:
            command.read_answer(Frame(topic=command.answer, payload=payload))
        except FrameError:
            continue
        except Exception as error:  # foreign code: this is what is looked for
            return f"read_answer raises {type(error).__name__} on {short(payload, 80)}"
    return ""


def _disobeyed(datatype: DataType, command: Command, told: Message, order: Order, asking: Order) -> str:
    """What is wrong with a simulated device's way to take a command; nothing where none is declared."""
    simulated_response = datatype.simulated_response
    if simulated_response is None:
        return ""
    steps = [(told, order, command.answer)]
    if command.read_back is not None:
        steps.append((command.read_back.build(asking), asking, command.read_back.answer))
    memory: dict[str, str] = {}
    for message, sent, topic in steps:
        if message.topic not in simulated_response.topics(DEVICE):
            return f"a simulated device does not listen to {message.topic}"
        heard = [answer for answer in simulated_response.obey(DEVICE, memory, message) if answer.topic == topic]
        if not heard:
            return f"a simulated device answers nothing on {topic}"
        answer = command.read_answer(Frame(topic=topic, payload=heard[0].payload))
        if (answer.device_id, answer.operation, answer.ok) != (DEVICE, sent.operation, True):
            return f"the answer is read as {short(answer)}"
        if sent is asking and command.read_back is not None:
            return command.read_back.problem(order.parameters, answer)
    return ""
