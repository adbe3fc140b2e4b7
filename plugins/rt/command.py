"""What COMPERE meters can be told: their time, how often they send, a relay. And how simulated ones take it.

Source: COMPERE "MQTT communication protocol" V1.9, downlink. Topics end in the last 8 characters of the meter's id;
`oprid` comes back in the answer, on a topic that all meters share, with `code` `"01"` (done) or `"02"` (failed).
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from greenpower.datatype import (
    Answer,
    Command,
    Frame,
    FrameError,
    Message,
    Obedience,
    Order,
    Parameter,
    ReadBack,
    decode_object,
    is_device_id,
)

DONE, FAILED = "01", "02"
TAIL = 8
#: `Cmd`: instantaneous values every so many seconds, energy registers every so many minutes
SECONDS, MINUTES = "0000", "0001"
FACTORY = {SECONDS: "30", MINUTES: "15"}
ANSWERS = {
    "MQTT_SETTIME_": "MQTT_METER_TIME_REP",
    "MQTT_COMMOD_SET_": "MQTT_COMMOD_SET_REP",
    "MQTT_COMMOD_READ_": "MQTT_COMMOD_READ_REP",
    "MQTT_TELECTRL_": "MQTT_TELECTRL_REP",
}


def message(topic: str, device_id: str, operation: str, **values: str) -> Message:
    """A message to a meter."""
    return Message(topic=topic + device_id[-TAIL:], payload=json.dumps({"oprid": operation, **values}).encode())


def read_answer(frame: Frame) -> Answer:
    """The answer in a frame. Raises FrameError: what `decode_object` raises, no-id, no-operation."""
    values = decode_object(frame.payload)
    device, operation = values.pop("id", None), values.pop("oprid", None)
    if not isinstance(device, str) or not is_device_id(device):
        raise FrameError("no-id", "an answer of nobody")
    if not isinstance(operation, str):
        raise FrameError("no-operation", "an answer to nothing")
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    code, said = texts.pop("code", ""), texts.pop("msg", "")
    detail = f"code {code}" + (f": {said}" if said else "")
    return Answer(device_id=device, operation=operation, ok=code == DONE, values=texts, detail=detail)


def set_time(order: Order) -> Message:
    """To the time of the order, in the meter's own zone."""
    return message("MQTT_SETTIME_", order.device_id, order.operation, time=f"{order.at:%Y%m%d%H%M%S}")


def set_interval(kind: str, order: Order) -> Message:
    """How often the meter sends."""
    values = {"Cmd": kind, "value": str(order.parameters["interval"]), "types": "1"}
    return message("MQTT_COMMOD_SET_", order.device_id, order.operation, **values)


def ask_interval(kind: str, order: Order) -> Message:
    """The question how often it sends."""
    return message("MQTT_COMMOD_READ_", order.device_id, order.operation, Cmd=kind, types="1")


def other_interval(parameters: Mapping[str, Any], answer: Answer) -> str:
    """What is wrong with an interval that was read back."""
    found = answer.values.get("value", "")
    same = found.isascii() and found.isdecimal() and int(found[:9]) == parameters["interval"]
    return "" if same else f"the meter says {found[:20]!a}, not {parameters['interval']}"


def switch(order: Order) -> Message:
    """The first relay, on or off."""
    return message("MQTT_TELECTRL_", order.device_id, order.operation, do1=str(int(bool(order.parameters["on"]))))


def intervals(name: str, what: str, kind: str, unit: str, choices: tuple[int, ...]) -> tuple[Command, Command]:
    """The commands that set and read an interval."""
    asking = partial(ask_interval, kind)
    answer = ANSWERS["MQTT_COMMOD_READ_"]
    return (
        Command(
            name=f"set_{name}",
            title=f"Set the upload interval of {what}",
            parameters=(Parameter("interval", "interval", unit=unit, choices=choices),),
            build=partial(set_interval, kind),
            answer=ANSWERS["MQTT_COMMOD_SET_"],
            read_answer=read_answer,
            read_back=ReadBack(build=asking, answer=answer, problem=other_interval),
        ),
        Command(
            name=f"read_{name}",
            title=f"Read the upload interval of {what}",
            build=asking,
            answer=answer,
            read_answer=read_answer,
        ),
    )


COMMANDS = (
    Command(
        name="set_time",
        title="Set the clock",
        build=set_time,
        answer=ANSWERS["MQTT_SETTIME_"],
        read_answer=read_answer,
        sets_clock=True,
    ),
    *intervals("interval", "instantaneous values", SECONDS, "s", (30, 60, 300, 600, 900, 1200, 1800, 3600)),
    *intervals("energy_interval", "energy registers", MINUTES, "min", (1, 5, 10, 15, 20, 30, 60, 1440)),
    Command(
        name="relay",
        title="Switch relay 1",
        parameters=(Parameter("on", "closed", kind="boolean"),),
        build=switch,
        answer=ANSWERS["MQTT_TELECTRL_"],
        read_answer=read_answer,
        expires_after=20,
        interlock=True,
    ),
)


def topics_of(device_id: str) -> tuple[str, ...]:
    """The topics that a meter listens to."""
    return tuple(topic + device_id[-TAIL:] for topic in ANSWERS)


def obey(device_id: str, memory: dict[str, str], told: Message) -> tuple[Message, ...]:
    """What a simulated meter answers. It remembers intervals by `Cmd`, and its relay as `do1`."""
    topic = told.topic[:-TAIL]
    if topic not in ANSWERS or told.topic != topic + device_id[-TAIL:]:
        return ()
    try:
        asked = {key: str(value) for key, value in decode_object(told.payload).items()}
    except FrameError:
        return ()
    said: dict[str, str] = {}
    kind = asked.get("Cmd", "")
    if topic == "MQTT_COMMOD_SET_":
        memory[kind] = asked.get("value", "")
    elif topic == "MQTT_COMMOD_READ_":
        said = {"Cmd": kind, "value": memory.get(kind, FACTORY.get(kind, ""))}
    elif topic == "MQTT_TELECTRL_":
        memory["do1"] = asked.get("do1", "")
    known = topic not in ("MQTT_COMMOD_SET_", "MQTT_COMMOD_READ_") or kind in FACTORY
    body = {"id": device_id, "oprid": asked.get("oprid", ""), **said, "code": DONE if known else FAILED}
    return (Message(topic=ANSWERS[topic], payload=json.dumps(body).encode()),)


OBEDIENCE = Obedience(topics=topics_of, obey=obey)
