"""Reference pages generated from the code: data types, settings and commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.datatype.table import field_table

FIELDS_HEAD = """# Data types and fields

Generated from the declarations of the data types by `greenpower docs types --write`; do not edit. The README of each
plugin also describes its wire format.
"""
SETTINGS_HEAD = """# Settings

Generated from `greenpower/config.py` by `greenpower docs settings --write`; do not edit.

A setting comes from the environment, else from the file `.env`, else from a running `greenpower up` with the same
`GREENPOWER_HOME`, else it has its default. `greenpower config` prints the settings in force, with secrets masked. It
also reports names in `.env` that are not settings. A secret can be in a file: `JWT_SIGNING_KEY_FILE=/run/secrets/key`
stands for `JWT_SIGNING_KEY`.

| setting | default | meaning |
| --- | --- | --- |
"""
COMMANDS_HEAD = """# Commands

Generated from the help of the commands by `greenpower docs commands --write`; do not edit.
"""


def fields_page(datatypes: Iterable[DataType]) -> str:
    """docs/fields.md."""
    return FIELDS_HEAD + "".join(map(_type, datatypes))


def _type(datatype: DataType) -> str:
    tiers = ", ".join(f"`{collection}`" for collection in datatype.collections[1:])
    where = f"Stored in `{datatype.collection}`" + (f", summarised in {tiers}" if tiers else ", not summarised")
    return (
        f"\n## {datatype.name}\n\n{datatype.title}. {where}. A device counts as offline after a silence of "
        f"{datatype.stale_after} s, or of 2.5 times its usual interval if that is longer.\n\n{field_table(datatype)}"
    )


def settings_page() -> str:
    """docs/settings.md."""
    rows = []
    for name, field in Settings.model_fields.items():
        value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = "" if value in (None, "", PydanticUndefined) else f"`{str(value).lower() if value is False else value}`"
        secret = " (secret)" if isinstance(field.default, SecretStr) else ""
        rows.append(f"| `{name.upper()}` | {shown} | {_cell(field.description or '')}{secret} |\n")
    return SETTINGS_HEAD + "".join(rows)


def commands_page(group: click.Group) -> str:
    """docs/commands.md."""
    context = click.Context(group, info_name="greenpower")
    return COMMANDS_HEAD + "".join(_command(group, context, 2))


def _command(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    if level > 2:
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"\n{'#' * min(level - 1, 4)} `{f'{context.command_path} {usage}'.strip()}`\n\n"
        yield f"{' '.join((command.help or '').split())}\n"
        rows = [record for item in command.params if (record := item.get_help_record(context)) and item.name != "help"]
        if rows:
            yield "\n| option | meaning |\n| --- | --- |\n"
            yield from (f"| `{option.replace('|', chr(92) + '|')}` | {_cell(what)} |\n" for option, what in rows)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _command(child, click.Context(child, info_name=name, parent=context), level + 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
