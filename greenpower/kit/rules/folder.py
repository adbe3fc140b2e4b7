"""Rules for the name and folder of a plugin, and for its README."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata

from greenpower.catalog.registry import ENTRY_POINT_GROUP, PLUGINS_PACKAGE
from greenpower.datatype.table import TABLE_END, with_tables
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown


def check_folder(plugin: Plugin) -> Iterator[Problem]:
    """A plugin is a package with a README and samples, and has the name of its first data type."""
    if not hasattr(sys.modules[plugin.origin], "__path__"):
        yield Problem(
            place=plugin.origin,
            found="a single module",
            expected="a folder with __init__.py, README.md and samples/",
            fix=f"make it a package: {plugin.origin.rpartition('.')[2]}/__init__.py",
        )
        return
    for name, kind in (
        ("README.md", "the wire format and the table of fields"),
        ("samples", "a folder with one folder per sample"),
    ):
        if not (plugin.folder / name).exists():
            yield Problem(
                place=shown(plugin.folder / name),
                found="missing",
                expected=kind,
                fix="create it; greenpower plugins new creates one to start from",
            )
    installed_name = _installed_name(plugin)
    if installed_name != plugin.name:
        kind = "folder" if plugin.origin.startswith(f"{PLUGINS_PACKAGE}.") else "entry point"
        yield Problem(
            place=shown(plugin.folder / "__init__.py"),
            found=f"its first data type is named {plugin.name!r}",
            expected=f"{installed_name!r}, like the {kind}",
            fix="rename one of the two, so that people find the plugin of a data type",
        )


def _installed_name(plugin: Plugin) -> str:
    """The name of a plugin's entry point or folder."""
    points = metadata.entry_points(group=ENTRY_POINT_GROUP)
    return next(
        (point.name for point in points if point.value.partition(":")[0] == plugin.origin),
        plugin.origin.rpartition(".")[2],
    )


def check_readme(plugin: Plugin) -> Iterator[Problem]:
    """The README has the current table of fields and names everything that the plugin claims."""
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
            expected=f"<!-- fields: {plugin.name} --> and below it {TABLE_END}, for each data type",
            fix="add the two lines, then run greenpower docs fields --write",
        )
    else:
        if current != text:
            yield Problem(
                place=shown(path),
                found="the table of fields is out of date",
                expected="the table that follows from the declaration",
                fix="run greenpower docs fields --write",
            )
    for datatype in plugin.datatypes:
        claimed = [claim.topic for claim in datatype.topics]
        claimed += [claim.registration.rstrip("#") for claim in datatype.gateways]
        claimed += [claim.name for claim in datatype.pushes]
        for claim in claimed:
            if claim not in text:
                yield Problem(
                    place=shown(path),
                    found=f"{claim} is not mentioned",
                    expected=f"everything that {datatype.name} claims is mentioned",
                    fix=f"describe what devices send to {claim}",
                )
