"""Clients: an address that cannot be used is refused before anything connects, and never shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from greenpower.config import ConfigError, Settings
from greenpower.mongo.client import async_client, sync_client


@pytest.mark.parametrize("make", [sync_client, async_client])
@pytest.mark.parametrize(
    "address",
    [
        "mongodb://user:secret/word@host:27017/",
        "mongodb://user:secret@word@host:27017/",
        "mongodb://user:secret%word@host:27017/",
        "mongodb://user:secret@host:port/",
        "mongodb://user:secret@host:99999999/",
        "mongodb://",
        "http://user:secret@host/",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_text(make: Callable[..., Any], address: str) -> None:
    settings = Settings(_env_file=None, mongo_db_uri=SecretStr(address))  # type: ignore[call-arg]
    with pytest.raises(ConfigError) as caught:
        make(settings)
    assert str(caught.value).startswith("MONGO_DB_URI ")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
