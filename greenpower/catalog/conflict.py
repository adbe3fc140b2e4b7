"""Conflicts between data types: shared names, and claims that overlap equally.

Two claims overlap equally where one topic, registration packet or name of pushes is both's, and neither is within the
other. What does not belong here: what is done about it (`registry`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from greenpower.catalog.facts import name_problems
from greenpower.datatype import DataType, Mqtt
from greenpower.datatype.topic import is_within, topics_overlap

TopicClaim = tuple[DataType, Mqtt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A data type, and its origin: the name of the plugin's module."""

    datatype: DataType
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two data types, or twice the same, whose claims overlap equally. text: which claims, for people."""

    one: Loaded
    other: Loaded
    text: str


def mqtt_claims(datatype: DataType) -> tuple[Mqtt, ...]:
    """The claims of a data type on topics, those of answers to its commands included."""
    return (*datatype.topics, *datatype.answers)


def narrowest_first(claims: Iterable[TopicClaim]) -> tuple[TopicClaim, ...]:
    """Claims in an order in which each comes before those that it is within; none of them overlap equally."""
    return tuple(sorted(claims, key=lambda item: _width(item[1].filter.split("/"))))


def _width(levels: list[str]) -> tuple[bool, int, int]:
    """Of two filters of which one is within the other, that one has the lower width."""
    open_end = levels[-1] == "#"
    return open_end, -len(levels) if open_end else 0, levels.count("+")


def name_conflicts(loaded: tuple[Loaded, ...]) -> Iterator[str]:
    """One line per reserved name, and per name that two data types share."""
    for item in loaded:
        yield from name_problems(item.datatype)
    for one, other in combinations(loaded, 2):
        a, b = one.datatype, other.datatype
        both = _both(one, other)
        if a.name == b.name:
            yield f"two data types are named {a.name!r}: {one.origin} and {other.origin}"
        if a.endpoint is not None and a.endpoint == b.endpoint:
            yield f"{both} both use the endpoint {a.endpoint!r}"
        for name in sorted({*a.collections} & {*b.collections}):
            yield f"{both} both use the collection {name!r}"


def overlaps(loaded: tuple[Loaded, ...]) -> Iterator[Overlap]:
    """The claims that overlap equally."""
    topics = [(item, claim, claim.filter) for item in loaded for claim in mqtt_claims(item.datatype)]
    for (one, left, a), (other, right, b) in combinations(topics, 2):
        if topics_overlap(a, b) and is_within(a, b) == is_within(b, a):
            same = "" if left == right else f" = {right.topic!r}"
            text = f"{_both(one, other)} both claim the topic {left.topic!r}{same}"
            yield Overlap(one=one, other=other, text=text)
    packets = [(item, claim) for item in loaded for claim in item.datatype.gateways]
    for (one, first), (other, second) in combinations(packets, 2):
        if first.overlaps(second):
            text = f"both claim the registration packet {first.registration!r} = {second.registration!r}"
            yield Overlap(one=one, other=other, text=f"{_both(one, other)} {text}")
    pushes = [(item, claim.name) for item in loaded for claim in item.datatype.pushes]
    for (one, name), (other, again) in combinations(pushes, 2):
        if name == again:
            yield Overlap(one=one, other=other, text=f"{_both(one, other)} both claim pushes to {name!r}")


def _both(one: Loaded, other: Loaded) -> str:
    return f"{one.datatype.name!r} ({one.origin}) and {other.datatype.name!r} ({other.origin})"
