"""`pytest --greenpower`: one test for every rule and every installed plugin.

pytest loads this module in every run. So it imports the kit only if the option is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from greenpower.kit.plugin import Plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("greenpower", "Green Power plugins")
    group.addoption("--greenpower", action="store_true", help="Test the rules for all Green Power plugins.")
    group.addoption(
        "--greenpower-plugin", action="append", default=[], metavar="NAME",
        help="With --greenpower: only this plugin; may be repeated.",
    )  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before -k and -m deselect tests
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the rules to the collected tests."""
    if not config.getoption("--greenpower"):
        return
    from greenpower.kit.contract import RULES

    for plugin in _chosen(config):
        for rule in RULES:
            items.append(RuleItem.from_parent(session, name=f"{plugin.name}: {rule}", plugin=plugin, rule=rule))


def _chosen(config: pytest.Config) -> Iterator[Plugin]:
    from greenpower.catalog.registry import RegistryError, discover
    from greenpower.catalog.selection import ALL
    from greenpower.kit.plugin import find_plugin, plugins_of
    from greenpower.kit.problem import PluginError

    try:
        registry = discover(plugins=ALL)
        names: list[str] = config.getoption("--greenpower-plugin")
        yield from [find_plugin(registry, name) for name in names] or plugins_of(registry)
    except (PluginError, RegistryError) as error:
        raise pytest.UsageError(str(error)) from None


class BrokenRule(AssertionError):
    """A plugin breaks a rule."""


class RuleItem(pytest.Item):
    """One rule, tested on one plugin."""

    def __init__(self, *, plugin: Plugin, rule: str, **options: Any) -> None:
        super().__init__(**options)
        self.plugin, self.rule = plugin, rule

    def runtest(self) -> None:
        """Fail if the rule finds a problem."""
        from greenpower.kit.contract import problems

        if found := problems(self.plugin, self.rule):
            raise BrokenRule("\n".join(map(str, found)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The problems, without a traceback."""
        if isinstance(excinfo.value, BrokenRule):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int | None, str]:
        """The file of the plugin."""
        return str(self.plugin.folder / "__init__.py"), None, self.name
