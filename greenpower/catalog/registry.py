"""Discovery of the data types.

What belongs here: finding plugins (the `plugins` package beside greenpower, then the entry points of the group
`greenpower.plugins`), reading their declarations, applying the site file, finding conflicts. What does not: names
that follow from a declaration (`greenpower.catalog.facts`).
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module, metadata
from itertools import combinations
from pathlib import Path
from types import ModuleType

from greenpower.catalog.adaptation import apply_site
from greenpower.catalog.facts import name_problems
from greenpower.catalog.site import Site, SiteError, read_site
from greenpower.config import load_settings
from greenpower.datatype import DataType, DeclarationError, Mqtt, Tcp
from greenpower.datatype.claim import topics_overlap

PLUGINS_PACKAGE = "plugins"
ENTRY_POINT_GROUP = "greenpower.plugins"


class RegistryError(Exception):
    """The installed plugins cannot be used together. The text has one line per problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A data type, and its origin: the name of the plugin's module."""

    datatype: DataType
    origin: str


class Registry:
    """The data types in use, in order of discovery. Raises RegistryError if two conflict."""

    def __init__(self, loaded: Iterable[Loaded]) -> None:
        self.loaded = tuple(loaded)
        if problems := list(_conflicts(self.loaded)):
            raise RegistryError("\n".join(problems))
        self._by_name = {item.datatype.name: item.datatype for item in self.loaded}
        self._exact: dict[str, tuple[DataType, Mqtt]] = {}
        self._wild: list[tuple[DataType, Mqtt]] = []
        for datatype in self:
            for claim in (*datatype.topics, *datatype.answers):
                if claim.is_exact:
                    self._exact[claim.topic] = (datatype, claim.at(claim.topic))
                else:
                    self._wild.append((datatype, claim))

    @classmethod
    def of(cls, *datatypes: DataType) -> Registry:
        """A registry of only these data types."""
        return cls(Loaded(datatype=datatype, origin="given") for datatype in datatypes)

    def __iter__(self) -> Iterator[DataType]:
        return (item.datatype for item in self.loaded)

    def __len__(self) -> int:
        return len(self.loaded)

    def __getitem__(self, name: str) -> DataType:
        """The data type with a name. Raises KeyError."""
        return self._by_name[name]

    def get(self, name: str) -> DataType | None:
        """The data type with a name; None if there is none."""
        return self._by_name.get(name)

    def match_topic(self, topic: str) -> tuple[DataType, Mqtt] | None:
        """The data type and the claim that match a topic. The claim has the `device` of this topic."""
        if found := self._exact.get(topic):
            return found
        return next(((datatype, claim.at(topic)) for datatype, claim in self._wild if claim.matches(topic)), None)

    @property
    def topics(self) -> tuple[str, ...]:
        """All claimed topic filters, including those of answers to commands."""
        return tuple(claim.topic for datatype in self for claim in (*datatype.topics, *datatype.answers))

    @property
    def gateways(self) -> tuple[tuple[DataType, Tcp], ...]:
        """All claims on TCP gateways."""
        return tuple((datatype, claim) for datatype in self for claim in datatype.gateways)


def _conflicts(loaded: tuple[Loaded, ...]) -> Iterator[str]:
    """One line per reserved name, and per name or claim that two data types share."""
    for item in loaded:
        yield from name_problems(item.datatype)
    for one, other in combinations(loaded, 2):
        a, b = one.datatype, other.datatype
        both = f"{a.name!r} ({one.origin}) and {b.name!r} ({other.origin})"
        if a.name == b.name:
            yield f"two data types are named {a.name!r}: {one.origin} and {other.origin}"
        if a.endpoint is not None and a.endpoint == b.endpoint:
            yield f"{both} both use the endpoint {a.endpoint!r}"
        for name in sorted({*a.collections} & {*b.collections}):
            yield f"{both} both use the collection {name!r}"
    claims = [(item, claim) for item in loaded for claim in (*item.datatype.match, *item.datatype.answers)]
    for (one, left), (other, right) in combinations(claims, 2):
        both = f"{one.datatype.name!r} ({one.origin}) and {other.datatype.name!r} ({other.origin})"
        if isinstance(left, Mqtt) and isinstance(right, Mqtt) and topics_overlap(left.topic, right.topic):
            yield f"{both} both claim the topic {left.topic!r}" + (f" = {right.topic!r}" if left != right else "")
        if isinstance(left, Tcp) and isinstance(right, Tcp) and left.overlaps(right):
            yield f"{both} both claim the registration packet {left.registration!r} = {right.registration!r}"


def declared_in(module: ModuleType) -> tuple[DataType, ...]:
    """The data types that a plugin module exports as `DATATYPE` or `DATATYPES`. Raises RegistryError."""
    found = getattr(module, "DATATYPES", None)
    if found is None:
        found = (getattr(module, "DATATYPE", None),)
    if not isinstance(found, tuple) or not found or not all(isinstance(item, DataType) for item in found):
        raise RegistryError(
            f"it must export DATATYPE, or DATATYPES, a non-empty tuple of DataType; found {found!r:.80}"
        )
    return found


def discover(site: Site | None = None) -> Registry:
    """All installed plugins, changed by a site file. Raises RegistryError with every problem."""
    loaded: list[Loaded] = []
    problems: list[str] = []
    for name in _module_names():
        try:
            module = import_module(name)
            loaded.extend(Loaded(datatype=datatype, origin=name) for datatype in declared_in(module))
        except (RegistryError, DeclarationError) as error:
            problems.append(f"plugin {name}: {error}")
        except Exception as error:  # a plugin is foreign code: every error names the plugin
            problems.append(f"plugin {name} cannot be imported: {type(error).__name__}: {error}")
    if problems:
        raise RegistryError("\n".join(problems))
    if site is not None:
        adapted = apply_site([item.datatype for item in loaded], site)
        loaded = [replace(item, datatype=datatype) for item, datatype in zip(loaded, adapted, strict=True)]
    return Registry(loaded)


def _module_names() -> Iterator[str]:
    try:
        package = import_module(PLUGINS_PACKAGE)
    except ModuleNotFoundError:
        package = None
    if package is not None:
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            yield f"{PLUGINS_PACKAGE}.{info.name}"
    for point in sorted(metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        yield point.value.partition(":")[0]


def load_registry(path: Path | None) -> Registry:
    """All plugins, changed by the site file at `path`. Raises RegistryError with every problem of either."""
    try:
        return discover(None if path is None else read_site(path))
    except SiteError as error:
        raise RegistryError("\n".join(f"{path}: {problem}" for problem in error.problems)) from None


@cache
def get_registry() -> Registry:
    """The registry of this process, discovered once, with the site file from the settings."""
    return load_registry(load_settings().greenpower_site)
