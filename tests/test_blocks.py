"""Every command in the documentation, run as it is printed, in a fresh copy of the tree, up to a new card."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from greenpower.config import Settings
from greenpower.dashboard.blueprint import BUILT
from tests.blocks import COMMAND, ROOT, UP, Block, Shell, blocks, commands, pages
from tests.dashboard.conftest import ARGUMENTS, CHROMIUM
from tests.need import need
from tests.stack.up import OF_MAKE, Up
from tests.wait import wait_until

TUTORIAL = ROOT / "docs" / "plugin-tutorial.md"
LEFT_BEHIND = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".env",
    "var",
    "node_modules",
    "build",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "*.egg-info",
    ".exported",
)
# pip else downloads what a package is built with, which is installed here.
OFFLINE = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}


class MakeUp(Up):
    """`make up`, as it is printed."""

    command: Sequence[str] = ("make", "--no-print-directory", "up")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A clone in which the tutorial was followed up to `make up`, and what that started."""

    clone: Path
    shell: Shell
    up: Up
    rest: list[Block]


def make_clone(folder: Path) -> Path:
    """A copy of the tree with a .venv of its own, which shares what this one has installed."""
    clone = folder / "greenpower"
    shutil.copytree(ROOT, clone, ignore=LEFT_BEHIND)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", clone / ".venv"], check=True, timeout=60)
    binaries = clone / ".venv" / "bin"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    shared = clone / ".venv" / "lib" / version / "site-packages" / "shared.pth"
    shared.write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    for name, module in (("pip", "pip"), ("pytest", "pytest")):
        script = binaries / name
        script.write_text(f'#!/bin/sh\nexec {binaries}/python -m {module} "$@"\n')
        script.chmod(0o755)
    install = [str(binaries / "pip"), "install", "-q", "--no-deps", "-e", str(clone)]
    subprocess.run(install, check=True, timeout=60, env={**os.environ, **OFFLINE})
    modules = Path("greenpower", "dashboard", "page", "node_modules")
    (clone / modules).symlink_to(ROOT / modules)
    for done in (".venv/.installed", ".venv/.installed-all", "greenpower/dashboard/built/index.html"):
        (clone / done).touch()
    return clone


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The tutorial up to `make up`, with `make up` running."""
    need((BUILT / "index.html").is_file(), "the page is not built: make page")
    clone = make_clone(tmp_path_factory.mktemp("blocks"))
    names = {name.upper() for name in Settings.model_fields} | OF_MAKE
    env = {name: value for name, value in os.environ.items() if name not in names and not name.startswith("PYTEST")}
    shell = Shell(clone, env | OFFLINE)
    before = commands(TUTORIAL)
    at = next(number for number, block in enumerate(before) if block.text == UP)
    for block in before[:at]:
        shell.run(block)
    up = MakeUp(clone / "var")
    try:
        up.line("ready")
        yield World(clone=clone, shell=shell, up=up, rest=before[at + 1 :])
        up.interrupt()
    finally:
        up.end()


def test_commands_are_in_blocks_that_are_run_or_say_why_not() -> None:
    for page in pages():
        for block in blocks(page):
            if block.language == "":
                assert not COMMAND.search(block.text), f"{block} holds commands: begin it with ```sh"
            assert not block.reason or len(block.reason) > 10, block
    left = [str(block) for page in pages() for block in blocks(page) if block.is_shell and block.reason]
    run = [str(block) for page in pages() for block in commands(page)]
    print(
        f"{len(run)} command blocks are run, {len(left)} are not: {', '.join(left)}"
    )  # python -m tests.blocks says why
    assert len(run) > len(left)


def test_a_reason_is_of_the_block_below_it_and_fences_may_hold_fences(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: it takes\na day -->\n```sh\na\n```\n<!-- other -->\n```sh\nb\n```\n````sh\n```\nc\n```\n````\n"
    )
    found = [(block.line, block.text, block.reason) for block in blocks(page)]
    assert found == [(3, "a\n", "it takes a day"), (7, "b\n", ""), (10, "```\nc\n```\n", "")]
    assert [block.text for block in commands(page)] == ["b\n", "```\nc\n```\n"]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_tutorial_leads_to_cards_with_live_values(world: World) -> None:
    need(Path(CHROMIUM).is_file(), "there is no chromium: apt-get install chromium")
    ready = world.up.line("ready")
    settings = (world.clone / "var" / "run" / "settings.env").read_text()
    password = re.search(r"^ADMIN_PASSWORD='?(.+?)'?$", settings, re.MULTILINE)
    address = re.search(r"API (http://\S+?)/api/", ready)
    assert password is not None and address is not None, ready
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        page = browser.new_page()
        page.goto(f"{address[1]}/")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", password[1])
        page.click("button[type=submit]")
        for title, name, field in (("Battery storage", r"-\d+", "p_kw"), ("PV inverter", r"INVGW\d+-2", "frequency")):
            card = page.locator(f'section[aria-label="{title}"] li').filter(has_text=re.compile(name)).first
            card.scroll_into_view_if_needed(timeout=60_000)
            shown = card.locator(f'[data-field="{field}"]')
            expect(shown).to_contain_text(re.compile(r"\d (kW|Hz)"), timeout=60_000)
            expect(shown).not_to_have_text(shown.inner_text(), timeout=60_000)
        browser.close()
    for block in world.rest:
        run(world, block)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "page", [page for page in pages() if page != TUTORIAL and commands(page)], ids=lambda page: page.stem
)
def test_the_commands_of_a_page_work_as_printed(world: World, page: Path) -> None:
    for block in commands(page):
        if block.text != UP:  # it is what this world is
            run(world, block)


def run(world: World, block: Block) -> None:
    """Run a block. One that asks for telemetry or devices is run again until a simulated device has sent some."""
    if '"$API/telemetry/' in block.text:
        wait_until(lambda: '"device_id"' in world.shell.run(block), 60, every=1)
    elif '"$API/devices/' in block.text:
        wait_until(lambda: works(world, block), 120, every=1)
    else:
        world.shell.run(block)


def works(world: World, block: Block) -> bool:
    """Whether each command of a block ends well."""
    try:
        world.shell.run(block)
    except AssertionError as error:
        print(error)
        return False
    return True
