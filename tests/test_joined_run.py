"""Joined and hand-crafted backbones by the real command: run, kept, predicted from, reproduced, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.compare.leaderboard import _parameters
from bench.data.sources import SOURCES
from bench.store.read import Stored
from tests.place import Place

pytest.importorskip("skimage", reason="the extra `handcrafted` is not installed")

SETS = ("crop=0.8", "mirror=true", "layers=pool_1,dense_2", "pool=grid2", "unit_fields=true", "input_size=32")
GRID = ("--task", "fashion", "--stage", "top20", "--regime", "frozen", "--weights", "random", "--seed", "0")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with a folder of photos, and what was trained on it: cropped, mirrored, two layers and HOG."""
    place = Place(tmp_path_factory.mktemp("joined"))
    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), place.folder / "photos")
    sets = [word for text in (*SETS, "epochs=3") for word in ("--set", text)]
    run = ("run", *GRID, "--data", "photos", "--backbone", "lenet+hog,grey", "--method", "none", "--quiet")
    # grey is no net: the layers that are asked for are none of its own.
    place.out, place.err = place.bench(*run, *sets, "--keep-model")
    return place


def stored_of(place: Place, backbone: str) -> Stored:
    cells, problems = place.store.load("fashion")
    assert not problems
    (found,) = [stored for stored in cells if stored.record["cell"]["backbone"] == backbone]
    return found


def test_what_was_run_is_in_the_record(place: Place) -> None:
    stored = stored_of(place, "lenet+hog")
    assert stored.ok and stored.record["cell"]["weights"] == "random+none"
    assert stored.folder.parent.parent.name == "lenet+hog"
    assert "cannot run grey x none: layers=pool_1,dense_2 names no layer of grey" in place.err
    assert [one.record["cell"]["backbone"] for one in place.store.load("fashion")[0]] == ["lenet+hog"]


def test_a_kept_model_gives_the_stored_scores_of_image_files(place: Place) -> None:
    stored = stored_of(place, "lenet+hog")
    out, _ = place.bench("predict", stored.id[:8], "photos/images", "--format", "json")
    found = {Path(row["image"]).stem: list(row["probabilities"].values()) for row in json.loads(out)}
    test = stored.predictions("test")
    for item, scores in zip(test.items, test.scores, strict=True):
        np.testing.assert_allclose(found[item], scores, atol=2e-6)


@pytest.mark.slow
def test_a_second_run_gives_the_same_bits(place: Place) -> None:
    out, _ = place.bench("reproduce", stored_of(place, "lenet+hog").id[:8], "--format", "json")
    (row,) = json.loads(out)
    assert row["verdict"] == "equal" and row["items"] > 20


def test_a_model_that_would_read_two_sizes_is_not_kept(place: Place) -> None:
    run = ("run", *GRID, "--data", "photos", "--backbone", "lenet+hog", "--method", "none", "--keep-model")
    _, err = place.bench(*run, code=2)
    assert "lenet images of 32x32 and hog images of 96x96, but a model reads images of one size" in err


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("lenet --regime scratch --set mirror=true", "mirror is for --regime frozen"),
        ("lenet+hogg", "unknown backbone 'hogg'; did you mean 'hog'"),
        ("hog+hog", "hog appears twice"),
        ("lenet --regime frozen --weights random --set layers=lenett:conv_1", "unknown backbone 'lenett'"),
        ("lenet --set layers=a(b)", "layers takes"),
        ("lenet --set crop=0", "crop is at least 0.05"),
        ("lenet --set pool=grid3", "unknown value of pool 'grid3'; did you mean 'grid"),
    ],
)
def test_what_makes_no_sense_is_one_line(place: Place, asked: str, says: str) -> None:
    told = "--task", "fashion", "--sample", "tiny", "--backbone", *asked.split()
    _, err = place.bench("plan", *told, code=2)
    assert says in err and len(err.strip().splitlines()) == 1


def test_a_layer_that_is_not_there_fails_the_cell_in_one_line(place: Place) -> None:
    run = ("run", *GRID, "--sample", "tiny", "--backbone", "lenet+hog", "--method", "none", "--quiet")
    _, err = place.bench(*run, "--set", "layers=lenet:pool_3", "--results", "failed", code=5)
    assert "unknown layer 'pool_3'; did you mean 'pool_2'" in err


def test_parameters_of_a_joined_backbone_are_those_of_its_parts_and_the_head(place: Place) -> None:
    record = json.loads(json.dumps(stored_of(place, "lenet+hog").record))
    assert _parameters(record) is None
    record["cell"]["protocol"] |= {"layers": "", "pool": "average", "unit_fields": False}
    assert _parameters(record) == 61156 + (84 + 4356 + 1) * len(record["classes"])
    record["cell"]["protocol"].pop("layers")
    record["cell"]["backbone"] = "lenet+other"
    assert _parameters(record) is None
