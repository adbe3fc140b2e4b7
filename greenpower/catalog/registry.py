"""Discovery of the data types.

What belongs here: finding plugins (the `plugins` package beside greenpower, then the entry points of the group
`greenpower.plugins`), reading their declarations, applying the site file, which data type a frame is of. What does not:
what makes a conflict (`conflict`), names that follow from a declaration (`facts`).
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from greenpower.catalog.adaptation import apply_site
from greenpower.catalog.conflict import Loaded, mqtt_claims, name_conflicts, narrowest_first, overlaps
from greenpower.catalog.conversion import with_conversions
from greenpower.catalog.selection import Selection, SelectionError
from greenpower.catalog.site import Site, SiteError, read_site
from greenpower.config import load_settings
from greenpower.datatype import DataType, DeclarationError, Dialled, Http, Mqtt, Tcp
from greenpower.datatype.topic import is_within

log = logging.getLogger(__name__)

PLUGINS_PACKAGE = "plugins"
ENTRY_POINT_GROUP = "greenpower.plugins"
# Topics come from outside: beyond so many, what claims them is looked up anew.
MAX_TOPICS_KNOWN = 20_000


class RegistryError(Exception):
    """The installed plugins cannot be used together. The text has one line per problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A data type that is not in use, since its claims and another one's overlap equally. why: for people."""

    loaded: Loaded
    why: str


class TopicMatch(NamedTuple):
    """What claims a topic. claim: with the `device` of this topic. levels: the named levels, {name: text}."""

    datatype: DataType
    claim: Mqtt
    levels: Mapping[str, str]


class Registry:
    """The data types in use, in order of discovery. stopped: those that are not. Raises RegistryError if two conflict.

    Of several claims on a topic, the one on the fewest topics counts.
    """

    def __init__(self, loaded: Iterable[Loaded], stopped: Iterable[Stopped] = ()) -> None:
        self.loaded = tuple(map(_with_conversions, loaded))
        self.stopped = tuple(stopped)
        problems = [*name_conflicts(self.loaded), *(overlap.text for overlap in overlaps(self.loaded))]
        if problems:
            raise RegistryError("\n".join(problems))
        self._by_name = {item.datatype.name: item.datatype for item in self.loaded}
        self._claims = narrowest_first((datatype, claim) for datatype in self for claim in mqtt_claims(datatype))
        self._matches: dict[str, TopicMatch | None] = {}

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

    def match_topic(self, topic: str) -> TopicMatch | None:
        """The data type and the claim that match a topic; None where none does."""
        try:
            return self._matches[topic]
        except KeyError:
            pass
        if len(self._matches) >= MAX_TOPICS_KNOWN:
            self._matches.clear()
        found = next((item for item in self._claims if item[1].matches(topic)), None)
        match = None if found is None else TopicMatch(found[0], found[1].at(topic), found[1].levels(topic))
        self._matches[topic] = match
        return match

    def stopped_at(self, topic: str) -> Stopped | None:
        """The stopped data type that claims a topic which no other one claims."""
        claims = ((item, claim) for item in self.stopped for claim in mqtt_claims(item.loaded.datatype))
        return next((item for item, claim in claims if claim.matches(topic)), None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each data type that is stopped."""
        return tuple(f"{item.loaded.datatype.name} is stopped: {item.why}" for item in self.stopped)

    @property
    def topics(self) -> tuple[str, ...]:
        """All claimed topic filters, including those of answers to commands and of stopped data types, whose frames are
        kept as events. Without those within another one: a broker may send a frame once for each."""
        types = (*self, *(item.loaded.datatype for item in self.stopped))
        filters = dict.fromkeys(claim.filter for datatype in types for claim in mqtt_claims(datatype))
        return tuple(one for one in filters if not any(one != other and is_within(one, other) for other in filters))

    @property
    def gateways(self) -> tuple[tuple[DataType, Tcp], ...]:
        """All claims on TCP gateways."""
        return tuple((datatype, claim) for datatype in self for claim in datatype.gateways)

    @property
    def dialled(self) -> tuple[tuple[DataType, Dialled], ...]:
        """All devices that we connect to."""
        return tuple((datatype, claim) for datatype in self for claim in datatype.dialled)

    @property
    def pushes(self) -> dict[str, tuple[DataType, Http]]:
        """All claims on frames that are pushed over HTTP, by name."""
        return {claim.name: (datatype, claim) for datatype in self for claim in datatype.pushes}


def _with_conversions(item: Loaded) -> Loaded:
    """It with its data type as it is used. Raises RegistryError."""
    try:
        datatype = with_conversions(item.datatype)
    except DeclarationError as error:
        raise RegistryError(f"data type {item.datatype.name!r}: {error}") from None
    return item if datatype is item.datatype else replace(item, datatype=datatype)


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


def discover(site: Site | None = None, plugins: str = "") -> Registry:
    """The installed plugins that are in force, changed by a site file.

    plugins: which, as in GREENPOWER_PLUGINS; without it the site file's list counts; `all` for all of them. Raises
    RegistryError with every problem.
    """
    loaded: list[Loaded] = []
    problems: list[str] = []
    for name in _module_names():
        try:
            module = import_module(name)
            loaded.extend(Loaded(datatype=datatype, origin=name) for datatype in declared_in(module))
        except RegistryError as error:
            problems.append(f"plugin {name}: {error}")
        except Exception as error:  # a plugin is foreign code: every error names the plugin
            problems.append(f"plugin {name} cannot be imported: {type(error).__name__}: {error}")
    if problems:
        raise RegistryError("\n".join(problems))
    loaded, site = _in_force(loaded, site, plugins)
    # Only of what is in force: pint and its units are half a second and some megabytes of every process.
    loaded = _converting(loaded)
    if site is not None:
        adapted = apply_site([item.datatype for item in loaded], site)
        loaded = [replace(item, datatype=datatype) for item, datatype in zip(loaded, adapted, strict=True)]
    return without_overlaps(loaded)


def _converting(loaded: Iterable[Loaded]) -> list[Loaded]:
    """The data types, each knowing how its values are converted. Raises RegistryError with every problem."""
    found: list[Loaded] = []
    problems: list[str] = []
    for item in loaded:
        try:
            found.append(_with_conversions(item))
        except RegistryError as error:
            problems.append(f"plugin {item.origin}: {error}")
    if problems:
        raise RegistryError("\n".join(problems))
    return found


def _in_force(loaded: list[Loaded], site: Site | None, plugins: str) -> tuple[list[Loaded], Site | None]:
    """The data types in force, and the site file without changes to the others. Raises RegistryError."""
    named = frozenset() if site is None else site.named
    try:
        selection = Selection.of(plugins or ",".join(() if site is None else site.plugins))
        chosen = list(selection.choose(loaded, named))
    except SelectionError as error:
        where = "GREENPOWER_PLUGINS" if plugins else "plugins"
        raise RegistryError(f"{where}: {error}") from None
    off = {item.datatype.name for item in loaded} - {item.datatype.name for item in chosen}
    if site is not None:
        site = site.without(off)
    return chosen, site


def without_overlaps(loaded: Iterable[Loaded]) -> Registry:
    """A registry in which data types whose claims overlap equally are stopped. Raises RegistryError for other
    conflicts."""
    items = tuple(loaded)
    reasons: dict[str, list[str]] = {}
    for overlap in overlaps(items):
        for item in dict.fromkeys((overlap.one, overlap.other)):
            reasons.setdefault(item.datatype.name, []).append(overlap.text)
    if problems := list(name_conflicts(items)):
        raise RegistryError("\n".join(problems))
    stopped = [
        Stopped(loaded=item, why="; ".join(reasons[item.datatype.name]))
        for item in items
        if item.datatype.name in reasons
    ]
    return Registry((item for item in items if item.datatype.name not in reasons), stopped)


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


def load_registry(path: Path | None, plugins: str = "") -> Registry:
    """The plugins in force, changed by the site file at `path`. plugins: as for `discover`. Raises RegistryError with
    every problem of either."""
    try:
        registry = discover(None if path is None else read_site(path), plugins)
    except SiteError as error:
        raise RegistryError("\n".join(f"{path}: {problem}" for problem in error.problems)) from None
    for text in registry.warnings:
        log.error("%s", text)
    return registry


@cache
def get_registry() -> Registry:
    """The registry of this process, discovered once, with the plugins and the site file from the settings."""
    settings = load_settings()
    return load_registry(settings.greenpower_site, settings.greenpower_plugins)
