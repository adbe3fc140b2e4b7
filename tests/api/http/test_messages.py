"""Messages of parameter checks: they name the wrong value, but never a password."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
import pytest

from greenpower.api.http.messages import name_wrong_values
from tests.api.conftest import PATH, Api


class Sample(ma.Schema):
    number = ma.fields.Integer(validate=ma.validate.Range(1, 10))
    least = ma.fields.Integer(validate=ma.validate.Range(1))
    flag = ma.fields.Boolean()
    share = ma.fields.Float()
    when = ma.fields.AwareDateTime()
    word = ma.fields.String(validate=ma.validate.OneOf(("a", "b")))
    code = ma.fields.String(validate=[ma.validate.Length(2), ma.validate.Regexp("[a-z{}]+$")])
    words = ma.fields.List(ma.fields.String(validate=ma.validate.OneOf(("a", "b"))))
    renamed = ma.fields.Integer(data_key="shown")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("number", 11, ["11", "10"]),
        ("number", "x", ["'x'"]),
        ("least", 0, ["0", "1"]),
        ("flag", "perhaps", ["'perhaps'"]),
        ("share", "half", ["'half'"]),
        ("when", "noon", ["'noon'"]),
        ("word", "c", ["'c'", "a, b"]),
        ("code", "AB", ["'AB'", "[a-z{}]+$"]),
        ("words", ["c"], ["'c'", "a, b"]),
        ("shown", "x", ["'x'"]),
        ("renamed", 1, ["number", "shown"]),
    ],
)
def test_a_message_has_the_value_and_what_is_allowed(name: str, value: Any, told: list[str]) -> None:
    schema = Sample()
    name_wrong_values(schema)
    with pytest.raises(ma.ValidationError) as caught:
        schema.load({name: value})
    text = str(caught.value.messages_dict[name])
    assert all(part in text or part in text.replace("\\'", "'") for part in told), text


def test_long_values_are_cut_and_other_schemas_keep_their_messages() -> None:
    schema = Sample()
    name_wrong_values(schema)
    with pytest.raises(ma.ValidationError) as caught:
        schema.load({"word": "x" * 10_000})
    assert len(str(caught.value)) < 200
    with pytest.raises(ma.ValidationError) as untouched:
        Sample().load({"word": "nowhere"})
    assert "nowhere" not in str(untouched.value)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("page_size", "5000"),
        ("page_size", "many"),
        ("start_time", "yesterday"),
        ("resolution", "7m"),
        ("fields", "volts,a b"),
        ("cursor", "nonsense"),
        ("device_id", "x" * 65),
    ],
)
def test_the_list_names_the_wrong_value(api: Api, parameter: str, value: str) -> None:
    response = api.get(PATH, **{parameter: value})
    (message,) = response.get_json()["errors"]["query"][parameter]
    assert response.status_code == 422 and value.split(",")[-1][:40] in message


def test_a_password_is_never_told(api: Api) -> None:
    for password in ("short", "a" * 2_000):
        response = api.client.post("/api/users/token/", json={"username": "x", "password": password})
        assert password not in response.text
