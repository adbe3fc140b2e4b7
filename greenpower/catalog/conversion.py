"""From a unit as sent to the unit of a field: exact factors, worked out with pint when a declaration is loaded.

What belongs here: which conversion it is. What does not: applying it (`greenpower.datatype.conversion`), the table of
units (`greenpower.datatype.unit`).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

from greenpower.datatype import DataType, DeclarationError, Field
from greenpower.datatype.conversion import Conversion, exact
from greenpower.datatype.unit import UNITS, unit_of

# What pint has not, or takes for another thing: reactive and apparent power are no watts.
DEFINITIONS = (
    "var = [reactive_power]",
    "volt_ampere_apparent = [apparent_power] = VA",
    "varh = var * hour",
    "VAh = volt_ampere_apparent * hour",
    "Ah = ampere * hour",
    "ppb = 1e-9",
)
# Symbols that pint reads as something else. `h` is an hour, `d` a day in both.
PINT_NAMES = {
    "°": "degree",
    "°C": "degC",
    "°F": "degF",
    "K": "kelvin",
    "t": "metric_ton",
    "B": "byte",
    "µS/cm": "uS/cm",
}
#: more than the 28 that are kept, so that these are right to the last
EXACT_DIGITS = 60
#: logarithmic units are not converted by a factor
LOGARITHMIC = frozenset({"dB", "dBm"})


def with_conversions(datatype: DataType) -> DataType:
    """A data type whose fields know how values are converted; itself if none is. Raises DeclarationError."""
    fields = tuple(_resolved(field) for field in datatype.fields)
    wire: Any = datatype.wire
    if hasattr(wire, "for_fields"):
        wire = wire.for_fields(fields)
    if wire is datatype.wire and all(one is other for one, other in zip(fields, datatype.fields, strict=True)):
        return datatype
    return replace(datatype, fields=fields, wire=wire)


def _resolved(field: Field) -> Field:
    found = None
    if field.is_converted:
        try:
            found = conversion(field.sent_in or str(field.unit), field.unit, exact(field.scale))
        except DeclarationError as error:
            raise DeclarationError(f"field {field.name!r}: {error}") from None
    return field if found == field.conversion else replace(field, conversion=found)


def conversion(sent_in: str, unit: str, scale: Decimal = Decimal(1)) -> Conversion:
    """What makes of numbers that count `scale` of one unit numbers of another. Raises DeclarationError."""
    if sent_in == unit:
        return Conversion(scale)
    factor, offset = _between(_definition(sent_in), unit_of(unit).definition)
    return Conversion(_short(factor * scale), offset)


def _definition(unit: str) -> str:
    return UNITS[unit].definition if unit in UNITS else unit


@cache
def _between(sent: str, stored: str) -> tuple[Decimal, Decimal]:
    """(factor, offset) from one definition to another."""
    if {sent, stored} & LOGARITHMIC:
        raise DeclarationError(f"sent_in={sent!r} cannot be converted to {stored}: decibels are no factor")
    registry, pint = _registry()
    try:
        units = [_unit(registry, definition) for definition in (sent, stored)]
        if len({_turns(registry, unit) for unit in units}) > 1:
            raise DeclarationError(f"sent_in={sent!r} measures something else than {stored}")
        with localcontext(prec=EXACT_DIGITS):
            zero, one = (registry.Quantity(Decimal(number), units[0]).to(units[1]).magnitude for number in (0, 1))
            factor, offset = Decimal(one) - Decimal(zero), Decimal(zero)
    except DeclarationError:
        raise
    except pint.DimensionalityError:
        raise DeclarationError(f"sent_in={sent!r} measures something else than {stored}") from None
    except Exception as error:  # pint's parser raises many kinds
        raise DeclarationError(f"sent_in={sent!r} to {stored}: {type(error).__name__}: {error}") from None
    return _short(factor), _short(offset)


def _turns(registry: Any, unit: Any) -> Any:
    """The angle in a unit. pint takes it for a number: 60 rpm would be 6.28 Hz, and 100 % a radian."""
    return registry.get_root_units(unit)[1]._units.get("radian", 0)


def _unit(registry: Any, definition: str) -> Any:
    return registry.parse_units(PINT_NAMES.get(definition, definition))


def _short(number: Decimal) -> Decimal:
    """Without zeros at its end, and without what 28 digits cannot hold."""
    return +number.normalize() if number else Decimal(0)


@cache
def _registry() -> tuple[Any, Any]:
    """pint and its units. Loaded when the first conversion is needed: it takes half a second."""
    import pint

    registry: Any
    with localcontext(prec=EXACT_DIGITS):
        registry = pint.UnitRegistry(non_int_type=Decimal, cache_folder=None, on_redefinition="ignore")
        for definition in DEFINITIONS:
            registry.define(definition)
    return registry, pint
