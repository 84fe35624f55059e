from __future__ import annotations

import json

import pytest

from bench.core.sealed_json import DIGEST, is_sealed, sealed


def test_what_is_sealed_is_json_that_people_can_read() -> None:
    content = sealed({"name": "Kleid für Mädchen", "count": 3})
    text = content.decode("utf-8")
    assert "Mädchen" in text and text.count("\n") == 5
    assert list(json.loads(text)) == ["name", "count", DIGEST] and is_sealed(content)


def test_every_byte_counts() -> None:
    content = sealed({"name": "ü", "count": 3})
    for place in range(len(content)):
        assert not is_sealed(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert not is_sealed(content[:place])
    assert not is_sealed(content + b" ") and not is_sealed(b"")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_stored_that_json_does_not_know(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        sealed({"value": value})


def test_a_path_that_is_not_utf_8_is_stored_as_an_escape() -> None:
    content = sealed({"command": b"bench run --data \xff".decode("utf-8", "surrogateescape")})
    assert json.loads(content)["command"].endswith("\udcff") and is_sealed(content)
