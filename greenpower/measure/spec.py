"""What a data type's buckets are made of: its fields by kind, and the limits of its counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from greenpower.datatype import DataType, Kind
from greenpower.measure.counter.rules import CounterRules, Limits, OperatorDecision

NO_DECISIONS: Mapping[str, OperatorDecision] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A type's fields. kinds: by field; one that is not in it is undeclared and, where it is accepted, a gauge.

    limits: of the counters. refused: fields that are left out, because stored buckets hold them as another kind.
    """

    kinds: Mapping[str, Kind]
    limits: Mapping[str, Limits] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    _rules: dict[str, CounterRules] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_datatype(cls, datatype: DataType, refused: Iterable[str] = ()) -> Spec:
        """The spec that a declaration gives."""
        return cls(
            kinds={item.name: item.kind for item in datatype.fields},
            limits={
                item.name: Limits(modulus=item.modulus, rate=item.greatest_rate)
                for item in datatype.fields
                if item.kind is Kind.COUNTER
            },
            refused=frozenset(refused),
        )

    @property
    def counters(self) -> frozenset[str]:
        """The fields that need the samples around a stretch."""
        return frozenset(self.limits) - self.refused

    def kind(self, name: str) -> Kind:
        """The kind of a field, declared or not."""
        return self.kinds.get(name, Kind.GAUGE)

    def rules(self, name: str, decisions: Mapping[str, OperatorDecision] = NO_DECISIONS) -> CounterRules:
        """The rules of a counter. decisions: the operator's on this device's counters, by field."""
        if name in decisions:
            return CounterRules(self.limits.get(name, Limits()), decisions[name])
        rules = self._rules.get(name)
        if rules is None:
            rules = self._rules[name] = CounterRules(self.limits.get(name, Limits()))
        return rules
