"""Which secrets others know or guess: examples, repetitions and rows; and that a random one is never among them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.secret_strength import key_weakness, password_weakness

RANDOM = st.binary(min_size=16, max_size=48)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "change-me",
        "your-secret",
        "x" * 32,
        "0" * 64,
        "ab" * 20,
        "abc1234" * 8,
        "0123456789abcdef" * 2,
        "0123456789abcdef0123456789abcdef01234567",
        "abcdefghijklmnopqrstuvwxyz012345",
        "zyxwvutsrqponmlkjihgfedcba9876543210",
        "change-me-change-me-change-me-change-me",
        "please-change-me-in-production-0123",
        "your-super-secret-jwt-signing-key-for-greenpower",
        "CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE_ME",
        "deadbeef" * 8,
        "9f3c51d07ab84e26c0d5e18f7a3b42",  # by chance, and too short
    ],
)
def test_a_key_that_others_know_or_guess(key: str) -> None:
    assert key_weakness(key) and "\n" not in key_weakness(key)
    assert not key or key not in key_weakness(key)


@pytest.mark.parametrize(
    ("password", "user"),
    [
        ("change-me", ""),
        ("Change_Me1", ""),
        ("admin", ""),
        ("admin123", ""),
        ("postgres", ""),
        ("your-secret", ""),
        ("aaaaaaaaaaaa", ""),
        ("abababababab", ""),
        ("12345678", ""),
        ("87654321", ""),
        ("abcdefghijkl", ""),
        ("operator7", "Operator7"),
        ("x7!q", ""),
    ],
)
def test_a_password_that_others_know_or_guess(password: str, user: str) -> None:
    assert password_weakness(password, user)


@given(RANDOM.filter(lambda data: len(set(data)) > 12))
def test_a_random_secret_is_never_refused(data: bytes) -> None:
    for text in (data.hex(), base64.b64encode(data * 2).decode()[:43]):
        assert key_weakness(text) == "", text
    assert password_weakness(base64.b64encode(data).decode()) == ""


@pytest.mark.parametrize(
    "password", ["green_power_pwd", "correct horse", "!$%&/()=?*+#-", "über den Wolken", "greenpower-7f3a9c1e"]
)
def test_a_password_of_ones_own(password: str) -> None:
    assert password_weakness(password, "green_power_user") == ""


def test_no_password_is_no_weak_one() -> None:
    assert password_weakness("") == ""
