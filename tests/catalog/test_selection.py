"""Which plugins are in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenpower.catalog.conflict import Loaded
from greenpower.catalog.registry import RegistryError, discover, get_registry, load_registry
from greenpower.catalog.selection import Selection, SelectionError
from greenpower.datatype import DataType, Field, Mqtt, json_parser
from tests.catalog.conftest import Install


def loaded(name: str, *, by_default: bool = True, origin: str = "") -> Loaded:
    datatype = DataType(
        name=name, title=name, collection=f"{name}_data", match=(Mqtt(name),), fields=(Field("v", unit="1"),),
        parse=json_parser(), by_default=by_default,
    )  # fmt: skip
    return Loaded(datatype=datatype, origin=origin or f"plugins.{name}")


FOUND = (
    loaded("rt"),
    loaded("solar"),
    loaded("day_data", origin="plugins.eny_now"),
    loaded("eny_now"),
    loaded("plug", by_default=False),
)


def chosen(text: str, *named: str) -> list[str]:
    return [item.datatype.name for item in Selection.of(text).choose(FOUND, named)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "rt solar day_data eny_now"),
        (" , ", "rt solar day_data eny_now"),
        ("rt", "rt"),
        ("plug, rt", "rt plug"),
        ("+plug", "rt solar day_data eny_now plug"),
        ("+plug,-solar, -rt", "day_data eny_now plug"),
        ("-eny_now", "rt solar"),
        ("-day_data", "rt solar eny_now"),
        ("eny_now", "day_data eny_now"),
        ("all", "rt solar day_data eny_now plug"),
        ("+all,-rt", "solar day_data eny_now plug"),
    ],
)
def test_names_choose(text: str, names: str) -> None:
    assert chosen(text) == names.split()


def test_what_a_site_file_changes_is_in_force_unless_the_list_says_otherwise() -> None:
    assert "plug" in chosen("", "plug")
    assert "plug" in chosen("-rt", "plug")
    assert chosen("rt", "plug") == ["rt"]
    assert "plug" not in chosen("-plug", "plug")


@pytest.mark.parametrize("text", ["rt,+plug", "-rt,plug", "nothing", "+nothing", "-nothing", "+"])
def test_a_list_that_cannot_be_used(text: str) -> None:
    with pytest.raises(SelectionError):
        Selection.of(text).choose(FOUND)


SOURCE = """
from greenpower.datatype import DataType, Field, Mqtt, json_parser
DATATYPE = DataType(
    name="shed", title="Shed", collection="shed_data", match=(Mqtt("shed"),), parse=json_parser(device="id"),
    fields=(Field("power", unit="kW"),), by_default=False,
)
"""


def test_the_setting_counts_before_the_site_file(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("shed", SOURCE)
    site = tmp_path / "site.toml"
    assert discover().get("shed") is None
    site.write_text('plugins = ["+shed"]')
    assert load_registry(site).get("shed") is not None
    site.write_text("[types.shed]\nstale_after = 7")
    assert load_registry(site)["shed"].stale_after == 7
    assert load_registry(site, "rt").get("shed") is None, "and its changes are no problem"
    monkeypatch.setenv("GREENPOWER_PLUGINS", "rt, shed")
    monkeypatch.setenv("GREENPOWER_SITE", str(site))
    get_registry.cache_clear()
    try:
        assert [datatype.name for datatype in get_registry()] == ["rt", "shed"]
    finally:
        get_registry.cache_clear()


def test_an_unknown_plugin_is_named_with_where_it_is_given(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text('plugins = ["hut"]')
    with pytest.raises(RegistryError, match="plugins: unknown plugin 'hut'"):
        load_registry(site)
    with pytest.raises(RegistryError, match="GREENPOWER_PLUGINS: unknown plugin 'den'"):
        load_registry(site, "den")
