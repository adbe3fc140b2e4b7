"""Channels and the log, over the API and the console: who sees and changes which, and that no address comes out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from greenpower.api.http.context import get_context
from greenpower.app import create_app
from greenpower.catalog.registry import get_registry
from greenpower.cli import notify as notify_command
from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.mongo.schema.layout import NOTIFICATIONS, ensure_indexes
from greenpower.notify.channels import find_target
from greenpower.notify.notice import Attachment, Notice
from greenpower.notify.put import put
from greenpower.sql import RoleName
from greenpower.sql.session import sql_session
from greenpower.stack import Mongod
from tests.api.conftest import KEY, close_app
from tests.api.world import SqlApi

CHANNELS, LOG = "/api/notifications/channels/", "/api/notifications/log/"
SECRET = "s3cr3t-t0k3n"
URL = f"mailtos://me:{SECRET}@mail.example.org?to=team@example.org"
T0 = datetime(2026, 11, 1, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[SqlApi]:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path_factory.mktemp("channels"),
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name="test_channels",
    )
    init_sql(settings)
    app = create_app(settings)
    found = SqlApi(app, settings)
    ensure_indexes(found.database, get_registry(), settings)
    yield found
    found.database.client.drop_database("test_channels")
    close_app(app)


def test_a_channel_is_made_changed_and_deleted_and_its_address_is_never_shown(api: SqlApi) -> None:
    made = api.good("POST", CHANNELS, {"name": "Team", "url": URL}, code=201)
    assert (made["kind"], made["owner"], made["enabled"], made["created_by"]) == ("mailtos", None, True, "admin")
    one = f"{CHANNELS}{made['id']}/"
    assert api.good("GET", one) == made
    changed = api.good("PATCH", one, {"name": "Team 2", "url": f"jsons://h/{SECRET}", "enabled": False})
    assert (changed["name"], changed["kind"], changed["enabled"]) == ("Team 2", "jsons", False)
    assert api.ask("POST", CHANNELS, {"name": "Team 2", "url": URL}).status_code == 409
    entries = api.good("GET", "/api/audit/?object_type=notification_channel")["results"]
    assert [entry["action"] for entry in entries] == ["change", "create"]
    assert entries[1]["after"]["address"] == "(secret)" and entries[0]["after"]["address"] == "(changed)"
    assert SECRET not in str([made, changed, api.good("GET", CHANNELS), entries])
    api.good("DELETE", one, code=204)
    assert api.ask("GET", one).status_code == api.ask("DELETE", one).status_code == 404


@pytest.mark.parametrize(
    "body",
    [{"url": URL}, {"name": "x"}, {"name": "x", "url": f"file:///tmp/{SECRET}"}, {"name": "x", "url": "a\nb"},
     {"name": "x", "url": f"mailto://{SECRET}@h?template=/etc/passwd"}, {"name": "x", "url": URL, "owner": "nobody"}],
)  # fmt: skip
def test_no_channels(api: SqlApi, body: dict[str, object]) -> None:
    refused = api.ask("POST", CHANNELS, body)
    assert refused.status_code == 422 and SECRET not in refused.text


def test_operators_have_their_own_and_the_shared_ones_and_administrators_all(api: SqlApi) -> None:
    ada, bob, viewer = (
        api.user(name, role)["access"]
        for name, role in (("ada", RoleName.OPERATOR), ("bob", RoleName.OPERATOR), ("vera", RoleName.VIEWER))
    )
    shared = api.good("POST", CHANNELS, {"name": "shared", "url": URL}, code=201, token=bob)
    own = api.good("POST", CHANNELS, {"name": "ada's", "url": URL, "owner": "ada"}, code=201, token=ada)
    assert own["owner"] == "ada"
    assert api.ask("POST", CHANNELS, {"name": "x", "url": URL, "owner": "bob"}, token=ada).status_code == 422
    assert api.ask("PATCH", f"{CHANNELS}{shared['id']}/", {"owner": "ada"}, token=bob).status_code == 422

    def names(token: str | None) -> set[str]:
        return {row["name"] for row in api.good("GET", CHANNELS, token=token)["results"]}

    assert names(ada) == names(None) == {"shared", "ada's"} and names(bob) == {"shared"}
    one = f"{CHANNELS}{own['id']}/"
    for method, path in (("GET", one), ("PATCH", one), ("DELETE", one), ("POST", f"{one}test/")):
        assert api.ask(method, path, {} if method == "PATCH" else None, token=bob).status_code == 404
        assert api.ask(method, path, {} if method == "PATCH" else None, token=viewer).status_code == 403
    given = api.good("PATCH", one, {"owner": "bob"})
    assert given["owner"] == "bob" and names(ada) == {"shared"} and names(bob) == {"shared", "ada's"}
    # The log follows the channels.
    file = Attachment(name="r.pdf", media_type="application/pdf", data=b"pdf")
    notices = [
        Notice(key="k", channel_id=row["id"], subject="s", text="t", attachments=(file,)) for row in (shared, own)
    ]
    put(api.database, notices, now=T0, redis=None)

    def logged(token: str | None, query: str = "") -> set[str]:
        return {row["channel"] for row in api.good("GET", LOG + query, token=token)["results"]}

    assert logged(ada) == {"shared"} and logged(bob) == logged(None) == {"shared", "ada's"}
    assert logged(ada, f"?channel_id={own['id']}") == logged(None, "?state=sent") == set()
    assert logged(bob, f"?channel_id={own['id']}&state=waiting") == {"ada's"}
    entry = api.good("GET", f"{LOG}?channel_id={own['id']}")["results"][0]
    assert entry["attachments"] == [{"name": "r.pdf", "media_type": "application/pdf", "bytes": 3}]
    page = api.good("GET", f"{LOG}?page_size=1")
    assert (
        page["count"] == 2
        and api.get(page["next"]).get_json()["results"][0]["channel"] != page["results"][0]["channel"]
    )
    # A channel goes with its owner; one whose owner is not active is closed.
    bob_id = next(row["id"] for row in api.good("GET", "/api/users/")["results"] if row["username"] == "bob")
    api.good("PATCH", f"/api/users/{bob_id}/", {"active": False})
    with sql_session(api.settings) as session:
        assert find_target(session, own["id"]).closed and find_target(session, shared["id"]).url == URL
    api.good("DELETE", f"/api/users/{bob_id}/")
    assert names(None) == {"shared"}
    with sql_session(api.settings) as session:
        assert find_target(session, own["id"]).closed
    api.good("PATCH", f"{CHANNELS}{shared['id']}/", {"enabled": False})
    with sql_session(api.settings) as session:
        assert find_target(session, shared["id"]).closed


def test_a_test_waits_in_the_outbox(api: SqlApi) -> None:
    made = api.good("POST", CHANNELS, {"name": "to test", "url": URL}, code=201)
    found = api.good("POST", f"{CHANNELS}{made['id']}/test/", code=201)
    [entry] = api.good("GET", f"{LOG}?channel_id={made['id']}")["results"]
    assert (entry["id"], entry["state"], entry["attempts"]) == (found["notice"], "waiting", 0)
    assert entry["next_try"] and entry["said"] is entry["done_at"] is None


def test_by_the_console(api: SqlApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(notify_command, "load_settings", lambda: api.settings)

    def run(*arguments: str, given: str | None = None) -> str:
        result = CliRunner().invoke(notify_command.notify, arguments, input=given)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    told = run("add", "By hand", given=f"{URL}\n")
    number = told.split("channel ")[1].split()[0]
    listed = next(line for line in run("channels").splitlines() if "By hand" in line)
    assert listed.split() == [number, "By", "hand", "mailtos", "shared", "yes"]
    run("test", number)
    line = next(line for line in run("log", "--limit", "5", "--state", "waiting").splitlines() if "By hand" in line)
    assert "waiting" in line
    run("remove", number)
    assert f"({number})" in run("log")
    entries = api.good("GET", f"/api/audit/?object_type=notification_channel&object_id={number}")["results"]
    assert [entry["action"] for entry in entries] == ["delete", "change", "create"]
    assert {entry["actor_kind"] for entry in entries} == {"console"}
    assert SECRET not in told + str(entries)
    for wrong in (("add", "x", "--url", "syslog://"), ("test", "99999"), ("remove", "99999"),
                  ("add", "x", "--url", URL, "--owner", "nobody")):  # fmt: skip
        result = CliRunner().invoke(notify_command.notify, wrong)
        assert isinstance(result.exception, ConfigError), result.output
    with api.app.app_context():
        assert get_context().mongo.database[NOTIFICATIONS].count_documents({"channel_id": int(number)}) == 1
