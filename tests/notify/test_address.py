"""Addresses: which are allowed, and that no part of one is shown."""

from __future__ import annotations

import pytest

from greenpower.notify.address import ALLOWED_SCHEMES, AddressError, check_address, without_secrets

GOOD = (
    "mailto://127.0.0.1:2525?from=a@b.c&to=d@e.f&mode=insecure",
    "mailtos://user:pa%2Fss@smtp.example.org?to=a@b.c,d@e.f&cc=x@y.z",
    "jsons://host/path?+X-Key=abc&-a=b&:c=d&method=POST",
    "tgram://123456:abc_DEF/-100123/",
    "ntfys://token@ntfy.example.org/topic?priority=high",
    "slack://T1/B1/X1/#energy",
)
BAD = (
    "", "x", "file:///etc/passwd", "dbus://", "syslog://host", "rsyslog://host", "macosx://", "blink1://", "mqtt://h/t",
    "http://host/", "https://host/", "mailto:a@b.c", "json:///path", "json://h /x", "json://h/\n", "JSON://h",
    "discord://a/b?template=/etc/passwd", "matrix://h?e2ee=yes", "mailto://h?pgp=yes", "mailto://h?pgpkey=/root/k",
    "json://h?redirect=yes", "json://h?retry=9", "apprise://h/t", "json://[::1", "mailto://h?+X=1&pgpprv=/k",
)  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_good(url: str) -> None:
    assert check_address(url) in ALLOWED_SCHEMES


@pytest.mark.parametrize("url", BAD)
def test_bad(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        check_address(url)
    assert not url or url not in str(caught.value)


def test_no_part_of_an_address_is_shown() -> None:
    url = "mailtos://me%40x:p%2Fssw0rd@smtp.example.org:465/path?to=team@example.org&+X-Key=k3yk3y"
    said = (
        f"could not log in as me@x with p/ssw0rd at smtp.example.org:465 ({url}); k3yk3y; team@example.org; error=535"
    )
    shown = without_secrets(said, url)
    assert not [part for part in ("me@x", "ssw0rd", "smtp", "k3y", "team") if part in shown] and "535" in shown
