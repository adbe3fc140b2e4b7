"""Embedded servers for one command."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from greenpower.config import ConfigError, Settings
from greenpower.mongo.client import sync_client
from greenpower.stack.servers import own_servers


def test_a_command_has_servers_of_its_own_while_nothing_else_uses_the_home(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, greenpower_home=tmp_path)  # type: ignore[call-arg]
    for number in range(2):
        with own_servers(settings) as given:
            with sync_client(given) as client, redis.Redis.from_url(given.need("REDIS_URL")) as cache:
                assert client["kept"]["rows"].count_documents({}) == number
                client["kept"]["rows"].insert_one({})
                assert cache.ping()
            with pytest.raises(ConfigError, match="in use"), own_servers(settings):
                pass
    with own_servers(given) as same:
        assert same is given
