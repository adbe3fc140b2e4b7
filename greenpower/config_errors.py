"""What is wrong with a setting, in one line that names it and the value that was given.

What belongs here: the texts, for every kind of error that a field of `Settings` can raise, and the nearest name to one
that is misspelt. What does not: reading settings, which is `greenpower.config`. A secret's value is never in a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic.types import SecretStr

MAX_SHOWN_VALUE = 60
# How alike two names are, from 0 to 1, when one may be a misspelling of the other.
NEAR_NAME = 0.85
RANGE_ERRORS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
# Variables of `.env` that are no setting of a process: docker compose and the containers read them.
CONTAINER_NAMES = frozenset(
    {
        "GRAFANA_API_KEY",
        "GRAFANA_PASSWORD",
        "GRAFANA_PORT",
        "HTTP_PORT",
        "MONGO_CACHE_GB",
        "MONGO_DB_PASSWORD",
        "MONGO_DB_USER",
        "MQTT_PUBLIC_PORT",
    }
)
FOREIGN_PREFIXES = ("COMPOSE_", "DOCKER_", "GF_")
# Names in the environment that begin so are meant for us, most likely. Others belong to other programs.
OWN_PREFIXES = (
    "GREENPOWER_",
    "MQTT_",
    "MONGO_",
    "TCP_",
    "API_",
    "INGEST_",
    "REALTIME_",
    "POSTGRES_DB_",
    "JWT_SIGNING_",
)

# Of a kind of error that has no text of its own.
NO_TEXT = "cannot be used"


def setting_problem(name: str, field: FieldInfo, error: Mapping[str, Any]) -> str:
    """The text for an error of pydantic's. error: an entry of `ValidationError.errors()`."""
    given = name if is_secret(field) else f"{name}={_shown(error['input'])}"
    return f"{given} {_problem(field, str(error['type']), error.get('ctx') or {})}"


def is_secret(field: FieldInfo) -> bool:
    """Whether the value must not be shown."""
    return field.annotation is SecretStr


def unknown_settings(file: Iterable[str], environment: Iterable[str], fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    """A warning for each name that is no setting: all of `.env`, of the environment those that look like ours.

    `fields` are the settings' own, by attribute name.
    """
    known = {name.upper() for name in fields}
    known |= {f"{name.upper()}_FILE" for name, field in fields.items() if is_secret(field)}
    told = set()
    for name in file:
        if name.upper() not in known | CONTAINER_NAMES and not name.upper().startswith(FOREIGN_PREFIXES):
            told.add(name.upper())
            nearest = _nearest(name, known)
            yield f"{name} in .env is not a setting" + (f"; did you mean {nearest}?" if nearest else "")
    for name in environment:
        if name.upper() in told | known | CONTAINER_NAMES or not name.upper().startswith(OWN_PREFIXES):
            continue
        if nearest := _nearest(name, known):
            yield f"{name} is not a setting; did you mean {nearest}?"


def _nearest(name: str, known: Iterable[str]) -> str:
    """The name most like it; empty where none is."""
    return next(iter(get_close_matches(name.upper(), sorted(known), n=1, cutoff=NEAR_NAME)), "")


def _problem(field: FieldInfo, kind: str, context: Mapping[str, Any]) -> str:
    if kind == "value_error":  # one of our own checks: its text goes on after the value
        return str(context["error"])
    if kind == "literal_error":
        return f"is not one of: {', '.join(map(str, get_args(field.annotation)))}"
    if kind in RANGE_ERRORS:
        return _out_of_range(field)
    if kind.startswith("int_"):
        return "is not a whole number"
    if kind.startswith(("float_", "finite_")):
        return "is not a number"
    if kind.startswith("bool_"):
        return "is neither true nor false"
    if kind.startswith(("string_", "path_")):
        return "is not text in UTF-8"
    return NO_TEXT


def _out_of_range(field: FieldInfo) -> str:
    low = next((item.ge for item in field.metadata if hasattr(item, "ge")), None)
    high = next((item.le for item in field.metadata if hasattr(item, "le")), None)
    above = next((item.gt for item in field.metadata if hasattr(item, "gt")), None)
    if low is not None and high is not None:
        return f"is not between {low} and {high}"
    if low is not None:
        return f"is less than {low}"
    return f"is more than {high}" if high is not None else f"is not more than {above}"


def _shown(value: object) -> str:
    """A value on one line: what cannot be printed is escaped, and a long one is cut."""
    text = str(value)
    text = text if len(text) <= MAX_SHOWN_VALUE else f"{text[:MAX_SHOWN_VALUE]}…"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
