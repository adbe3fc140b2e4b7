"""Generated documentation: nothing is stale, and what is made from the schema says what the schema says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from greenpower.api.http.openapi import operations
from greenpower.cli import docs
from greenpower.cli.main import group

MAX_PICTURE_BYTES = 150_000


@pytest.mark.parametrize("part", docs.GENERATED_PAGES)
def test_nothing_is_stale(part: str) -> None:
    result = CliRunner().invoke(group, ["docs", part])
    assert (result.exit_code, result.output) == (0, "")


def test_all_of_it_is_written_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = docs.ROOT / "docs" / "alarms.md"
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    text = alarms.read_text("utf-8")  # of which one table is generated
    (tmp_path / "docs" / "alarms.md").write_text(
        text.replace("### `threshold`: Value", "### `threshold`: Old value"), "utf-8"
    )
    assert CliRunner().invoke(group, ["docs", "all"]).exit_code == 1
    assert CliRunner().invoke(group, ["docs", "all", "--write"]).exit_code == 0
    result = CliRunner().invoke(group, ["docs", "all"])
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "docs" / "alarms.md").read_text("utf-8") == text
    assert {path.name for path in (tmp_path / "docs").iterdir()} == {
        "alarms.md",
        "api.md",
        "commands.md",
        "fields.md",
        "settings.md",
    }


def test_the_collection_has_every_operation_and_no_secret() -> None:
    schema: dict[str, Any] = dict(docs.api_schema())
    collection = json.loads((docs.ROOT / docs.POSTMAN).read_text("utf-8"))
    requests = [item["request"] for folder in collection["item"] for item in folder["item"]]
    found = {(request["method"], request["url"]["raw"].removeprefix("{{baseUrl}}")) for request in requests}
    wanted = {(m.upper(), path.replace("{", ":").replace("}", "")) for path, m, _ in operations(schema)}
    assert found == wanted and len(requests) == len(wanted)
    assert {item["key"]: item["value"] for item in collection["variable"]}["password"] == ""
    for request in requests:
        if request.get("body", {}).get("mode") == "raw":
            assert isinstance(json.loads(request["body"]["raw"]), dict)


def test_every_page_is_listed_once() -> None:
    folder = docs.ROOT / "docs"
    trees = re.findall(r"```\{toctree\}\n(.*?)```", (folder / "index.md").read_text("utf-8"), re.DOTALL)
    listed = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    assert len(listed) == len(set(listed))
    assert {name for name in listed if "*" not in name} == {path.stem for path in folder.glob("*.md")} - {"index"}


def test_pictures_are_there_and_small() -> None:
    for page in (docs.ROOT / "README.md", *(docs.ROOT / "docs").glob("*.md")):
        for place in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text("utf-8")):
            assert (page.parent / place).stat().st_size < MAX_PICTURE_BYTES, place
