"""Protocol values: types, bounds, and the line a user reads when one is wrong."""

from __future__ import annotations

import pytest

from bench.core.errors import BenchError
from bench.core.protocol import KEYS, check, defaults, image_size, resolve
from bench.core.stage_values import parse_set


@pytest.mark.parametrize("name", KEYS)
def test_every_default_is_legal_and_explained(name: str) -> None:
    assert check(name, KEYS[name].default, "test") == KEYS[name].default
    assert KEYS[name].help


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs=5", ("epochs", 5)),
        (" batch_size = 64 ", ("batch_size", 64)),
        ("lr=1", ("lr", 1.0)),
        ("lr=1e-4", ("lr", 1e-4)),
        ("refit=yes", ("refit", True)),
        ("l2=auto", ("l2", "auto")),
        ("remaining.l2=0.01", ("remaining.l2", 0.01)),
        ("refit=false", ("refit", False)),
        ("preprocess=unit", ("preprocess", "unit")),
        ("input_size=350x450", ("input_size", "350x450")),
    ],
)
def test_set_reads_typed_values(text: str, expected: tuple[str, object]) -> None:
    name, value = parse_set(text)
    assert (name, value) == expected
    assert type(value) is type(expected[1])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epoch=5", "did you mean 'epochs'"),
        ("epochs", "key=value"),
        ("=5", "key=value"),
        ("epochs=", "a whole number"),
        ("epochs=many", "a whole number"),
        ("epochs=2.5", "a whole number"),
        ("epochs=0", "at least 1"),
        ("lr=nan", "finite"),
        ("lr=inf", "finite"),
        ("lr=-1", "at least 0"),
        ("val_fraction=0.95", "at most 0.9"),
        ("refit=perhaps", "true or false"),
        ("l2=much", "l2 takes a number or auto, not 'much'"),
        ("lr=auto", "lr takes a number, not 'auto'"),
        ("optimizer=adm", "did you mean 'adam'"),
        ("input_size=0", "native, N or HxW"),
        ("input_size=224x", "native, N or HxW"),
        ("input_size=99999", "native, N or HxW"),
    ],
)
def test_a_wrong_value_is_one_clear_line(text: str, says: str) -> None:
    with pytest.raises(BenchError, match=says) as error:
        parse_set(text)
    assert "\n" not in str(error.value)


def test_later_layers_win_and_the_result_is_sorted() -> None:
    merged = resolve({"epochs": 1, "lr": 0.5}, {"epochs": 2})
    assert dict(merged)["epochs"] == 2
    assert dict(merged)["lr"] == 0.5
    assert list(merged) == sorted(merged)
    assert set(dict(merged)) == set(defaults())


def test_image_size() -> None:
    assert image_size("native", (224, 224)) == (224, 224)
    assert image_size("96", (224, 224)) == (96, 96)
    assert image_size("350x450", (224, 224)) == (350, 450)
