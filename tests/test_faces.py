"""The task faces by the real command: pairs, folds, models that are kept, results that are read again."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.synthetic.faces import faces_sample, write_people
from bench.kinds.verification.frozen import FrozenPairs
from bench.store.read import MODEL, PREDICTIONS, Stored
from tests.grids import reseal
from tests.in_process import InProcess
from tests.place import Place

FROZEN = ("--regime", "frozen", "--backbone", "lenet", "--weights", "random")
RUN = ("run", "--task", "faces", "--sample", "tiny", *FROZEN, "--set", "epochs=5")
METHODS = "cosine,whiten(dims=8)+joint_bayes,pair_logistic,emd"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with a small grid on the drawn people, models kept, and the people as files."""
    place = Place(tmp_path_factory.mktemp("faces"))
    place.out, place.err = place.bench(*RUN, "--method", METHODS, "--seed", "0-1", "--keep-model")
    write_people(faces_sample("tiny"), place.folder / "people")
    return place


def cells(place: Place, results: str = "results") -> list[Stored]:
    from bench.store.write import Store

    found, problems = Store(place.folder / results).load("faces")
    assert not problems and all(stored.ok for stored in found)
    return found


def cell(place: Place, method: str, seed: int = 0, results: str = "results") -> Stored:
    found = [stored.record["cell"] for stored in cells(place, results)]
    wanted = [one["method_text"] == method and one["seed"] == seed for one in found]
    return cells(place, results)[wanted.index(True)]


def test_what_is_stored_is_what_the_scores_and_the_cut_say(place: Place) -> None:
    for stored in cells(place):
        test = stored.predictions("test")
        assert test.pairs is not None and set(test.pairs.folds.tolist()) == {0}
        says = test.scores[:, 0] >= test.pairs.cuts
        metrics = stored.record["metrics"]["test"]
        assert metrics["accuracy"] == pytest.approx((says == (test.truth == 1)).mean())
        same, other = test.scores[test.truth == 1, 0], test.scores[test.truth == 0, 0]
        area = (same[:, None] > other).mean() + 0.5 * (same[:, None] == other).mean()
        assert metrics["auc"] == pytest.approx(area, abs=1e-6)
        for (one, two), first, second, truth in zip(
            test.pairs.photos, test.groups or (), test.pairs.partners, test.truth, strict=True
        ):
            assert (one.split("/")[0], two.split("/")[0]) == (first, second)
            assert (first == second) == bool(truth)


def test_no_person_is_on_two_sides(place: Place) -> None:
    for stored in cells(place):
        people = [
            {*(part.groups or ()), *(part.pairs.partners if part.pairs else ())}
            for part in (stored.predictions("val"), stored.predictions("test"))
        ]
        assert not people[0] & people[1]
        assert stored.record["counts"]["leaked"] == 0
        assert stored.record["counts"]["people_shared"] == 0


def test_all_methods_and_seeds_are_tested_by_the_same_pairs(place: Place) -> None:
    items = {stored.predictions("test").items for stored in cells(place)}
    assert len(items) == 1
    assert (
        cell(place, "cosine", 0).predictions("val").items != cell(place, "cosine", 1).predictions("val").items
    )


def test_what_a_method_is_told_is_in_its_record(place: Place) -> None:
    told = {
        stored.record["cell"]["method_text"]: stored.record["choices"]["supervision"]
        for stored in cells(place)
    }
    assert told == {
        "cosine": "none",
        "emd": "none",
        "pair_logistic": "pairs",
        "whiten(dims=8)+joint_bayes": "identities",
    }


def test_pixels_alone_do_not_depend_on_the_seed(place: Place) -> None:
    one, other = (cell(place, "emd", seed).predictions("test").scores for seed in (0, 1))
    assert one.tobytes() == other.tobytes()


def test_a_second_run_does_nothing(place: Place) -> None:
    before = [(stored.folder / PREDICTIONS).stat().st_mtime_ns for stored in cells(place)]
    _, err = place.bench(*RUN, "--method", METHODS, "--seed", "0-1")
    assert "nothing to do" in err
    assert before == [(stored.folder / PREDICTIONS).stat().st_mtime_ns for stored in cells(place)]


@pytest.mark.parametrize("method", METHODS.split(","))
def test_photos_of_the_test_are_scored_as_in_the_run(place: Place, method: str) -> None:
    stored = cell(place, method)
    test = stored.predictions("test")
    assert test.pairs is not None
    rows = range(0, len(test.items), 7)
    lines = [[f"{photo}.png" for photo in test.pairs.photos[row]] for row in rows]
    with (place.folder / "people" / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["first", "second"], *lines])
    out, _ = place.bench("predict", stored.id[:8], "--pairs", "people/pairs.csv", "--format", "json")
    found = json.loads(out)
    np.testing.assert_allclose(
        [one["similarity"] for one in found], test.scores[rows, 0], rtol=2e-5, atol=2e-5
    )
    decided = ["same" if yes else "different" for yes in test.scores[rows, 0] >= test.pairs.cuts[rows]]
    assert [one["decision"] for one in found] == decided
    assert all(0 <= one["sure"] <= 1 for one in found)


def test_two_photos_on_the_command_line(place: Place) -> None:
    stored = cell(place, "cosine")
    photos = sorted(str(path) for path in (place.folder / "people").glob("*/*.png"))[:2]
    out, _ = place.bench("predict", stored.id[:8], *photos)
    assert "P(same)" in out and ("same" in out or "different" in out)
    again, _ = place.bench("predict", stored.id[:8], photos[0], photos[0], "--format", "json")
    assert json.loads(again)[0]["similarity"] == pytest.approx(1, abs=1e-5)


def test_pairs_have_no_table_of_confusions(place: Place) -> None:
    _, err = place.bench("confusion", cell(place, "cosine").id[:8], code=2)
    assert "not classes" in err and "Traceback" not in err


def test_what_is_no_pair_is_one_line(place: Place) -> None:
    one = cell(place, "cosine").id[:8]
    photo = str(next((place.folder / "people").glob("*/*.png")))
    assert "a pair is two photos" in place.bench("predict", one, photo, code=2)[1]
    assert "a pair is two photos" in place.bench("predict", one, code=2)[1]
    (place.folder / "odd.csv").write_text("first,second\nonly\n", encoding="utf-8")
    assert "odd.csv' line 2" in place.bench("predict", one, "--pairs", "odd.csv", code=2)[1]
    (place.folder / "gone.csv").write_text(f"{photo},nowhere.png\n{photo},{photo}\n", encoding="utf-8")
    out, err = place.bench("predict", one, "--pairs", "gone.csv", "--format", "csv", code=4)
    assert "nowhere.png: no such file" in err and len(out.strip().splitlines()) == 2
    assert "a pair is two photos" in place.bench("explain", one, photo, "--out", "x", code=2)[1]


@pytest.mark.parametrize("array", ["mean", pytest.param("kernel", marks=pytest.mark.slow)])
def test_a_kept_model_whose_arrays_do_not_fit_is_one_line(place: Place, array: str) -> None:
    stored = cell(place, "pair_logistic", seed=1)
    with np.load(stored.folder / MODEL) as found:
        arrays = dict(found)
    photos = sorted(str(path) for path in (place.folder / "people").glob("*/*.png"))[:2]
    np.savez(stored.folder / MODEL, **{**arrays, array: np.zeros((3, 2), np.float32)})
    reseal(stored.folder)
    try:
        _, err = place.bench("predict", stored.id[:8], *photos, code=2)
    finally:
        np.savez(stored.folder / MODEL, **arrays)
        reseal(stored.folder)
    assert "does not fit together" in err and "Traceback" not in err
    place.bench("predict", stored.id[:8], *photos)


@pytest.mark.slow
def test_each_photo_is_explained_beside_the_other(place: Place) -> None:
    pytest.importorskip("lime")
    stored = cell(place, "cosine")
    photos = sorted(str(path) for path in (place.folder / "people").glob("*/*.png"))[:2]
    out, _ = place.bench("explain", stored.id[:8], *photos, "--out", "why", "--samples", "60")
    pictures = sorted(path.name for path in (place.folder / "why").iterdir())
    assert len(pictures) == 4 and all(name in out.replace("\n", "") for name in pictures)


def test_results_are_compared_ranked_and_reported(place: Place) -> None:
    out, _ = place.bench("compare", "lenet/cosine", "lenet/pair_logistic", "--task", "faces")
    assert "accuracy" in out and "AUC" in out
    out, _ = place.bench("leaderboard", "--task", "faces")
    assert "joint_bayes" in out
    place.bench("report", "--task", "faces", "--out", "page")
    page = (place.folder / "page" / "index.html").read_text(encoding="utf-8")
    assert "joint_bayes" in page and "ROC" in page


@pytest.mark.slow
def test_a_cell_is_reproduced_to_the_bit(place: Place) -> None:
    out, _ = place.bench("reproduce", *(cell(place, method).id[:8] for method in ("cosine", "pair_logistic")))
    assert out.count("equal") >= 2


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["scratch", "finetune"])
def test_nets_are_reproduced_to_the_bit(place: Place, regime: str) -> None:
    args = ["run", "--task", "faces", "--sample", "tiny", "--backbone", "lenet", "--regime", regime]
    args += [
        "--method",
        "siamese",
        "--seed",
        "0",
        "--set",
        "epochs=2",
        "--set",
        "train_pairs=200",
        "--keep-model",
    ]
    weights: tuple[str, ...] = ()
    if regime == "finetune":
        from bench.backbones.registry import build_backbone, get_backbone

        file = place.folder / "lenet.weights.h5"
        build_backbone(get_backbone("lenet"), (32, 32), "random", 7).save_weights(file)
        weights = ("--weights", str(file))
    place.bench(*args, *weights, "--results", regime)
    (stored,) = cells(place, regime)
    out, _ = place.bench("reproduce", stored.id[:8], *weights, "--results", regime)
    assert "equal" in out
    test = stored.predictions("test")
    assert test.pairs is not None
    photos = [str(place.folder / "people" / f"{photo}.png") for photo in test.pairs.photos[0]]
    out, _ = place.bench("predict", stored.id[:8], *photos, *weights, "--results", regime, "--format", "json")
    assert json.loads(out)[0]["similarity"] == pytest.approx(float(test.scores[0, 0]), rel=1e-4, abs=1e-5)


def _lists(folder: Path) -> list[str]:
    """Copy the people into LFW's layout with a list of two folds, and return the people."""
    shutil.copytree(folder / "people", folder / "lfw" / "lfw", ignore=shutil.ignore_patterns("*.csv"))
    people = sorted(path.name for path in (folder / "lfw" / "lfw").iterdir())
    lines = ["2\t10"]
    for fold in (people[:10], people[10:20]):
        lines += [f"{name}\t1\t2" for name in fold]
        lines += [f"{name}\t1\t{fold[(at + 1) % 10]}\t2" for at, name in enumerate(fold)]
    (folder / "lfw" / "pairs.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return people


def test_view_2_keeps_the_folds_and_a_missing_photo_is_an_error(place: Place) -> None:
    people = _lists(place.folder)
    run = ("run", "--task", "faces", "--data", "lfw", *FROZEN, "--set", "pairs=view2", "--seed", "0")
    place.bench(
        *run,
        "--method",
        "cosine,whiten(dims=4)+joint_bayes",
        "--results",
        "view2",
        "--set",
        "val_fraction=0.3",
    )
    for stored in cells(place, "view2"):
        test = stored.predictions("test")
        assert test.pairs is not None
        assert test.pairs.folds.tolist() == [0] * 20 + [1] * 20
        assert [photos[0].split("/")[0] for photos in test.pairs.photos[:10]] == people[:10]
        right = (test.scores[:, 0] >= test.pairs.cuts) == (test.truth == 1)
        folds = np.array([right[:20].mean(), right[20:].mean()])
        metrics = stored.record["metrics"]["test"]
        assert metrics["accuracy"] == pytest.approx(folds.mean())
        assert metrics["accuracy_fold_se"] == pytest.approx(folds.std(ddof=1) / np.sqrt(2))
    kept = (*run, "--method", "cosine", "--results", "view2")
    assert "a model for each fold" in place.bench(*kept, "--keep-model", code=2)[1]
    asked = ("predict", cell(place, "cosine", results="view2").id[:8], "a.png", "b.png", "--results", "view2")
    assert "a model for each fold" in place.bench(*asked, code=2)[1]
    assert (
        "train_pairs is for pairs that are made" in place.bench(*kept, "--set", "train_pairs=40", code=2)[1]
    )
    place.bench("plan", *kept[1:], "--set", "train_pairs=4000")
    gone = place.folder / "lfw" / "lfw" / people[3] / f"{people[3]}_0002.png"
    gone.unlink()
    _, err = place.bench(*run, "--method", "cosine", "--results", "gone", code=2)
    assert "pairs.txt" in err and people[3] in err and "line 5" in err


def test_a_cell_of_many_folds_is_stored_before_the_next_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And progress counts the folds, in the first training and in the refit."""
    write_people(faces_sample("tiny"), tmp_path / "people")
    _lists(tmp_path)
    seen: list[tuple[str, int, list[tuple[int, int]]]] = []
    fit = FrozenPairs.fit

    def watched(self: FrozenPairs, work: Any, first: Any = ()) -> Iterator[Any]:
        told: list[tuple[int, int]] = []
        (method,) = {cell.method.text for cell, _ in work}
        seen.append((method, len(list((tmp_path / "results").rglob("result.json"))), told))

        def progress(done: int, total: int, what: str) -> None:
            if what.startswith("fitting"):
                told.append((done, total))

        self.progress = progress
        return fit(self, work, first)

    monkeypatch.setattr(FrozenPairs, "fit", watched)
    InProcess(tmp_path, monkeypatch).bench(
        *("run", "--task", "faces", "--data", str(tmp_path / "lfw"), *FROZEN, "--seed", "0"),
        *("--set", "pairs=view2", "--set", "val_fraction=0.3", "--set", "epochs=3"),
        *("--method", "cosine,whiten(dims=4)+joint_bayes,whiten(dims=4)+pair_logistic"),
        results="results",
        cache="cache",
    )
    methods = list(dict.fromkeys(method for method, *_ in seen))
    assert len(methods) == 3
    assert [stored for _, stored, _ in seen] == [methods.index(method) for method, *_ in seen]
    assert all(told == [(1, 2), (2, 2)] for *_, told in seen)
    assert sorted(method for method, *_ in seen) == sorted(2 * methods)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--set", "pairs=view1"), "needs pairsDevTrain.txt"),
        (("--set", "noise=uniform", "--set", "noise_rate=0.2"), "has no effect on verification"),
        (("--method", "focal"), "not for verification"),
        (("--method", "cosine+euclidean"), "cannot be combined"),
        (("--set", ".epochs=3"), "no stage before the dot"),
    ],
)
def test_what_makes_no_sense_is_one_line(place: Place, args: tuple[str, ...], says: str) -> None:
    _, err = place.start(*RUN, "--seed", "0", "--results", "none", *args).communicate(timeout=900)
    assert says in err and "Traceback" not in err


def test_keys_of_pairs_are_refused_elsewhere(place: Place) -> None:
    args = ("run", "--task", "fashion", "--sample", "tiny", "--set", "train_pairs=10")
    assert "has no effect on multiclass" in place.bench(*args, code=2)[1]
