"""LDAM and multi-task heads by the real command: what is stored, what kept models answer, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.store.head_file import load_head
from bench.store.read import Stored
from tests.place import Place

RUN = ("run", "--task", "fashion", "--data", "photos", "--backbone", "lenet", "--stage", "top20", "--quiet")
METHODS = ("ldam", "multitask", "multitask+ldam")
HIDDEN = ("none", "mlp(units=6)+multitask+ldam(margin=0.3)")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with drawn photos, and heads and nets that were trained on them."""
    place = Place(tmp_path_factory.mktemp("shared"))
    place.bench("data", "draw", "--task", "fashion", "--sample", "tiny", "--out", "photos")
    common = ("--seed", "0", "--set", "epochs=5", "--keep-model")
    place.bench(*RUN, "--regime", "scratch", *_methods(METHODS), *common)
    place.bench(*RUN, "--regime", "frozen", "--weights", "random", *_methods(HIDDEN), *common)
    return place


def _methods(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for name in names for part in ("--method", name))


def _cells(place: Place) -> dict[str, Stored]:
    cells, problems = place.store.load("fashion")
    assert not problems
    return {stored.record["cell"]["method_text"]: stored for stored in cells}


def test_every_cell_is_measured_and_says_what_it_trained_on(place: Place) -> None:
    cells = _cells(place)
    assert len(cells) == 5 and all(stored.ok for stored in cells.values())
    for text, stored in cells.items():
        found = stored.record["choices"].get("multitask")
        assert (found is not None) == ("multitask" in text)
        if found is not None:
            assert found["masterCategory_classes"] >= 2 and found["subCategory_known"] > 50
        test = stored.predictions()
        np.testing.assert_allclose(test.scores.sum(axis=1), 1.0, atol=1e-5)
        assert stored.record["environment"]["precision"] == "float32"


@pytest.mark.slow
def test_a_kept_model_answers_what_the_cell_did(place: Place) -> None:
    for text, stored in _cells(place).items():
        assert load_head(stored.folder).unit == ("ldam" in text)
        test = stored.predictions()
        files = [str(Path("photos") / "images" / f"{item}.jpg") for item in test.items[:6]]
        out, _ = place.bench("predict", stored.id[:8], *files, "--format", "json")
        for row, scores in zip(json.loads(out), test.scores, strict=False):
            assert np.abs(np.array(list(row["probabilities"].values())) - scores).max() < 1e-5, text


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ("--task", "fashion", "--method", "multitask", "--regime", "frozen"),
            "a linear head shares nothing",
        ),
        (("--task", "marketplace", "--method", "multitask"), "the card of marketplace names none"),
    ],
)
def test_what_has_nothing_to_share_is_told_in_the_plan(
    place: Place, args: tuple[str, ...], says: str
) -> None:
    out, err = place.bench(
        "plan", *args, "--sample", "tiny", "--backbone", "lenet", "--weights", "random", code=5
    )
    assert says in " ".join((out + err).split())


def test_unfreezing_is_for_trained_nets(place: Place) -> None:
    args = ("--sample", "tiny", "--backbone", "lenet", "--regime", "scratch", "--set", "unfreeze=2")
    _, err = place.bench("plan", "--task", "fashion", *args, code=2)
    assert "unfreeze is for --regime finetune" in err
