"""What meter points carry, and the part that each plays in a site: closed vocabularies."""

from __future__ import annotations

from enum import StrEnum


class Carrier(StrEnum):
    """What a meter point measures."""

    ELECTRICITY = "electricity"
    GAS = "gas"
    WATER = "water"
    HEAT = "heat"

    @property
    def unit(self) -> str:
        """The unit of its amounts."""
        return _UNITS[self]


_UNITS = {Carrier.ELECTRICITY: "kWh", Carrier.GAS: "m³", Carrier.WATER: "m³", Carrier.HEAT: "kWh"}


class PointRole(StrEnum):
    """The part that a meter point plays.

    Sources bring energy to the site, sinks take it away. LOAD: what is used within the site, a part of what sources
    brought.
    """

    GRID_IMPORT = "grid_import"
    GRID_EXPORT = "grid_export"
    SOLAR = "solar"
    GENERATOR = "generator"
    BATTERY_OUT = "battery_out"
    BATTERY_IN = "battery_in"
    LOAD = "load"

    @property
    def is_source(self) -> bool:
        """Whether it brings energy to the site."""
        return self in _SOURCES

    @property
    def is_sink(self) -> bool:
        """Whether it takes energy away from what the site can use."""
        return self in _SINKS


_SOURCES = frozenset({PointRole.GRID_IMPORT, PointRole.SOLAR, PointRole.GENERATOR, PointRole.BATTERY_OUT})
_SINKS = frozenset({PointRole.GRID_EXPORT, PointRole.BATTERY_IN})
