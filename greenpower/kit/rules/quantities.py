"""Rule for electrical quantities: what fields measure fits together, so that the wiring checks can compare it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from greenpower.datatype import DataType, Electrical, Field
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown

PHASES = ("a", "b", "c")
PAIRS = ("ab", "bc", "ca")
#: what a title says of a phase: "voltage, phase A"
PHASE_WORDS = re.compile(r"\bphases? [ABC]\b|\bL[123]\b", re.IGNORECASE)
RETURNED = {
    Electrical.ACTIVE_ENERGY_RETURNED: Electrical.ACTIVE_ENERGY,
    Electrical.ACTIVE_POWER_RETURNED: Electrical.ACTIVE_POWER,
}


def check_quantities(plugin: Plugin) -> Iterator[Problem]:
    """Quantities are declared once for each phase and circuit, for all phases, and totals are totals.

    An unknown quantity, and one that the unit does not fit, is a DeclarationError: such a plugin is not loaded.
    """
    place = shown(plugin.folder / "__init__.py")
    for datatype in plugin.datatypes:
        for field, found, expected, fix in _problems(datatype):
            yield Problem(
                place=f"{place}: field {field.name}", found=found, expected=expected, fix=fix, field=field.name,
                topic=datatype.topics[0].topic if datatype.topics else "",
            )  # fmt: skip


def _problems(datatype: DataType) -> Iterator[tuple[Field, str, str, str]]:
    """(field, found, expected, fix)."""
    known: dict[tuple[str, str, str], Field] = {}
    phases: defaultdict[tuple[str, str], dict[str, Field]] = defaultdict(dict)
    for field in datatype.fields:
        if not field.measures:
            continue
        key = (field.measures, field.phase, field.circuit)
        if key in known and not Electrical(field.measures).is_register:
            yield (
                field, f"{_text(field)} is also what {known[key].name} measures", "one field for each quantity",
                "give one of them another phase= or circuit=, or no measures=",
            )  # fmt: skip
        known.setdefault(key, field)
        phases[field.measures, field.circuit][field.phase] = field
        if not field.phase and not field.circuit and (words := PHASE_WORDS.search(field.title)):
            yield (
                field, f"measures={field.measures!r} without a phase, and the title says {words[0]!r}",
                "the phase that the title names", 'add phase="a" (b, c); without it the field is the total',
            )  # fmt: skip
    for (measures, _), own in phases.items():
        for group in (PHASES, PAIRS):
            there = [phase for phase in group if phase in own]
            if there and len(there) < len(group):
                missing = ", ".join(phase for phase in group if phase not in own)
                yield (
                    own[there[-1]], f"{measures} of phase {', '.join(there)} and not of {missing}",
                    "each phase, or none", "declare the others, or leave out phase= if there is one phase only",
                )  # fmt: skip
    for (measures, phase, circuit), field in known.items():
        other = RETURNED.get(Electrical(measures))
        if other is not None and (other, phase, circuit) not in known:
            yield (
                field, f"{_text(field)} without {other}", f"both directions, or {other} alone",
                f"give the field of the other direction measures={other.value!r}",
            )  # fmt: skip


def _text(field: Field) -> str:
    parts = [f"measures={field.measures!r}"]
    parts += [f"phase={field.phase!r}"] if field.phase else []
    parts += [f"circuit={field.circuit!r}"] if field.circuit else []
    return ", ".join(parts)
