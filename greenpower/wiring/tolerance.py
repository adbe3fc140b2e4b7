"""The tolerances of all checks, each with its reason: `docs/wiring.md` has the table that is made from it.

What belongs here: numbers that decide whether something is found. What does not: the comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A number and why it is that number."""

    value: float
    unit: str
    what: str
    reason: str


TOLERANCES = {
    "load": Tolerance(
        0.05, "of the day's 95th percentile", "least load of a sample that counts",
        "below it a meter of class 1 may be wrong by several percent, and its last digit counts",
    ),
    "digits": Tolerance(
        20, "last digits", "least value of a sample that counts",
        "rounding to the last digit is then at most 2.5 % of the value",
    ),
    "samples": Tolerance(20, "samples", "least samples with load", "fewer do not tell a fault from an event"),
    "share": Tolerance(
        0.8, "of the samples", "how many must show it, beside the median",
        "values of one reading are snapshots up to a second apart: when a motor starts they contradict each other",
    ),
    "sum": Tolerance(
        0.03, "of the sum", "total against the sum of phases", "three phases of class 1, read one after the other",
    ),
    "apparent_low": Tolerance(
        0.05, "of √(P² + Q²)", "apparent power below active and reactive power",
        "it cannot be below; class 1 for active, 2 for reactive power",
    ),
    "apparent_high": Tolerance(
        1.6, "times √(P² + Q²)", "apparent power above active and reactive power",
        "harmonics of rectifiers and lamps are in S and not in Q; more than this is not seen on feeders",
    ),
    "factor": Tolerance(
        0.05, "absolute", "power factor against P / S", "two decimals, and values that are a second apart",
    ),
    "factor_distorted": Tolerance(
        0.35, "absolute", "power factor above P / S where Q is not sent",
        "some meters send cos φ, which leaves the harmonics out",
    ),
    "volt_ampere": Tolerance(
        0.08, "of V times I", "apparent power against V times I", "class 1 for each, values a second apart",
    ),
    "least_factor": Tolerance(
        0.01, "P / (V times I)", "active power far below V times I, where neither S nor Q is sent",
        "idle transformers and chargers have 0.02 and more",
    ),
    "angle": Tolerance(
        20, "°", "angle between phases that a swap makes 120°",
        "phases of one load are 10° apart at most; 60° lie between a swap and a reversal",
    ),
    "reversed": Tolerance(
        0.95, "of the samples", "active power of a phase has the wrong sign", "switching events and rounding",
    ),
    "saldo": Tolerance(
        0.1, "of the sum of all phases", "total below which one phase may rightly balance the others",
        "a battery on one phase is steered to a total of 0",
    ),
    "voltage_low": Tolerance(
        0.7, "of the highest phase", "voltage of a phase", "EN 50160 allows 10 %; an open lead floats at up to 60 %",
    ),
    "voltage_band": Tolerance(
        0.15, "of a usual nominal voltage", "voltage", "EN 50160 allows 10 %; class 1 and long lines",
    ),
    "line_voltage": Tolerance(
        0.12, "of the value from the phases", "voltage between two phases",
        "an unbalanced neutral turns the angle between phases by up to 10°",
    ),
    "frequency": Tolerance(
        3, "Hz", "frequency against 50 or 60 Hz", "governors of generators hold 5 % while load is thrown off",
    ),
    "current_missing": Tolerance(
        0.01, "of the other phases", "current of a phase all day", "a CT that is not closed shows noise",
    ),
    "steady": Tolerance(
        0.08, "of the median", "spread of the ratio of one phase to the others",
        "different loads on three phases never keep one ratio while they change; one three-phase load does",
    ),
    "ratio": Tolerance(
        1.6, "times", "steady ratio of one phase to the others", "three-phase loads are within 30 % of balance",
    ),
    "load_changes": Tolerance(
        1.5, "times", "change of load over a day that makes a steady ratio tell something",
        "one constant load has any ratio",
    ),
    "register": Tolerance(
        0.1, "of the energy", "register against integrated power",
        "class 1 twice, steps of the register; what snapshots miss between samples is added from how the power changes",
    ),
    "neutral_high": Tolerance(
        1.1, "times the sum of the phases", "neutral current", "it cannot be more than the sum; class 1 for each CT",
    ),
    "neutral_low": Tolerance(
        0.5, "of the vector sum", "neutral current", "angles are known to some degrees only",
    ),
    "neutral_least": Tolerance(
        0.3, "of the mean current", "vector sum that is compared with the neutral",
        "less comes from small errors of the angles",
    ),
    "night": Tolerance(
        0.1, "of the day's 95th percentile", "solar power between 23:00 and 03:00",
        "beyond the polar circle the sun is up at midnight, and low",
    ),
    "children": Tolerance(
        0.05, "of the parent", "energy of children above their parent", "class 1 of each meter, cut at quarter-hours",
    ),
}  # fmt: skip


def limit(name: str) -> float:
    """A tolerance by name."""
    return TOLERANCES[name].value
