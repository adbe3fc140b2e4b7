"""Archive runs: whole months move, readers see the same readings before and after, nothing is lost or doubled."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bson import ObjectId
from pydantic import SecretStr
from pymongo.database import Database

from greenpower.archive.columns import plain_bytes
from greenpower.archive.errors import ArchiveFileError
from greenpower.archive.files import FileStore
from greenpower.archive.read import ArchiveView
from greenpower.archive.restore import restore_month
from greenpower.archive.step import ArchiveStep
from greenpower.archive.verify import verify_archive
from greenpower.config import Settings
from greenpower.mongo.archive.manifest import ManifestTakenError, read_months, take_month
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.readings.gathered import READING_KEYS, SEEN_KEYS, fold_newest, newest_query, seen_query
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST, SEEN
from tests.archive.world import APRIL, JUNE, MARCH, MAY, archive, archiving, everything, fill, held, make_reading
from tests.rollups.world import POWER


def problems(db: Database[Document], settings: Settings) -> list[str]:
    return [problem for _, problem in verify_archive(db, settings) if problem]


def files_on_disk(settings: Settings) -> set[str]:
    root = settings.greenpower_home / "archive"
    return {str(path.relative_to(root)) for path in root.rglob("*.parquet")}


def files_in_manifest(db: Database[Document]) -> set[str]:
    return {file["path"] for month in read_months(db[ARCHIVE_MANIFEST]) for file in month["files"]}


def test_old_months_move_and_readers_see_the_same(db: Database[Document], settings: Settings) -> None:
    fill(db)
    before = everything(db, settings)
    assert len(before) == 480
    first = archive(db, settings, max_rows=50)
    assert (first.archived, first.deleted, held(db, MARCH, MAY)) == (240, 0, 240)  # what is named first stays a while
    assert everything(db, settings)[:240] != before[:240]  # month by month now
    in_both = everything(db, settings)
    second = archive(db, settings, max_rows=50)
    assert (second.archived, second.deleted) == (0, 240)
    assert (held(db, MARCH, MAY), held(db, MAY, JUNE + timedelta(30))) == (0, 240)
    assert everything(db, settings) == in_both
    assert sorted(in_both) == sorted(before)
    assert everything(db, settings, newest_first=True) == in_both[::-1]
    assert problems(db, settings) == []
    assert files_on_disk(settings) == files_in_manifest(db)
    assert archive(db, settings).months == 0


def test_readings_stay_for_a_while_after_they_are_archived(db: Database[Document], settings: Settings) -> None:
    fill(db)
    hour = timedelta(hours=1)
    assert archive(db, settings, clear_after=hour).archived == 240
    again = archive(db, settings, clear_after=hour)
    assert (again.archived, again.deleted, held(db, MARCH, MAY)) == (0, 0, 240)


def test_off_and_what_is_young(db: Database[Document], settings: Settings) -> None:
    fill(db)
    from greenpower.archive.run import run_archive

    assert run_archive(db, POWER, settings).archived == 0
    assert not ArchiveView(db, settings).covers(POWER.name, MARCH, JUNE)
    assert ArchiveView(db, settings).horizon(POWER.name) is None


def test_what_the_view_says_of_spans(db: Database[Document], settings: Settings) -> None:
    documents = fill(db)
    archive(db, settings)
    archive(db, settings)
    view = ArchiveView(db, settings)
    assert (view.oldest(POWER.name), view.horizon(POWER.name)) == (MARCH, MAY)
    assert view.covers(POWER.name, MAY - timedelta(days=1), MAY)
    assert not view.covers(POWER.name, MAY, JUNE)
    assert not view.covers("other", MARCH, MAY)
    asked = [(row["device_id"], row["timestamp"]) for row in (documents[0], documents[45], documents[90])]
    found = view.contains(POWER, [*asked, ("D1", MARCH - timedelta(1)), ("D9", MARCH), ("D1", MARCH + timedelta(1))])
    assert {key: plain_bytes(row) for key, row in found.items()} == {
        key: plain_bytes(row) for key, row in zip(asked, (documents[0], documents[45]), strict=False)
    }
    begin, end = MARCH + timedelta(hours=1), APRIL + timedelta(hours=1)
    rows = list(view.find(POWER, ["D2", "Ä"], begin, end, fields=["g"]))
    expected = [
        {**row, "payload": {"g": row["payload"]["g"]}}
        for row in documents
        if row["device_id"] != "D1" and begin <= row["timestamp"] < end
    ]
    assert sorted(map(plain_bytes, rows)) == sorted(map(plain_bytes, expected))


def test_what_comes_later_is_merged_by_readers_and_by_the_next_run(db: Database[Document], settings: Settings) -> None:
    fill(db)
    archive(db, settings, max_rows=30)
    # Between switch and deletion: an update of one that was archived.
    kept = db[POWER.collection].find_one_and_update(
        {"device_id": "D1", "timestamp": MARCH}, {"$set": {"payload.late": 7, "updated_at": JUNE}}, return_document=True
    )
    assert kept is not None
    archive(db, settings, max_rows=30)
    # After it: the same reading again with one new field, a duplicate, and new ones within, before and after files.
    again = make_reading("D2", MARCH + timedelta(minutes=16), {"g": 9.0, "new": 1})
    news = [make_reading(device, MARCH + timedelta(seconds=77), {"g": 1.25}) for device in ("A", "D1", "Z", "Ö")]
    same = next(iter(ArchiveView(db, settings).find(POWER, ["D1"], APRIL, MAY)))
    db[POWER.collection].insert_many([again, *news, {**same, "_id": ObjectId()}])
    seen = everything(db, settings)
    assert len(seen) == 484
    assert plain_bytes(kept) in seen
    for _ in range(3):
        archive(db, settings, max_rows=30)
    assert everything(db, settings) == seen
    # The newest reading of a device stays in MongoDB as well.
    assert {row["device_id"] for row in db[POWER.collection].find({"timestamp": {"$lt": MAY}})} == {"A", "Z", "Ö"}
    view = ArchiveView(db, settings)
    [merged] = view.contains(POWER, [("D2", again["timestamp"])]).values()
    assert (merged["payload"]["g"], merged["payload"]["new"]) == (230.91, 1)
    assert problems(db, settings) == []


def test_the_last_reading_of_a_device_stays_until_there_is_a_newer_one(
    db: Database[Document], settings: Settings
) -> None:
    rows = [make_reading(device, MARCH + timedelta(hours=n), {"g": n}) for device in ("D1", "D2") for n in range(5)]
    db[POWER.collection].insert_many(rows)
    for _ in range(3):
        archive(db, settings)
    assert [row["payload"] for row in db[POWER.collection].find()] == [{"g": 4}, {"g": 4}]
    assert len(everything(db, settings)) == 10
    db[POWER.collection].insert_one(make_reading("D1", JUNE, {"g": 9}))
    archive(db, settings)
    left = [(row["device_id"], row["payload"]["g"]) for row in db[POWER.collection].find().sort("timestamp")]
    assert left == [("D2", 4), ("D1", 9)]


def test_the_newest_value_of_each_gathered_field_stays(db: Database[Document], settings: Settings) -> None:
    """Of D1 a value came at a time for three fields; one of them has not come since the fourth hour."""
    rows = [make_reading("D1", MARCH + timedelta(hours=n), {"abc"[n % 3 if n < 5 else n % 2]: n}) for n in range(12)]
    rows += [make_reading("D2", MARCH + timedelta(hours=n), {"a": n}) for n in range(4)]
    rows += [make_reading("D1", JUNE, {"a": 99})]
    db[POWER.collection].insert_many(rows)
    newest = fold_newest(row for row in rows if row["device_id"] == "D1")["D1"]
    db[SEEN].insert_one({"_id": f"{POWER.name}|D1", "type": POWER.name, "device_id": "D1", "fields": newest.times})
    before = sorted(everything(db, settings))
    for _ in range(3):
        archive(db, settings)
    left = {(row["device_id"], *row["payload"].items()) for row in db[POWER.collection].find()}
    assert left == {("D1", ("a", 99)), ("D1", ("b", 11)), ("D1", ("c", 2)), ("D2", ("a", 3))}
    assert sorted(everything(db, settings)) == before
    seen = db[SEEN].find(seen_query(POWER.name, ["D1"]), SEEN_KEYS)
    found = db[POWER.collection].find(newest_query({"D1": JUNE}, seen), READING_KEYS)
    assert fold_newest(found)["D1"].values == newest.values


def test_months_come_back(db: Database[Document], settings: Settings) -> None:
    fill(db)
    before = everything(db, settings)
    archive(db, settings, max_rows=30)
    archive(db, settings, max_rows=30)
    db[POWER.collection].insert_one(make_reading("D1", MARCH, {"g": 5.0, "new": 1}))  # moved meanwhile
    seen = everything(db, settings)
    assert restore_month(db, POWER, settings, MARCH) == 120
    assert restore_month(db, POWER, settings, APRIL) == 120
    assert held(db, MARCH, MAY) == 240
    assert files_in_manifest(db) == set()
    assert not ArchiveView(db, settings).covers(POWER.name, MARCH, MAY)
    came_back = everything(db, settings)
    assert len(set(came_back) & set(before)) == 479
    assert len(came_back) == len(seen) == 480


@pytest.mark.parametrize("place", [0.0, 0.05, 0.33, 0.5, 0.66, 0.9, 0.999])
def test_damage_is_found_and_nothing_is_deleted(db: Database[Document], settings: Settings, place: float) -> None:
    """One wrong bit, also where no value is read from."""
    fill(db)
    archive(db, settings)
    for path in (settings.greenpower_home / "archive").rglob("*.parquet"):
        content = bytearray(path.read_bytes())
        content[int(len(content) * place)] ^= 1
        path.write_bytes(content)
    assert len(problems(db, settings)) == 2
    with pytest.raises(ArchiveFileError):
        archive(db, settings)
    assert held(db, MARCH, APRIL) == 120
    for path in (settings.greenpower_home / "archive").rglob("*.parquet"):
        path.unlink()
    assert len(problems(db, settings)) == 2
    with pytest.raises(ArchiveFileError):
        archive(db, settings)
    assert held(db, MARCH, MAY) == 240


def test_one_run_works_on_a_month(db: Database[Document], settings: Settings) -> None:
    fill(db)
    take_month(db[ARCHIVE_MANIFEST], POWER.name, MARCH, "another")
    with pytest.raises(ManifestTakenError):
        archive(db, settings)


def test_a_run_whose_lease_was_taken_switches_nothing(db: Database[Document], settings: Settings) -> None:
    fill(db)

    def steal(step: ArchiveStep) -> None:
        if step is ArchiveStep.COMPARED:
            db[ARCHIVE_MANIFEST].update_one({"month": MARCH}, {"$set": {"owner": "another"}})

    with pytest.raises(ManifestTakenError):
        archive(db, settings, tell=steal)
    assert files_in_manifest(db) == set()


def test_replaced_files_are_removed_later(db: Database[Document], settings: Settings) -> None:
    fill(db)
    archive(db, settings)
    db[POWER.collection].insert_one(make_reading("D1", MARCH + timedelta(seconds=5), {"g": 1.0}))
    archive(db, settings)
    assert len(files_on_disk(settings) - files_in_manifest(db)) == 1
    archive(db, settings, keep_replaced=timedelta(0))
    assert files_on_disk(settings) == files_in_manifest(db)


def test_files_are_for_their_owner_only(db: Database[Document], settings: Settings) -> None:
    fill(db)
    archive(db, settings)
    [*paths] = (settings.greenpower_home / "archive").rglob("*")
    assert paths
    assert {path.stat().st_mode & 0o077 for path in paths} == {0}


def test_a_folder_by_url(db: Database[Document], settings: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "a folder"
    settings = settings.model_copy(update={"archive_url": SecretStr(elsewhere.as_uri())})
    fill(db)
    archive(db, settings)
    assert len(list(elsewhere.rglob("*.parquet"))) == 2
    assert problems(db, settings) == []
    assert FileStore.of(settings).folder == elsewhere


KILLED = """
import os, signal, sys
from datetime import timedelta
from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from tests.archive.world import NOW, archive

settings = Settings.model_validate_json(sys.argv[1])
left = int(sys.argv[2])

def tell(step):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

with sync_client(settings) as client:
    db = client[settings.mongo_db_name]
    for _ in range(3):
        clear_after = timedelta(seconds=float(sys.argv[3]))
        archive(db, settings, max_rows=50, keep_replaced=clear_after, clear_after=clear_after, tell=tell)
"""


def killed_after(settings: Settings, steps: int, clear_after: float = 0.0) -> bool:
    """Whether a process that archives was killed before its end."""
    values = settings.model_dump(mode="json", include={"greenpower_home", "mongo_db_name", "archive_after_days"})
    given = Settings(_env_file=None, **values).model_dump_json(include=set(values))  # type: ignore[call-arg]
    environment = {**os.environ, "MONGO_DB_URI": settings.mongo_db_uri.get_secret_value()}
    script = KILLED.replace(
        "Settings.model_validate_json(sys.argv[1])", "Settings(_env_file=None, **__import__('json').loads(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, given, str(steps), str(clear_after)],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def expire_leases(db: Database[Document]) -> None:
    db[ARCHIVE_MANIFEST].update_many({}, {"$unset": {"owner": "", "until": ""}})


def check_kills(db: Database[Document], settings: Settings, steps: range) -> int:
    """Kill a run after each number of steps; after each, readers see all, and a next run brings all to an end."""
    kills = 0
    for count in steps:
        db[POWER.collection].delete_many({})
        db[ARCHIVE_MANIFEST].delete_many({})
        fill(db, per_month=30)
        archive(db, settings, max_rows=50)
        archive(db, settings, max_rows=50)
        late = [make_reading("D1", MARCH + timedelta(seconds=7 + n), {"g": 1.5 * n}) for n in range(40)]
        db[POWER.collection].insert_many([*late, make_reading("D2", MARCH + timedelta(minutes=1), {"n": 5})])
        seen = everything(db, settings)
        assert len(seen) == len(set(seen)) == 400
        if not killed_after(archiving(settings), count):
            break
        kills += 1
        assert everything(db, settings) == seen, count
        expire_leases(db)
        for _ in range(3):
            archive(db, settings, max_rows=50, keep_replaced=timedelta(0))
        assert everything(db, settings) == seen, count
        assert held(db, MARCH, MAY) == 0
        assert problems(db, settings) == []
        assert files_in_manifest(db) <= files_on_disk(settings)
    return kills


def test_kill_in_the_middle(db: Database[Document], settings: Settings) -> None:
    assert check_kills(db, settings, range(1, 3)) == 2


@pytest.mark.slow
def test_kill_at_every_step(db: Database[Document], settings: Settings) -> None:
    assert check_kills(db, settings, range(100)) >= 8


class Readers:
    """Threads that read all the time. `wrong`: what was not as it should be. A reading that took longer than the time
    after which readings are deleted does not count; the product looks the manifest up again then."""

    def __init__(self, settings: Settings, right: list[bytes], allowed: float) -> None:
        self.counted, self.wrong = 0, list[int]()
        self._asked = settings, right, allowed
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(2)]

    def _read(self) -> None:
        settings, right, allowed = self._asked
        with sync_client(settings) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                found = sorted(everything(client[settings.mongo_db_name], settings))
                if time.monotonic() - began < allowed:
                    self.counted += 1
                    if found != right:
                        self.wrong.append(len(found))

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_readers_see_all_while_runs_are_killed(db: Database[Document], settings: Settings) -> None:
    """Runs that archive, delete and are killed after each number of steps, while others read."""
    allowed = 5.0
    fill(db, per_month=30)
    with Readers(settings, sorted(everything(db, settings)), allowed) as readers:
        killed = 0
        for count in itertools.count():
            killed += killed_after(archiving(settings), count % 12, clear_after=allowed)
            expire_leases(db)
            if held(db, MARCH, MAY) <= 3:
                break
    assert readers.wrong == []
    assert killed >= 3 and readers.counted > 20
    assert problems(db, settings) == []


def test_times_of_months() -> None:
    from greenpower.archive.months import begin_of_month, end_of_month

    assert end_of_month(datetime(2026, 12, 1, tzinfo=MARCH.tzinfo)) == datetime(2027, 1, 1, tzinfo=MARCH.tzinfo)
    assert end_of_month(datetime(2028, 2, 1, tzinfo=MARCH.tzinfo)) == datetime(2028, 3, 1, tzinfo=MARCH.tzinfo)
    assert begin_of_month(JUNE - timedelta(milliseconds=1)) == MAY
