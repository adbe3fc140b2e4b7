"""Commands to COMPERE meters: set the clock, set and read the sending intervals, switch a relay.

Source: COMPERE "MQTT communication protocol" V1.9, downlink.
"""

from greenpower.datatype import Command, JsonCommand, JsonCommandFormat, Parameter

COMPERE = JsonCommandFormat(operation="oprid", device="id", code="code", done="01", failed="02", detail="msg", tail=8)

CLOCK = JsonCommand(topic="MQTT_SETTIME_", answer="MQTT_METER_TIME_REP", body={"time": "{at:%Y%m%d%H%M%S}"})
RELAY = JsonCommand(topic="MQTT_TELECTRL_", answer="MQTT_TELECTRL_REP", body={"do1": "{on:d}"})


def interval(kind: str, factory: str) -> tuple[JsonCommand, JsonCommand]:
    """The messages that set and read an interval. kind: its `Cmd` code. factory: the factory setting."""
    body = {"Cmd": kind, "types": "1"}
    return (
        JsonCommand(topic="MQTT_COMMOD_SET_", answer="MQTT_COMMOD_SET_REP", body={**body, "value": "{interval}"}),
        JsonCommand(topic="MQTT_COMMOD_READ_", answer="MQTT_COMMOD_READ_REP", body=body, asks={"value": factory}),
    )


SET_SECONDS, READ_SECONDS = interval("0000", "30")
SET_MINUTES, READ_MINUTES = interval("0001", "15")
INTERVAL_SECONDS = Parameter("interval", "interval", unit="s", choices=(30, 60, 300, 600, 900, 1200, 1800, 3600))
INTERVAL_MINUTES = Parameter("interval", "interval", unit="min", choices=(1, 5, 10, 15, 20, 30, 60, 1440))
VALUES, REGISTERS = "the upload interval of instantaneous values", "the upload interval of energy registers"
RELAY_STATE = Parameter("on", "closed", kind="boolean")

COMMANDS: tuple[Command, ...] = (
    COMPERE.command("set_time", "Set the clock", CLOCK, sets_clock=True),
    COMPERE.command("set_interval", f"Set {VALUES}", SET_SECONDS, READ_SECONDS, parameters=(INTERVAL_SECONDS,)),
    COMPERE.command("read_interval", f"Read {VALUES}", READ_SECONDS),
    COMPERE.command(
        "set_energy_interval", f"Set {REGISTERS}", SET_MINUTES, READ_MINUTES, parameters=(INTERVAL_MINUTES,)
    ),
    COMPERE.command("read_energy_interval", f"Read {REGISTERS}", READ_MINUTES),
    COMPERE.command("relay", "Switch relay 1", RELAY, parameters=(RELAY_STATE,), expires_after=20, interlock=True),
)
SIMULATED_RESPONSE = COMPERE.simulated_response((CLOCK, SET_SECONDS, READ_SECONDS, SET_MINUTES, READ_MINUTES, RELAY))
