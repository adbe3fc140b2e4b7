"""Fixtures of the dashboard's tests: the stack, a real browser, and a page in it that must not complain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pydantic import SecretStr

from greenpower.config import Settings
from greenpower.dashboard.blueprint import BUILT
from greenpower.stack import Mongod, Mosquitto, Valkey
from greenpower.stack.port import free_port
from tests.dashboard.world import METER, PASSWORD, ZONE, World
from tests.need import need

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
# It runs as root in containers, has no need of a graphics card, and shall call nobody.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = (1280, 850), (390, 844)


@pytest.fixture(scope="package")
def world(
    tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto
) -> Iterator[World]:
    """The stack that all tests of the page share."""
    need((BUILT / "index.html").is_file(), "the page is not built: make page")
    need(Path(CHROMIUM).is_file(), "there is no chromium: apt-get install chromium")
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()  # of tests before these, devices that are nowhere else would have cards
    folder = tmp_path_factory.mktemp("dashboard")
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=folder,
        secret_key=SecretStr("s" * 40),
        jwt_signing_key=SecretStr("j" * 40),
        admin_password=SecretStr(PASSWORD),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name=f"test_{uuid4().hex[:12]}",
        redis_url=SecretStr(valkey.url),
        mqtt_broker=mosquitto.host,
        mqtt_port=mosquitto.port,
        mqtt_client_id=f"test-{uuid4().hex[:12]}",
        device_timezone=ZONE,
        api_port=free_port(),
        realtime_port=free_port(),
        ingest_http_port=free_port(),
        api_login_limit="",
        api_account_limit="",
        downlink_interlocked=METER,
    )
    with World(settings, folder, (mosquitto.host, mosquitto.port)) as stack:
        yield stack


@pytest.fixture(scope="package")
def browser(world: World) -> Iterator[Browser]:
    """Debian's chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visit:
    """A page in a browser of its own. complaints: what its console said of errors. forgiven: what may be in
    them: the browser itself writes refused requests and connections there."""

    def __init__(self, world: World, context: BrowserContext) -> None:
        self.world = world
        self.page: Page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.forgiven: tuple[str, ...] = ()
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, place: str = "") -> Page:
        """Go to a place of the page."""
        self.page.goto(f"{self.world.base}/{place}")
        return self.page

    def log_in(self, password: str = PASSWORD) -> Page:
        """Fill in the form."""
        self.page.fill("input[name=username]", "admin")
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        return self.page


def settled(page: Page) -> None:
    """Wait until the chart is not drawn anew any more: it is when more comes than it was made for."""
    page.wait_for_function(
        """() => {
            const found = document.querySelector(".u-over"), before = window.chartSeen;
            window.chartSeen = found;
            return found !== null && found === before;
        }""",
        polling=300,
    )


def chart_in_view(page: Page) -> dict[str, float]:
    """Scroll the chart into view. Returns where it is: `x`, `y`, `width`, `height`. At once: it may be drawn anew."""
    found: dict[str, float] = page.evaluate(
        """() => {
            const chart = document.querySelector(".u-over");
            chart.scrollIntoViewIfNeeded();  // of Chromium
            const {x, y, width, height} = chart.getBoundingClientRect();
            return {x, y, width, height};
        }"""
    )
    return found


@pytest.fixture
def visitor(world: World, browser: Browser) -> Iterator[Visit]:
    """Somebody who opened the page and has not logged in. The console must stay quiet."""
    context = browser.new_context(
        viewport={"width": WIDE[0], "height": WIDE[1]}, timezone_id=ZONE, locale="en-GB", color_scheme="light"
    )
    visit = Visit(world, context)
    visit.open()
    yield visit
    context.close()
    assert [said for said in visit.complaints if not any(part in said for part in visit.forgiven)] == []


@pytest.fixture
def visit(visitor: Visit) -> Visit:
    """Somebody who has logged in."""
    visitor.log_in().wait_for_selector(".connection.live")
    return visitor
