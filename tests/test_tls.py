"""TLS to MongoDB, Redis and PostgreSQL, by their addresses alone: a server is spoken to if the authority that is named
vouches for it, and else not. TLS to the broker is in tests/ingest/sources/test_tls.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import trustme
from pydantic import SecretStr

from greenpower.cli.init import init_mongo, init_sql
from greenpower.config import ConfigError, Settings
from greenpower.stack import Mongod, Valkey
from tests.ingest.conftest import Publisher, frame
from tests.process import Command
from tests.tls import TlsFront, write_authority, write_certificate
from tests.wait import wait_until


class TlsMongod(Mongod):
    """A mongod that takes nobody without TLS."""

    def __init__(self, home: Path, *, pem: Path, authority: Path) -> None:
        super().__init__(home)
        self.pem, self.authority = pem, authority

    @property
    def uri(self) -> str:
        return address_of_mongo(self.port, self.authority)

    def command(self) -> list[str]:
        # Clients show no certificate: they have accounts.
        options = ("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self.pem))
        return [*super().command(), *options, "--tlsCAFile", str(self.authority), *ANONYMOUS]


ANONYMOUS = ("--tlsAllowConnectionsWithoutCertificates",)


def address_of_mongo(port: int, authority: Path) -> str:
    return f"mongodb://127.0.0.1:{port}/?tls=true&tlsCAFile={authority}"


@dataclass(frozen=True, kw_only=True)
class Servers:
    """The three behind TLS."""

    mongod: TlsMongod
    redis: TlsFront
    password: str
    postgres: TlsFront

    def settings(self, settings: Settings, mongo: Path, redis: Path, postgres: Path) -> Settings:
        """Settings that trust an authority for each."""
        sql = f"postgresql://postgres@localhost:{self.postgres.port}/{settings.postgres_db_name}"
        return settings.model_copy(
            update={
                "mongo_db_uri": SecretStr(address_of_mongo(self.mongod.port, mongo)),
                "redis_url": SecretStr(f"rediss://:{self.password}@127.0.0.1:{self.redis.port}/0?ssl_ca_certs={redis}"),
                "database_url": SecretStr(f"{sql}?sslmode=verify-full&sslrootcert={postgres}"),
            }
        )


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[Path, Path, trustme.CA]:
    """The file of ours, that of a stranger, and ours."""
    ours = trustme.CA()
    return write_authority(tmp_path, "ours", ours), write_authority(tmp_path, "foreign", trustme.CA()), ours


@pytest.fixture
def servers(
    tmp_path: Path, authorities: tuple[Path, Path, trustme.CA], valkey: Valkey, postgres_url: str
) -> Iterator[Servers]:
    ours, _, authority = authorities
    pem = tmp_path / "mongod.pem"
    chain, key = write_certificate(tmp_path, "server", authority, "127.0.0.1")
    pem.write_bytes(chain.read_bytes() + key.read_bytes())
    named = write_certificate(tmp_path, "postgres", authority, "localhost")
    place = Path(parse_qs(urlsplit(postgres_url).query)["host"][0]) / ".s.PGSQL.5432"
    with ExitStack() as stack:
        yield Servers(
            mongod=stack.enter_context(TlsMongod(tmp_path / "mongod", pem=pem, authority=ours)),
            redis=stack.enter_context(TlsFront((valkey.host, valkey.port), chain, key)),
            password=valkey.password,
            postgres=stack.enter_context(TlsFront(place, *named, postgres=True)),
        )


@pytest.fixture
def trusting(
    settings: Settings, servers: Servers, authorities: tuple[Path, Path, trustme.CA], postgres_url: str
) -> Settings:
    """Settings that trust our authority for all three."""
    ours = authorities[0]
    name = urlsplit(postgres_url).path.strip("/")
    return servers.settings(settings.model_copy(update={"postgres_db_name": name}), ours, ours, ours)


def parts(settings: Settings) -> dict[str, str]:
    """Status by part, as the API has it; empty while it does not answer."""
    try:
        report = httpx.get(f"http://127.0.0.1:{settings.api_port}/api/health/", timeout=60).json()
    except httpx.TransportError:
        return {}
    return {name: part["status"] for name, part in report["parts"].items()}


@pytest.mark.slow
def test_all_processes_speak_tls_to_all_databases(
    trusting: Settings, servers: Servers, broker: tuple[str, int], tmp_path: Path
) -> None:
    assert any("migrated" in line for line in init_sql(trusting)) and init_mongo(trusting)
    with ExitStack() as stack:
        for process in ("api", "realtime", "worker", "scheduler"):
            stack.enter_context(Command(trusting, process, folder=tmp_path))
        ingest = stack.enter_context(Command(trusting, "ingest", "--mqtt", folder=tmp_path)).wait_healthy(90)
        publisher = Publisher(*broker)
        publisher.send("MQTT_RT_DATA", frame())
        publisher.flush()
        publisher.close()
        wait_until(lambda: ingest.metric("greenpower_mqtt_acknowledged_total") == 1, 20)
        wanted = ("mongo", "sql", "redis", "ingest", "worker", "scheduler")
        wait_until(lambda: all(parts(trusting).get(name) == "ok" for name in wanted), 60, every=0.5)
        gateway = f"http://127.0.0.1:{trusting.realtime_port}/health"
        wait_until(lambda: httpx.get(gateway, timeout=60).status_code == 200, 20)
        base = f"http://127.0.0.1:{trusting.api_port}/api"
        login = {"username": "admin", "password": trusting.admin_password.get_secret_value()}
        token = httpx.post(f"{base}/users/token/", json=login, timeout=60).json()["access"]
        headers = {"Authorization": f"Bearer {token}"}
        found = httpx.get(f"{base}/telemetry/rt-data/latest/", headers=headers, timeout=60)
        assert [row["device_id"] for row in found.json()["results"]] == ["33B1225950027"]
    assert servers.redis.connections and servers.postgres.connections


@pytest.mark.slow
def test_a_server_that_another_authority_vouches_for_is_not_spoken_to(
    trusting: Settings, servers: Servers, authorities: tuple[Path, Path, trustme.CA], tmp_path: Path
) -> None:
    _, foreign, _ = authorities
    wrong = servers.settings(trusting, foreign, foreign, foreign)
    with pytest.raises(ConfigError, match="certificate verify failed"):
        init_sql(wrong)
    with pytest.raises(ConfigError, match="certificate verify failed"):
        init_mongo(wrong)
    # Right authority, another name than the certificate has.
    elsewhere = trusting.database_url.get_secret_value().replace("@localhost:", "@127.0.0.1:")
    with pytest.raises(ConfigError, match="does not match host name"):
        init_sql(trusting.model_copy(update={"database_url": SecretStr(elsewhere)}))
    with Command(wrong, "api", folder=tmp_path):
        wait_until(lambda: parts(wrong), 30)
        found = parts(wrong)
        assert {found[name] for name in ("mongo", "sql", "redis", "worker")} == {"down"}
    assert servers.redis.connections == 0
