"""The part of docs/alarms.md that is made from the kinds of rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from greenpower.alarms.kind import AlarmKind, KindParam

BEGIN, END = "<!-- kinds -->", "<!-- end of kinds -->"


def with_alarm_kinds(text: str, kinds: Iterable[AlarmKind]) -> str:
    """The page with the kinds between its marks. Raises ValueError where one is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/alarms.md has no {BEGIN} … {END}")
    table = "\n".join(line for kind in kinds for line in _lines(kind))
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def _lines(kind: AlarmKind) -> Iterator[str]:
    yield f"### `{kind.name}`: {kind.title}"
    yield ""
    subjects = ", ".join(sorted(subject.value for subject in kind.subjects))
    yield f"{kind.text} About: {subjects}."
    yield ""
    yield "| parameter | what | default |"
    yield "|---|---|---|"
    for item in kind.params:
        yield f"| `{item.name}` | {item.text}{_choices(item)} | {_default(item)} |"
    yield ""


def _choices(item: KindParam) -> str:
    return f"; one of {', '.join(f'`{choice}`' for choice in item.choices)}" if item.choices else ""


def _default(item: KindParam) -> str:
    if item.required:
        return "required"
    return "" if item.default is None else f"`{item.default}`"
