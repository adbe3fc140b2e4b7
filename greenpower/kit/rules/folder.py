"""Name and folder of a plugin, and its README."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata

from greenpower.catalog.registry import GROUP, PACKAGE
from greenpower.datatype.table import END, with_tables
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown


def check_folder(plugin: Plugin) -> Iterator[Problem]:
    """A package with a README and samples, called as its first data type is."""
    if not hasattr(sys.modules[plugin.origin], "__path__"):
        yield Problem(
            place=plugin.origin,
            found="a module",
            expected="a folder with __init__.py, README.md and samples/",
            do=f"make it a package: {plugin.origin.rpartition('.')[2]}/__init__.py",
        )
        return
    for name, kind in (("README.md", "the wire format and the table of fields"), ("samples", "a folder a case")):
        if not (plugin.folder / name).exists():
            yield Problem(
                place=shown(plugin.folder / name),
                found="nothing",
                expected=kind,
                do="write it; greenpower plugins new writes one to start from",
            )
    called = _called(plugin)
    if called != plugin.name:
        yield Problem(
            place=shown(plugin.folder / "__init__.py"),
            found=f"its first data type is named {plugin.name!r}",
            expected=f"{called!r}, as {'the folder' if plugin.origin.startswith(f'{PACKAGE}.') else 'the entry point'}",
            do="rename the one or the other: people find a type's plugin by its name",
        )


def _called(plugin: Plugin) -> str:
    """What a plugin is called where it is found."""
    points = metadata.entry_points(group=GROUP)
    return next(
        (point.name for point in points if point.value.partition(":")[0] == plugin.origin),
        plugin.origin.rpartition(".")[2],
    )


def check_readme(plugin: Plugin) -> Iterator[Problem]:
    """The README has the table of fields as it is now, and names all that is claimed."""
    path = plugin.folder / "README.md"
    if not path.is_file():
        return
    text = path.read_text("utf-8")
    try:
        current = with_tables(text, plugin.datatypes)
    except ValueError as error:
        yield Problem(
            place=shown(path),
            found=str(error),
            expected=f"<!-- fields: {plugin.name} --> and {END}, one below the other, for each data type",
            do="add the two lines, then run greenpower docs fields --write",
        )
    else:
        if current != text:
            yield Problem(
                place=shown(path),
                found="a table of fields that is not the one of the declaration",
                expected="the table as the declaration gives it",
                do="run greenpower docs fields --write",
            )
    for datatype in plugin.datatypes:
        claimed = [claim.topic for claim in datatype.topics]
        claimed += [claim.registration.rstrip("#") for claim in datatype.gateways]
        for claim in claimed:
            if claim not in text:
                yield Problem(
                    place=shown(path),
                    found=f"no word of {claim}",
                    expected=f"all that {datatype.name} claims is named",
                    do="say what is sent there",
                )
