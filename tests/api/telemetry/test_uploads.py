"""Files that are too long to be stored before the answer: kept for the worker, whose progress can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from werkzeug.test import TestResponse

from greenpower.api.http.context import get_context
from greenpower.api.http.large_body import MAX_UPLOAD_BYTES
from greenpower.api.telemetry.imports import MAX_AT_ONCE_BYTES, MAX_UPLOADS_WAITING
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.importing import upload as uploading
from greenpower.importing.upload import import_uploads
from greenpower.mongo.client import Document
from greenpower.mongo.imports.uploads import ABANDONED_AFTER, MAX_UPLOAD_ATTEMPTS, claim_upload, note_progress
from greenpower.mongo.schema.layout import UPLOADS
from greenpower.sql.audit_entry import AuditEntry
from greenpower.sql.extensions import db
from tests.api.energy.meter import Meters
from tests.process import Command
from tests.wait import wait_until

URL = "/api/telemetry/import/"
HEAD = "device_id,timestamp,volts,energy [Wh]\n"
BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
numbers = count(1)
pytestmark = pytest.mark.usefixtures("redis_url")


def long_file(rows: int = 2_500, device: str = "", bad: str = "") -> tuple[str, bytes]:
    """A device that is not registered, and a file of it that is too long to be stored at once."""
    device = device or f"U{next(numbers)}"
    lines = [f"{device},{BEGIN + n * QUARTER:%Y-%m-%dT%H:%MZ},230,{1000 * n}\n" for n in range(rows)]
    data = (HEAD + "".join(lines) + bad.replace("DEVICE", device)).encode()
    assert len(data) > MAX_AT_ONCE_BYTES
    return device, data


def send(meters: Meters, body: bytes, **query: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {meters.tokens['access']}"}
    query = {"type": "meter", "new_devices": "true", **query}
    return meters.client.post(URL, query_string=query, data=body, headers=headers)


def uploads(meters: Meters) -> Collection[Document]:
    return meters.database[UPLOADS]


def work(meters: Meters) -> int:
    """What the worker does."""
    with meters.app.app_context():
        return import_uploads(db.session(), uploads(meters), get_context().registry, meters.settings)


def shown(meters: Meters, sent: TestResponse) -> Document:
    found: Document = meters.body(sent.headers["Location"])
    return found


def test_a_file_is_kept_imported_and_told(meters: Meters) -> None:
    device, data = long_file(bad="DEVICE,2023-12-01T00:00Z,x,1\nOTHER,never,1,1\n")
    sent = send(meters, data)
    assert sent.status_code == 202, sent.text
    body = sent.get_json()
    assert (body["state"], body["bytes"], body["counts"], body["attempts"]) == ("queued", len(data), None, 0)
    assert shown(meters, sent) == body
    assert work(meters) == 1 and work(meters) == 0
    done = shown(meters, sent)
    counts = done["counts"]
    assert (done["state"], done["attempts"], done["error"]) == ("done", 1, "")
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    assert (counts["rows"], counts["stored"], counts["duplicate"]) == (2_502, 2_501, 0)
    assert counts["refused"] == {"bad-time": 1} and counts["left_out"] == {"not-a-number": 1}
    assert [one["line"] for one in counts["problems"]] == [2_502, 2_503]
    assert counts["devices_registered"] == [device]
    assert meters.database.meter_data.count_documents({"device_id": device}) == 2_501
    with meters.app.app_context():
        entry = db.session.query(AuditEntry).filter_by(object_type="import").order_by(AuditEntry.id.desc()).first()
        assert entry is not None and (entry.actor, entry.address) == ("admin", "127.0.0.1")
        assert entry.after is not None and entry.after["stored"] == 2_501
        db.session.remove()
    again = send(meters, data)
    work(meters)
    assert shown(meters, again)["counts"]["duplicate"] == 2_501
    assert not uploads(meters).count_documents({"data": {"$exists": True}})


def test_a_run_that_was_killed_is_taken_over(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    device, data = long_file(5_000)
    sent = send(meters, data)
    first = claim_upload(uploads(meters), datetime.now(UTC))
    assert first is not None and work(meters) == 0, "it is under way"
    now = datetime.now(UTC) - ABANDONED_AFTER - timedelta(seconds=1)
    uploads(meters).update_one({"_id": first["_id"]}, {"$set": {"seen_at": now}})
    # A run that wakes up after another has taken over stops.
    real = note_progress

    def taken_meanwhile(*args: Any) -> bool:
        uploads(meters).update_one({"_id": first["_id"]}, {"$inc": {"attempts": 1}, "$set": {"seen_at": now}})
        monkeypatch.setattr(uploading, "note_progress", real)
        return real(*args)

    monkeypatch.setattr(uploading, "note_progress", taken_meanwhile)
    assert work(meters) == 2
    done = shown(meters, sent)
    assert (done["state"], done["attempts"]) == ("done", 4)
    assert (done["counts"]["stored"], done["counts"]["duplicate"]) == (3_000, 2_000)
    assert meters.database.meter_data.count_documents({"device_id": device}) == 5_000


def test_a_file_that_kills_each_run_is_given_up(meters: Meters) -> None:
    sent = send(meters, long_file()[1])
    long_ago = datetime.now(UTC) - 2 * ABANDONED_AFTER
    for _ in range(MAX_UPLOAD_ATTEMPTS):
        assert claim_upload(uploads(meters), datetime.now(UTC)) is not None
        uploads(meters).update_one({}, {"$set": {"seen_at": long_ago}})
    assert work(meters) == 0
    given_up = shown(meters, sent)
    assert given_up["state"] == "failed" and "too often" in given_up["error"]


def test_a_dry_run_stores_nothing_and_is_in_no_audit(meters: Meters) -> None:
    sent = send(meters, long_file()[1], dry_run="true")
    work(meters)
    assert shown(meters, sent)["counts"]["stored"] == 2_500 and shown(meters, sent)["counts"]["dry_run"] is True
    assert not meters.database.meter_data.count_documents({})


def test_bounds(meters: Meters) -> None:
    too_long = send(meters, b"x" * (MAX_UPLOAD_BYTES + 1))
    assert too_long.status_code == 413 and "8 MiB" in too_long.get_json()["message"]
    no_file = send(meters, b"a,b\n" + b"x,y\n" * MAX_AT_ONCE_BYTES)
    assert no_file.status_code == 422 and no_file.get_json()["errors"]["file"]
    assert meters.get(f"{URL}none/").status_code == 404
    data = long_file()[1]
    for _ in range(MAX_UPLOADS_WAITING):
        assert send(meters, data).status_code == 202
    refused = send(meters, data)
    assert refused.status_code == 429 and refused.headers["Retry-After"]


def refused_by_length(port: int, headers: Mapping[str, str]) -> int:
    """The status for a body that is said to be too long. It is not sent: who goes on sending may not see the answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection):
        connection.putrequest("POST", f"{URL}?type=rt")
        for name, value in {**headers, "Content-Length": str(MAX_UPLOAD_BYTES + 1)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status


def test_a_year_through_the_api_and_the_worker(settings: Settings, tmp_path: Path) -> None:
    """As a user sends it: 35 040 quarter-hours to `greenpower api`, imported by `greenpower worker`."""
    init_sql(settings)
    lines = [f"Y1,{BEGIN + n * QUARTER:%Y-%m-%dT%H:%M:%SZ},{230 + n % 7},{50 - n % 3 / 10}\n" for n in range(35_040)]
    data = ("device_id,timestamp,ua,f\n" + "".join(lines)).encode()
    with (
        Command(settings, "api", folder=tmp_path) as api,
        Command(settings, "worker", folder=tmp_path) as worker,
        httpx.Client(base_url=f"http://127.0.0.1:{settings.api_port}", timeout=60) as client,
    ):
        api.wait_listening(settings.api_port)
        login = {"username": "admin", "password": "correct horse"}
        access = client.post("/api/users/token/", json=login).json()["access"]
        query = {"type": "rt", "new_devices": "true"}
        stranger = client.post(URL, params=query, content=data[:MAX_AT_ONCE_BYTES])
        assert stranger.status_code == 401
        headers = {"Authorization": f"Bearer {access}"}
        assert refused_by_length(settings.api_port, headers) == 413
        sent = client.post(URL, params=query, content=data, headers=headers)
        assert sent.status_code == 202, sent.text

        def is_done() -> bool:
            assert worker.process.poll() is None, worker.log.read_text()
            state = client.get(sent.headers["Location"], headers=headers).json()["state"]
            assert state != "failed"
            return bool(state == "done")

        wait_until(is_done, 120)
        counts = client.get(sent.headers["Location"], headers=headers).json()["counts"]
        assert (counts["rows"], counts["stored"], counts["refused"]) == (35_040, 35_040, {})
        with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
            assert mongo[settings.mongo_db_name].grid_rt_data.count_documents({"device_id": "Y1"}) == 35_040
