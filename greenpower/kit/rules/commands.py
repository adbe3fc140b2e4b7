"""Rule for commands: messages are pure, any bytes are safe as an answer, and simulated devices carry out commands."""

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
    """Every command works with each choice of its parameters."""
    for datatype in plugin.datatypes:
        for command in datatype.commands:
            for parameters in command.examples():
                if problem := _command_problem(datatype, command, parameters):
                    yield Problem(
                        place=f"{shown(plugin.folder)}: {datatype.name}, command {command.name}",
                        found=problem,
                        expected="a pure build, safe answers, and a simulated device that carries out the command",
                        fix="make build=, read_answer=, read_back= and simulated_response= match each other",
                    )
                    break


def _command_problem(datatype: DataType, command: Command, parameters: dict[str, Value]) -> str:
    if wrong := command.problems(parameters):
        return f"the parameters {short(parameters)} are not accepted: {short(wrong)}"
    order, question = (
        Order(device_id=DEVICE, operation=name, at=COMMAND_TIME, parameters=parameters) for name in OPERATIONS
    )
    try:
        message = command.build(order)
        if message != command.build(order):
            return "build gives two different messages for the same order"
    except Exception as error:  # foreign code: this is what the rule looks for
        return f"build raises {type(error).__name__}: {short(str(error), 80)}"
    return _unsafe_answer(datatype, command) or _response_problem(datatype, command, message, order, question)


def _unsafe_answer(datatype: DataType, command: Command) -> str:
    """The first payload that makes read_answer raise anything but FrameError; empty if there is none."""
    for payload in bad_payloads(datatype).values():
        try:
            command.read_answer(Frame(topic=command.answer, payload=payload))
        except FrameError:
            continue
        except Exception as error:  # foreign code: this is what the rule looks for
            return f"read_answer raises {type(error).__name__} on {short(payload, 80)}"
    return ""


def _response_problem(datatype: DataType, command: Command, message: Message, order: Order, question: Order) -> str:
    """What is wrong with the response of a simulated device; empty if nothing is, or if no response is declared."""
    simulated_response = datatype.simulated_response
    if simulated_response is None:
        return ""
    steps = [(message, order, command.answer)]
    if command.read_back is not None:
        steps.append((command.read_back.build(question), question, command.read_back.answer))
    memory: dict[str, str] = {}
    for step, sent, topic in steps:
        if step.topic not in simulated_response.topics(DEVICE):
            return f"a simulated device does not listen to {step.topic}"
        sent_back = [answer for answer in simulated_response.obey(DEVICE, memory, step) if answer.topic == topic]
        if not sent_back:
            return f"a simulated device sends no answer on {topic}"
        answer = command.read_answer(Frame(topic=topic, payload=sent_back[0].payload))
        if (answer.device_id, answer.operation, answer.ok) != (DEVICE, sent.operation, True):
            return f"the answer is read as {short(answer)}"
        if sent is question and command.read_back is not None:
            return command.read_back.problem(order.parameters, answer)
    return ""
