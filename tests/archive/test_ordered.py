"""What files hold, in order of time and in order of the last write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pyarrow import fs

from greenpower.archive import files as files_module
from greenpower.archive.columns import to_table
from greenpower.archive.files import FileStore
from greenpower.archive.ordered import OrderedReadings
from greenpower.archive.updated import first_updated
from greenpower.mongo.client import Document
from tests.archive.world import MARCH, make_reading

MINUTE = timedelta(minutes=1)
END = datetime(2026, 4, 1, tzinfo=UTC)
PATHS = ("a.parquet", "b.parquet")


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FileStore, list[Document]]:
    """Two files, small row groups, devices that meet at the same times; two readings with no usual form."""
    monkeypatch.setattr(files_module, "ROW_GROUP_ROWS", 50)
    documents = []
    for number, device in enumerate(("A", "B", "Ä", "é")):
        for step in range(90):
            at = MARCH + step * 3 * MINUTE + (number % 2) * MINUTE
            payload: dict[str, Any] = {"g": step / 10, "c": step} if step % 4 else {"x": "text"}
            more = {"odd": [1, 2]} if step == 33 and device == "B" else {}
            document = make_reading(device, at, payload, **more)
            document["updated_at"] = MARCH + timedelta(seconds=(step * 37 + number * 11) % 200)
            documents.append(document)
    documents.sort(key=lambda document: (document["device_id"].encode(), document["timestamp"]))
    store = FileStore(fs.LocalFileSystem(), str(tmp_path), tmp_path)
    for path, part in zip(PATHS, (documents[:170], documents[170:]), strict=True):
        store.write(path, to_table(part))
    return store, documents


def ordered(store: FileStore, **asked: Any) -> OrderedReadings:
    span = {"devices": None, "begin": MARCH, "end": END} | {
        name: asked.pop(name) for name in ("devices", "begin", "end") if name in asked
    }
    groups = [group for path in PATHS for group in store.row_groups(path, **span)]
    return OrderedReadings(store, groups, **{"fields": None, "newest_first": False, **span, **asked})


def by_time(document: Document) -> tuple[datetime, bytes]:
    return document["timestamp"], document["device_id"].encode()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("devices", [None, ["Ä"], ["A", "é", "nobody"]])
def test_the_order_of_time(
    stored: tuple[FileStore, list[Document]], devices: Sequence[str] | None, newest_first: bool
) -> None:
    store, documents = stored
    begin, end = MARCH + 9 * MINUTE, MARCH + 200 * MINUTE
    wanted = [
        document for document in documents
        if begin <= document["timestamp"] < end and (devices is None or document["device_id"] in devices)
    ]  # fmt: skip
    wanted.sort(key=by_time, reverse=newest_first)
    found = ordered(store, devices=devices, begin=begin, end=end, newest_first=newest_first)
    assert len(found) == len(wanted) > 50
    assert list(found.keys()) == [(document["timestamp"], document["device_id"]) for document in wanted]
    assert found.documents(range(len(wanted))) == wanted
    assert found.documents([40, 3, 17]) == [wanted[40], wanted[3], wanted[17]]
    assert found.documents([]) == []


def test_some_fields(stored: tuple[FileStore, list[Document]]) -> None:
    store, documents = stored
    wanted = sorted(documents, key=by_time)
    found = ordered(store, fields=["c"]).documents(range(len(wanted)))
    assert [document["payload"] for document in found] == [
        {name: value for name, value in document["payload"].items() if name == "c"} for document in wanted
    ]


def test_nothing_of_a_span(stored: tuple[FileStore, list[Document]]) -> None:
    store, _ = stored
    found = ordered(store, begin=END, end=END + MINUTE)
    assert len(found) == 0 and list(found.keys()) == []


def test_the_order_of_the_last_write(stored: tuple[FileStore, list[Document]]) -> None:
    store, documents = stored
    wanted = sorted(documents, key=lambda document: (document["updated_at"], document["_id"]))
    until = MARCH + timedelta(seconds=150)
    expected = [document for document in wanted if document["updated_at"] < until]
    position: tuple[datetime, ObjectId] | None = None
    found: list[Document] = []
    while batch := first_updated(store, PATHS, position, until, 7):
        found += batch
        position = batch[-1]["updated_at"], batch[-1]["_id"]
    assert found == expected
    assert len({document["updated_at"] for document in expected}) < len(expected)


def test_the_devices_of_files(stored: tuple[FileStore, list[Document]]) -> None:
    store, _ = stored
    assert store.devices("a.parquet") | store.devices("b.parquet") == {"A", "B", "Ä", "é"}
