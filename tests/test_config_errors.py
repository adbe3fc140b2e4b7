"""What is said of bad settings: the name and the value that was given, never a library's own words or a secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from greenpower.config import ConfigError, Settings, load_settings, setting_warnings
from greenpower.config_errors import CONTAINER_NAMES, NO_TEXT, is_secret, setting_problem, unknown_settings
from tests.command import run_cli

ROOT = Path(__file__).parents[1]
FIELDS = Settings.model_fields
SECRETS = sorted(name for name, field in FIELDS.items() if is_secret(field))
# Words of the library's own texts.
LIBRARY = re.compile(
    r"Input should|Value error|validation error|unable to|pydantic|valid (string|integer|number|boolean)"
)
BAD = ("x", "-1", "1.5", "nan", "1e999", "9" * 30, " ", "a\nb", "\udcff", "é" * 200, "[1]", "null", "host:0", "../etc")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in FIELDS:
        monkeypatch.delenv(name.upper(), raising=False)


def problems(name: str, value: Any) -> list[str]:
    """The lines about one value of one setting."""
    try:
        Settings(_env_file=None, **{name: value})  # type: ignore[call-arg]
    except ValidationError as error:
        return [setting_problem(name.upper(), FIELDS[name], item) for item in error.errors()]
    return []


def check(name: str, value: Any) -> None:
    for line in problems(name, value):
        assert line.isprintable() and not LIBRARY.search(line), line
        if name in SECRETS:
            assert line.startswith(f"{name.upper()} ")
        else:
            assert line.startswith(f"{name.upper()}={repr(str(value)[:20])[1:-1] if value != ' ' else ' '}"[:40])
        assert NO_TEXT not in line


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_names_its_bad_value(name: str) -> None:
    for value in BAD:
        check(name, value)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(FIELDS)),
    value=st.one_of(st.text(alphabet=st.characters(exclude_characters="'\"\\")), st.integers().map(str)),
)
def test_any_text_gets_a_line_of_ours(name: str, value: str) -> None:
    check(name, value)


def test_each_kind_of_setting_refuses_something() -> None:
    kinds = {name: next((value for value in BAD if problems(name, value)), None) for name in FIELDS}
    # A text or a path may be anything in UTF-8; all others refuse what is none of theirs.
    free = {name for name in FIELDS if FIELDS[name].annotation in (str, Path, Path | None) or name in SECRETS}
    assert {name for name, value in kinds.items() if value not in (None, "\udcff")} >= set(FIELDS) - free


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    [line] = problems(name, ["hunter2"])
    assert line.startswith(f"{name.upper()} ") and "hunter2" not in line
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    with pytest.raises(ConfigError) as caught:
        load_settings(environment="prod").check_production()
    assert "hunter2" not in str(caught.value)


def warned(*names: str, environment: tuple[str, ...] = ()) -> list[str]:
    return list(unknown_settings(names, environment, FIELDS))


@pytest.mark.parametrize("name", FIELDS)
def test_a_misspelt_name_is_told_with_the_nearest_setting(name: str) -> None:
    name = name.upper()
    assert warned(name, f"{name}_FILE" if name.lower() in SECRETS else name) == []
    swapped = name[:-2] + name[-1] + name[-2]
    for wrong in {name + "X", swapped} - {name}:
        [line] = warned(wrong)
        assert line.startswith(f"{wrong} ") and re.search(r"\b([A-Z0-9_]+)\?$", line), line
        assert line.rstrip("?").split()[-1].lower().removesuffix("_file") in FIELDS


def test_the_nearest_name_is_the_one_that_was_meant() -> None:
    [line] = warned("API_PROT")
    assert line.startswith("API_PROT ") and line.endswith(" API_PORT?")
    [line] = warned("COLOUR_OF_THE_SKY")
    assert line.startswith("COLOUR_OF_THE_SKY ") and "?" not in line


def test_of_the_environment_only_names_like_ours_are_told() -> None:
    foreign = ("PATH", "HOME", "MQTT_SERVICE_HOST", "MONGO_PORT_27017_TCP", "GREENPOWER_API", "SECRET", "APU_PORT")
    assert warned(environment=foreign) == []
    [line] = warned(environment=("MQTT_BROKR", *foreign))
    assert line.startswith("MQTT_BROKR ") and line.endswith(" MQTT_BROKER?")
    assert len(warned("MQTT_BROKR", environment=("MQTT_BROKR",))) == 1


def test_what_the_containers_read_is_known() -> None:
    files = [ROOT / ".env.example", *(ROOT / "docker").glob("*.yml")]
    used = {name for file in files for name in re.findall(r"\$\{([A-Z_0-9]+)", file.read_text("utf-8"))}
    used |= set(re.findall(r"^([A-Z_0-9]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert "HTTP_PORT" in used and warned(*used, "COMPOSE_PROJECT_NAME") == []
    assert not {name.lower() for name in CONTAINER_NAMES} & set(FIELDS)


def test_config_warns_of_a_name_that_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("API_PROT=1\n")
    assert run_cli(monkeypatch, tmp_path, "config") == 0
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and {"API_PROT", "API_PORT?"} <= set(told.err.split())
    assert "API_PROT" not in told.out and len(setting_warnings()) == 1
