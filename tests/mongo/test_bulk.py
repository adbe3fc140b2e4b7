"""Failed writes against a real server: what is a document's own fault, and what is the server's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure, PyMongoError

from greenpower.config import Settings
from greenpower.mongo.bulk import Inserted, insert_each
from greenpower.mongo.client import Document, async_client
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.store import Fragment, merge_fragments, store_readings
from greenpower.stack import Mongod

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def collection(settings: Settings, name: str = "things") -> AsyncIterator[AsyncCollection[Document]]:
    async with async_client(settings) as client:
        yield client[settings.mongo_db_name][name]


def run(settings: Settings, work: Callable[[AsyncCollection[Document]], Awaitable[Any]]) -> Any:
    """Run `work` with a collection."""

    async def go() -> Any:
        async with collection(settings) as things:
            return await work(things)

    return asyncio.run(go())


def documents(*values: object) -> list[Document]:
    return [{"_id": ObjectId(), "value": value} for value in values]


def test_all_is_stored(settings: Settings) -> None:
    async def work(things: AsyncCollection[Document]) -> tuple[Inserted, int]:
        return await insert_each(things, documents(1, 2, 3)), await things.count_documents({})

    inserted, count = run(settings, work)
    assert (inserted.duplicates, inserted.faults, count) == ([], {}, 3)


@pytest.mark.parametrize("value", [2**63, 10**30, "\ud800", {1: 2}, object(), {"a\0b": 1}])
def test_a_value_without_bson_costs_only_its_document(settings: Settings, value: object) -> None:
    async def work(things: AsyncCollection[Document]) -> tuple[Inserted, list[Any]]:
        inserted = await insert_each(things, documents(1, value, 3, value))
        return inserted, sorted([document["value"] async for document in things.find()])

    inserted, stored = run(settings, work)
    assert set(inserted.faults) == {1, 3}
    assert stored == [1, 3]


def test_a_document_that_the_server_refuses_costs_only_itself(settings: Settings) -> None:
    async def work(things: AsyncCollection[Document]) -> tuple[Inserted, int]:
        await things.database.create_collection(things.name, validator={"value": {"$lt": 10}})
        return await insert_each(things, documents(1, 99, 3)), await things.count_documents({})

    inserted, count = run(settings, work)
    assert set(inserted.faults) == {1}
    assert count == 2


def nested(levels: int) -> Document:
    """A document in a document, so many levels deep."""
    inner: Document = {}
    for _ in range(levels):
        inner = {"in": inner}
    return inner


def test_of_a_batch_that_is_refused_whole_each_is_tried_alone(settings: Settings) -> None:
    """Nesting beyond the server's limit: it reads no further, and says of no document that it was this one."""
    known = documents("known")

    async def work(things: AsyncCollection[Document]) -> tuple[Inserted, int]:
        await insert_each(things, known)
        batch = [*documents(1, nested(250)), *known, *documents(3)]
        return await insert_each(things, batch), await things.count_documents({})

    inserted, count = run(settings, work)
    assert (set(inserted.faults), inserted.duplicates, count) == ({1}, [2], 3)


def test_where_all_are_refused_nobody_is_to_blame(settings: Settings) -> None:
    async def work(things: AsyncCollection[Document]) -> None:
        await insert_each(things, documents(nested(250), nested(250)))

    with pytest.raises(OperationFailure):
        run(settings, work)


def test_duplicates_are_told(settings: Settings) -> None:
    async def work(things: AsyncCollection[Document]) -> Inserted:
        await things.create_index("value", unique=True)
        await insert_each(things, documents(1, 2))
        return await insert_each(things, documents(2, 5, 1))

    assert sorted(run(settings, work).duplicates) == [0, 2]


def test_a_server_that_refuses_everything_is_not_the_documents_fault(settings: Settings) -> None:
    async def work(things: AsyncCollection[Document]) -> None:
        await things.database.command("create", "view", viewOn="things", pipeline=[])
        await insert_each(things.database["view"], documents(1, 2))

    with pytest.raises(PyMongoError):
        run(settings, work)


def test_a_write_is_repeated_until_the_server_is_back(settings: Settings, tmp_path: Path) -> None:
    with Mongod(tmp_path / "mongod") as mongod:
        using = Settings.model_validate({**settings.model_dump(), "mongo_db_uri": mongod.uri})
        retried: list[Exception] = []

        async def go() -> int:
            async with async_client(using, serverSelectionTimeoutMS=200) as client:
                things = client[using.mongo_db_name]["things"]
                batch = documents(1, 2, 3)
                await insert_each(things, documents(0))
                mongod.kill()
                writing = asyncio.create_task(
                    until_written(lambda: insert_each(things, batch), on_retry=retried.append)
                )
                while not retried:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(mongod.start)
                await writing
                return await things.count_documents({})

        assert asyncio.run(go()) == 4


def part(payload: dict[str, float], second: int = 0, *, complete: bool = False) -> Fragment:
    return Fragment("meter", "MQTT_RT_DATA", NOW + timedelta(seconds=second), NOW, dict(payload), complete)


async def _with_index(things: AsyncCollection[Document]) -> None:
    await things.create_index([("device_id", 1), ("timestamp", 1)], unique=True)


def test_parts_of_a_reading_that_processes_store_at_once_all_meet(settings: Settings) -> None:
    """Eight writers, each with one packet of the same ten readings."""

    async def work(things: AsyncCollection[Document]) -> list[Document]:
        await _with_index(things)
        batches = [[part({f"f{writer}": writer}, second) for second in range(10)] for writer in range(8)]
        await asyncio.gather(*(store_readings(things, merge_fragments(batch)) for batch in batches))
        assert all(item.new for batch in batches for item in batch)
        return [document async for document in things.find()]

    stored = run(settings, work)
    assert len(stored) == 10
    assert all(document["payload"] == {f"f{n}": n for n in range(8)} for document in stored)


def test_the_first_value_stays_and_the_conflict_is_told(settings: Settings) -> None:
    async def work(things: AsyncCollection[Document]) -> tuple[list[Fragment], Document | None]:
        await _with_index(things)
        parts = [part({"a": 1.0}), part({"a": 2.0, "b": 3.0}), part({"a": 1.0}), part({"b": 4.0}, complete=True)]
        await store_readings(things, merge_fragments(parts[:2]))
        await store_readings(things, merge_fragments(parts[2:]))
        return parts, await things.find_one()

    parts, stored = run(settings, work)
    assert stored["payload"] == {"a": 1.0, "b": 3.0}
    assert stored["complete"] is True
    assert [item.new for item in parts] == [True, True, False, False]
    assert [item.conflicts for item in parts] == [(), ("a",), (), ("b",)]


def test_storing_the_same_drafts_again_changes_nothing(settings: Settings) -> None:
    """As after a write whose answer was lost."""

    async def work(things: AsyncCollection[Document]) -> tuple[list[Fragment], list[Document]]:
        await _with_index(things)
        parts = [part({"a": 1.0}), part({"b": 2.0}), part({"a": 1.0}, 1)]
        drafts = merge_fragments(parts)
        await store_readings(things, drafts)
        await store_readings(things, drafts)
        return parts, [document async for document in things.find().sort("timestamp")]

    parts, stored = run(settings, work)
    assert [document["payload"] for document in stored] == [{"a": 1.0, "b": 2.0}, {"a": 1.0}]
    assert all(item.new for item in parts)


@pytest.mark.parametrize("fragments", [1, 2])
def test_what_is_stored_at_a_later_try_has_no_fault(settings: Settings, fragments: int) -> None:
    """The rest of its batch was tried again, and the server takes it now."""

    async def work(things: AsyncCollection[Document]) -> None:
        await things.database.create_collection(things.name, validator={"payload.ua": {"$lt": 0}})
        readings = merge_fragments(
            [Fragment("D1", "T", NOW, NOW, {"ua": 1.0 + number}, False) for number in range(fragments)]
        )
        await store_readings(things, readings)
        assert all(fragment.fault and not fragment.new for fragment in readings[0].fragments)
        await things.database.command("collMod", things.name, validator={})
        await store_readings(things, readings)
        assert await things.count_documents({}) == 1
        assert [fragment.fault for fragment in readings[0].fragments] == [""] * fragments
        assert readings[0].fragments[0].new and readings[0].added == {"ua": 1.0}

    run(settings, work)
