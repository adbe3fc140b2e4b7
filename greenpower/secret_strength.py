"""Whether a secret is one that others know or guess: published, too short, of too few letters, repeated, in a row.

What belongs here: judging a text. What does not: which settings are secrets, and who refuses them
(`greenpower.config`). The rules never refuse what `openssl rand -hex 32` or `-base64 32` makes.
"""

from __future__ import annotations

import re
from itertools import pairwise

MIN_KEY_CHARACTERS = 32
MIN_PASSWORD_CHARACTERS = 8
# In 32 random hexadecimal digits there are 14 different ones on average, and fewer than 8 once in 30 million keys.
MIN_DIFFERENT_IN_KEY = 8
MIN_DIFFERENT_IN_PASSWORD = 5
# The part of neighbours that are alike or follow each other, as in 0123 or aaa; in a random text it is below a third.
MAX_ORDERED_PART = 0.75

# Words of examples, of ours and of others. In a key they count for nothing: what is left must be long enough.
EXAMPLE_WORDS = (
    "change",
    "default",
    "dummy",
    "example",
    "greenpower",
    "green_power",
    "insecure",
    "jwt",
    "key",
    "me",
    "password",
    "placeholder",
    "please",
    "production",
    "replace",
    "sample",
    "secret",
    "signing",
    "super",
    "this",
    "todo",
    "very",
    "your",
)
# Passwords that are these words, or a name of a server or of its first user, with or without digits behind.
PUBLISHED = frozenset(
    {
        *(
            "admin",
            "administrator",
            "changeit",
            "changeme",
            "guest",
            "letmein",
            "mongo",
            "mongodb",
            "mosquitto",
            "mqtt",
        ),
        *(
            "passw0rd",
            "password",
            "postgres",
            "postgresql",
            "qwerty",
            "redis",
            "root",
            "test",
            "user",
            "welcome",
            "pass",
        ),
        *(
            "changethis",
            "hunter2",
            "mysecretpassword",
            "supersecret",
            "yourpassword",
            "yoursecret",
            "secret",
            "default",
        ),
        *("example", "greenpower", "foobar", "qwertyuiop", "iloveyou", "replaceme", "placeholder", "secretpassword"),
    }
)
NO_LETTER = re.compile(r"[\W_]+")
WORDS = re.compile("|".join(sorted(EXAMPLE_WORDS, key=len, reverse=True)))


def key_weakness(key: str) -> str:
    """What makes a signing key unsafe, as the end of a sentence with its name; empty where nothing does."""
    if not key:
        return "is not set"
    if _is_published(key):
        return "is a published example"
    if len(key) < MIN_KEY_CHARACTERS:
        return "is too short"
    if guess := _guessable(key, MIN_DIFFERENT_IN_KEY):
        return guess
    if len(_period(key)) < MIN_KEY_CHARACTERS:
        return "is a short text repeated"
    if WORDS.search(key.lower()) and len(NO_LETTER.sub("", WORDS.sub("", key.lower()))) < MIN_KEY_CHARACTERS // 2:
        return "is made of words of examples"
    return ""


def password_weakness(password: str, user: str = "") -> str:
    """What makes a password unsafe, as `key_weakness`; empty for one that is not set. user: whose it is."""
    if not password:
        return ""
    if _is_published(password):
        return "is a published example"
    if user and password.lower() == user.lower():
        return "is the name of its user"
    if len(password) < MIN_PASSWORD_CHARACTERS:
        return "is too short"
    return _guessable(password, MIN_DIFFERENT_IN_PASSWORD)


def _is_published(secret: str) -> bool:
    plain = NO_LETTER.sub("", secret.lower())
    return bool(plain) and (plain in PUBLISHED or plain.rstrip("0123456789") in PUBLISHED or not WORDS.sub("", plain))


def _guessable(secret: str, different: int) -> str:
    if len(set(secret)) < different:
        return "has too few different characters"
    steps = [ord(after) - ord(before) for before, after in pairwise(secret)]
    if sum(-1 <= step <= 1 for step in steps) > MAX_ORDERED_PART * len(steps):
        return "is a row of characters"
    return ""


def _period(text: str) -> str:
    """The shortest text that gives this one when it is repeated, also with a part of it at the end."""
    for size in range(1, len(text) // 2 + 1):
        if text[size:] == text[:-size]:
            return text[:size]
    return text
