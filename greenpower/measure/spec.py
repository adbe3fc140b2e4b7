"""What a data type's buckets are made of: its fields by kind, and the limits of its counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from greenpower.datatype import DataType, Kind
from greenpower.datatype.unit import energy_per_hour
from greenpower.measure.counter.rules import CounterRules, Limits, OperatorDecision
from greenpower.measure.enumeration import CodeSet
from greenpower.measure.state import Number

NO_DECISIONS: Mapping[str, OperatorDecision] = {}
NO_DECISION = OperatorDecision()

KNOWN_FIELD_SETS = 1_024
# What every meter is believed without a further look, in kW. Limits are learned above it.
FLOOR_KW = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A type's fields. kinds: by field; one that is not in it is undeclared and, where it is accepted, a gauge.

    limits: of the fields with energy. codes: of the enumerations. refused: fields that are left out,
    because stored buckets hold them as another kind.
    """

    kinds: Mapping[str, Kind]
    limits: Mapping[str, Limits] = field(default_factory=dict)
    codes: Mapping[str, CodeSet] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    _kept: dict[tuple[Kind, tuple[str, ...]], list[str]] = field(default_factory=dict, compare=False, repr=False)
    _rules: dict[str, CounterRules] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_datatype(cls, datatype: DataType, refused: Iterable[str] = ()) -> Spec:
        """The spec that a declaration gives."""
        return cls(
            kinds={item.name: item.kind for item in datatype.fields},
            limits={
                item.name: Limits(
                    modulus=item.modulus,
                    rate=item.greatest_rate,
                    floor=floor_of(item.unit),
                    net=item.kind is Kind.NET,
                    daily=item.kind is Kind.DAILY,
                )
                for item in datatype.fields
                if item.kind.has_energy
            },
            codes={item.name: CodeSet(frozenset(item.codes), item.bits) for item in datatype.fields if item.codes},
            refused=frozenset(refused),
        )

    @property
    def counters(self) -> frozenset[str]:
        """The fields that need the samples around a stretch."""
        return frozenset(self.limits) - self.refused

    def kind(self, name: str) -> Kind:
        """The kind of a field, declared or not."""
        return self.kinds.get(name, Kind.GAUGE)

    def names_of_kind(self, kind: Kind, names: tuple[str, ...]) -> list[str]:
        """Those of some fields that are of a kind and not left out."""
        if (kept := self._kept.get((kind, names))) is None:
            kept = [name for name in names if self.kind(name) is kind and name not in self.refused]
            if len(self._kept) < KNOWN_FIELD_SETS:
                self._kept[kind, names] = kept
        return kept

    @property
    def has_days(self) -> bool:
        """Whether any field depends on where the days of a device begin."""
        return any(self.limits[name].daily for name in self.counters)

    def rules(
        self,
        name: str,
        decisions: Mapping[str, OperatorDecision] = NO_DECISIONS,
        power: Number | None = None,
        zone: tzinfo | None = None,
    ) -> CounterRules:
        """The rules of a counter. decisions: the operator's on this device's counters, by field. power: the greatest
        power of this device in kW; counters that do not count energy have no use for it. zone: of its days; None for
        UTC."""
        limits = self.limits.get(name, Limits())
        if power is None and name not in decisions and (zone is None or not limits.daily):
            rules = self._rules.get(name)
            if rules is None:
                rules = self._rules[name] = CounterRules(limits)
            return rules
        rate = None if power is None or limits.floor is None else power * limits.floor / FLOOR_KW
        return CounterRules(limits, decisions.get(name, NO_DECISION), rate, zone or UTC)


def floor_of(unit: str) -> Number | None:
    """The rise per hour that every counter of a unit is believed; None for units that tell no power."""
    per_hour = energy_per_hour(unit)
    return None if per_hour is None else FLOOR_KW * per_hour
