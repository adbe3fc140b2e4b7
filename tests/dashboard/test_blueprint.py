"""What the API serves of the page, without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from greenpower.catalog.registry import load_registry
from greenpower.config import Settings
from greenpower.dashboard.blueprint import make_blueprint

PAGE = Path(__file__).parents[2] / "greenpower/dashboard/page"


def client(built: Path, proxies: int = 0) -> FlaskClient:
    """A server of nothing but the page."""
    settings = Settings(_env_file=None, realtime_port=8123, api_trusted_proxies=proxies)  # type: ignore[call-arg]
    app = Flask("page", static_folder=None)
    app.register_blueprint(make_blueprint(settings, built))
    return app.test_client()


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A page that was built."""
    (tmp_path / "built/assets").mkdir(parents=True)
    (tmp_path / "built/index.html").write_text("<!doctype html><p>built")
    (tmp_path / "built/assets/a-1f2e.js").write_text("let a")
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "built"


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    answer = client(tmp_path).get("/")
    assert answer.status_code == 200 and "make page" in answer.text and answer.mimetype == "text/html"
    assert client(tmp_path).get("/dashboard/assets/a.js").status_code == 404


def test_the_page_is_asked_for_each_time_and_its_parts_once(built: Path) -> None:
    server = client(built)
    with server.get("/") as page, server.get("/dashboard/assets/a-1f2e.js") as part:
        assert page.data == b"<!doctype html><p>built" and page.headers["Cache-Control"] == "no-cache"
        assert part.data == b"let a" and "immutable" in part.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["../secret", "%2e%2e/secret", "assets/../../secret", "assets", ""])
def test_nothing_else_is_served(built: Path, path: str) -> None:
    assert client(built).get(f"/dashboard/{path}").status_code == 404


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8000", " http://localhost:8123 ws://localhost:8123;"),
        ("10.0.0.7:8000", " http://10.0.0.7:8123 ws://10.0.0.7:8123;"),
        ("[::1]:8000", " http://[::1]:8123 ws://[::1]:8123;"),
        ("a;script-src *", "connect-src 'self';"),
    ],
)
def test_the_policy_lets_the_page_reach_the_gateway_and_nothing_else(built: Path, host: str, allowed: str) -> None:
    with client(built).get("/", headers={"Host": host}) as page:
        policy = page.headers["Content-Security-Policy"]
    assert allowed in policy and "unsafe" not in policy and "*" not in policy


def test_behind_a_proxy_the_gateway_is_at_the_same_origin(built: Path) -> None:
    assert client(built).get("/dashboard/config.json").get_json()["realtime_port"] == 8123
    server = client(built, proxies=1)
    assert server.get("/dashboard/config.json").get_json()["realtime_port"] is None
    with server.get("/") as page:
        assert "connect-src 'self';" in page.headers["Content-Security-Policy"]


def test_the_page_knows_no_data_type_by_name() -> None:
    """A new plugin appears without touching the page, so what it names are fields of none."""
    source = "\n".join(path.read_text("utf-8") for path in sorted((PAGE / "src").rglob("*.ts*")))
    assert len(source) > 20_000
    for datatype in load_registry(None):
        for word in (datatype.name, datatype.endpoint, datatype.collection):
            assert word is None or not re.search(rf"""["'`/]{re.escape(word)}["'`/]""", source), word


def test_the_page_takes_nothing_from_elsewhere() -> None:
    sources = [PAGE / "index.html", *(PAGE / "src").rglob("*.*")]
    for path in sources:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"""["'(](https?:)?//[a-z]""", text), path
    assert not re.search(r"<script>|\son\w+=", (PAGE / "index.html").read_text("utf-8"))


def test_the_lock_names_no_address() -> None:
    lock = (PAGE / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock and lock.count('"integrity"') > 20
