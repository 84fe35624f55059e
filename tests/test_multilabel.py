"""The multilabel task as a user meets it: drawn, run, hidden, kept, killed, leaked and badly labelled."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.data.synthetic.multilabel import ATTRIBUTES, multilabel_sample
from bench.store.head_file import load_head
from bench.store.loss_curve import LOSS_CURVE
from bench.store.read import CURVES, MODEL, PREDICTIONS
from bench.store.write import Store, Stored
from tests.place import Place

TASK = ("--task", "multilabel")
TINY = (*TASK, "--sample", "tiny", "--backbone", "lenet", "--seed", "0", "--set", "epochs=2")
FROZEN = ("--regime", "frozen", "--weights", "random")
FILLING = ("assume_negative", "impute(mf)", "impute(leml)", "self_train")
METHODS = (
    *("none", *FILLING, "large_loss", "splc", "asl", "threshold"),
    *("mlp(units=8)", "conv(4)", "augment(flip,views=2)", "drop_rows", "impute+threshold(gmean)"),
)
TRIVIAL = ("majority", "all_positive", "prior")
KIND = get_kind("multilabel")


class Wardrobe(Place):
    """A folder in which the task has run."""

    def cells(self, results: str = "results") -> dict[str, Stored]:
        """Return the stored cells of a results folder by method."""
        cells, problems = Store(self.folder / results).load("multilabel")
        assert not problems
        return {stored.record["cell"]["method_text"]: stored for stored in cells}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Wardrobe:
    """A place where frozen heads of many methods have run, on the backbone's random weights."""
    place = Wardrobe(tmp_path_factory.mktemp("multilabel"))
    place.out, place.err = place.bench("run", *TINY, *FROZEN, "--method", ",".join(("mask", *METHODS[1:])))
    place.bench("data", "draw", *TASK, "--out", "drawn")
    return place


def areas(pred: Predictions) -> list[float]:
    """Return each attribute's ROC area over its observed cells, by scikit-learn; none of one without both."""
    found = []
    for column in range(len(pred.classes)):
        seen = pred.truth[:, column] >= 0
        truth = pred.truth[seen, column]
        if 0 < truth.sum() < len(truth):
            found.append(float(roc_auc_score(truth, pred.scores[seen, column])))
    return found


def test_the_tables_show_the_trivial_answers_beside_every_method(place: Wardrobe) -> None:
    ranking = [line.split() for line in place.out.split("\n\n")[0].splitlines()]
    assert ranking[0][:4] == ["multilabel", "all:", "AUC", "macro"]
    names = [words[2] for words in ranking if words[0].isdigit() or words[:2] == ["–", "–"]]
    assert sorted(names[:-3]) == sorted(METHODS) and names[-3:] == [*TRIVIAL]
    out, err = place.bench("run", *TINY, *FROZEN, "--method", "mask,threshold", "--format", "csv")
    assert "nothing to do: all 2 cells are stored" in err
    tables = [list(csv.DictReader(part.splitlines())) for part in out.split("\n\n")]
    majority, positive, prior = tables[0][-3:]
    for row, name in zip(tables[0][-3:], TRIVIAL, strict=True):
        assert row["method"] == name and float(row["auc_macro"]) == 0.5
    assert float(positive["f1_macro"]) > float(majority["f1_macro"]) == float(prior["f1_macro"])
    rows = [row["class"] for row in tables[1] if row["row"] == "class"]
    assert tuple(rows) == ATTRIBUTES
    assert {row["row"] for row in tables[1]} >= {"class", "average", *TRIVIAL}


def test_every_method_is_measured_and_every_number_comes_from_stored_predictions(place: Wardrobe) -> None:
    cells = place.cells()
    assert set(cells) == set(METHODS)
    truth = {name: cells["none"].predictions(name).truth for name in ("val", "test")}
    for method, stored in cells.items():
        record = stored.record
        assert stored.ok, record["reason"]
        metrics = record["metrics"]
        filled = any(step in FILLING or step.startswith("impute") for step in method.split("+"))
        assert set(metrics) == {"val", "test", *TRIVIAL, *(("imputed",) if filled else ())}, method
        for part in ("val", "test", *(("imputed",) if filled else ())):
            pred = stored.predictions(part)
            assert KIND.metrics.summary(pred) == pytest.approx(metrics[part], nan_ok=True), (method, part)
            assert np.isin(pred.truth, (-1, 0, 1)).all()
            assert (pred.scores >= 0).all() and (pred.scores <= 1).all()
            assert metrics[part]["auc_macro"] == pytest.approx(np.mean(areas(pred)))
            if part != "imputed":
                np.testing.assert_array_equal(pred.truth, truth[part])
        for name, pred in KIND.metrics.trivials(stored.predictions("test")).items():
            assert KIND.metrics.summary(pred) == pytest.approx(metrics[name], nan_ok=True)


def test_a_cell_keeps_what_was_known_where_a_yes_begins_and_the_curves(place: Wardrobe) -> None:
    examples = multilabel_sample("tiny")
    for method, stored in place.cells().items():
        record, test, val = stored.record, stored.predictions("test"), stored.predictions("val")
        held = {*test.items, *val.items}
        train = [row for row, item in enumerate(examples.items) if item not in set(test.items)]
        assert len(train) + len(test.items) == len(examples.items) and len(held) == len(val.items) + 20
        told = [Counter(examples.columns[name][row] for row in train) for name in ATTRIBUTES]
        assert record["classes"] == list(ATTRIBUTES)
        assert record["train_support"] == [count["1"] for count in told]
        assert record["known"] == [count["1"] + count["0"] for count in told]
        own = record["cuts"]
        assert (own is not None) == ("threshold" in method)
        if own is not None:
            assert all(0 <= cut <= 1 for cut in own) and set(own) != {0.5}
            assert _reached(method, own, val) >= _reached(method, [0.5] * len(own), val) - 1e-9
        _curves_hold_the_areas(stored)


def _reached(method: str, cuts: list[float], val: Predictions) -> float:
    """Return the mean over attributes of what the cuts were chosen for, on validation."""
    scores = []
    for column, cut in enumerate(cuts):
        seen = val.truth[:, column] >= 0
        yes, said = val.truth[seen, column] == 1, val.scores[seen, column] >= np.float32(cut)
        if yes.all() or not yes.any():
            continue
        gmean = float(np.sqrt(said[yes].mean() * (~said)[~yes].mean()))
        scores.append(gmean if "gmean" in method else float(f1_score(yes, said, zero_division=0)))
    return float(np.mean(scores))


def _curves_hold_the_areas(stored: Stored) -> None:
    """Check that what lies under the stored curves is what the table of attributes says."""
    with (stored.folder / CURVES).open(encoding="utf-8", newline="") as file:
        points = list(csv.DictReader(file))
    test = stored.predictions("test")
    for row in stored.per_class:
        column = ATTRIBUTES.index(row["class"])
        own = [p for p in points if p["class"] == row["class"]]
        roc = np.array([[float(p["x"]), float(p["y"])] for p in own if p["curve"] == "roc"]).reshape(-1, 2)
        seen = test.truth[:, column] >= 0
        assert row["test_support"] == seen.sum()
        if row["auc"] is None:
            assert not len(roc)
            continue
        assert np.trapezoid(roc[:, 1], roc[:, 0]) == pytest.approx(row["auc"])
        expected = average_precision_score(test.truth[seen, column], test.scores[seen, column])
        assert row["ap"] == pytest.approx(expected)
        for point in (p for p in own if p["curve"] == "pr"):
            said = test.scores[seen, column] >= np.float32(point["cut"])
            yes = test.truth[seen, column] == 1
            told = (said & yes).sum() / yes.sum(), (said & yes).sum() / said.sum()
            assert (float(point["x"]), float(point["y"])) == pytest.approx(told)


def test_what_was_filled_in_is_scored_where_its_truth_is_known(place: Wardrobe) -> None:
    examples = multilabel_sample("tiny")
    row_of = {item: row for row, item in enumerate(examples.items)}
    given = np.array([examples.columns[name] for name in ATTRIBUTES]).T
    answers = np.array([examples.answers[name] for name in ATTRIBUTES]).T.astype(int)
    cells = place.cells()
    held = {*cells["none"].predictions("val").items, *cells["none"].predictions("test").items}
    train = [item for item in examples.items if item not in held]
    gaps = [item for item in train if (given[row_of[item]] == "").any()]
    for method in (*FILLING, "impute+threshold(gmean)"):
        pred = cells[method].predictions("imputed")
        assert list(pred.items) == gaps, "training rows with a gap, and no others"
        rows = [row_of[item] for item in pred.items]
        np.testing.assert_array_equal(pred.truth, np.where(given[rows] == "", answers[rows], -1))
    means = cells["impute+threshold(gmean)"].predictions("imputed")
    for column in range(len(ATTRIBUTES)):
        known = [given[row_of[item], column] for item in train if given[row_of[item], column]]
        share = np.mean([cell == "1" for cell in known])
        asked = means.truth[:, column] >= 0
        np.testing.assert_allclose(means.scores[asked, column], share, rtol=1e-6)
    guess = cells["assume_negative"].predictions("imputed")
    assert (guess.scores == 0).all()
    assert cells["assume_negative"].record["metrics"]["imputed"]["accuracy_macro"] == pytest.approx(
        np.mean([(column[column >= 0] == 0).mean() for column in guess.truth.T])
    )


def test_leaving_rows_out_says_what_it_costs(place: Wardrobe) -> None:
    examples, stored = multilabel_sample("tiny"), place.cells()["drop_rows"]
    held = {*stored.predictions("val").items, *stored.predictions("test").items}
    rows = [row for row, item in enumerate(examples.items) if item not in held]
    cells = [[examples.columns[name][row] for name in ATTRIBUTES] for row in rows]
    whole = [row for row in cells if "" not in row]
    assert stored.record["choices"]["drop_rows"] == {
        "dropped_rows": len(cells) - len(whole),
        "kept_rows": len(whole),
        "dropped_known_cells": sum(cell != "" for row in cells if "" in row for cell in row),
    }


def test_whether_the_labels_carry_a_signal_is_tested_unasked(place: Wardrobe) -> None:
    found = [stored.record["checks"]["signal"] for stored in place.cells().values()]
    assert all(one == found[0] for one in found), "of the stage's data, whatever the method"
    signal_ = found[0]
    assert 0.005 <= signal_["p"] <= 1 and 0 <= signal_["auc"] <= 1
    examples = multilabel_sample("tiny")
    test = set(place.cells()["none"].predictions("test").items)
    photos = dict(zip(examples.items, examples.images.content_hashes(), strict=True))
    once = {photo for item, photo in photos.items() if item not in test}
    assert signal_["rows"] == len(once) < 80, "a photo that appears twice counts once"
    assert set(signal_["attributes"]) <= set(ATTRIBUTES)
    assert signal_["auc"] == pytest.approx(np.mean([one["auc"] for one in signal_["attributes"].values()]))


def test_hidden_cells_are_trained_without_and_scored_against(place: Wardrobe) -> None:
    hide = ("--set", "hide=random", "--set", "hide_rate=0.3", "--results", "hidden")
    place.bench("run", *TINY, *FROZEN, "--method", "mask,impute(mean)", *hide, "--quiet")
    plain, hidden = place.cells()["none"], place.cells("hidden")
    for stored in hidden.values():
        for before, after in zip(plain.record["known"], stored.record["known"], strict=True):
            assert after == before - round(0.3 * before)
        test, whole = stored.predictions("test"), plain.predictions("test")
        assert test.items == whole.items
        np.testing.assert_array_equal(test.truth, whole.truth)
    asked = {
        method: int((stored.predictions("imputed").truth >= 0).sum())
        for method, stored in (("before", place.cells()["impute(mf)"]), ("after", hidden["impute"]))
    }
    assert asked["after"] > asked["before"] * 1.5, "hidden cells are asked for too"
    assert set(hidden["none"].record["metrics"]) == {"val", "test", *TRIVIAL}


def test_a_method_that_cannot_be_trained_takes_no_other_with_it(place: Wardrobe) -> None:
    """Where so much is hidden that no row is whole, and validation is so small that it has no image."""
    few = ("--set", "hide=random", "--set", "hide_rate=0.7", "--set", "val_fraction=0.01")
    methods = "threshold,mask,drop_rows,assume_negative"
    args = (*few, "--set", "test_fraction=0.5", "--results", "few", "--quiet")
    place.bench("run", *TINY, *FROZEN, "--method", methods, *args, code=4)
    found = {method: stored.record["reason"] for method, stored in place.cells("few").items()}
    assert found["none"] is found["assume_negative"] is None
    assert "drop_rows leaves none of 50 training rows" in found["drop_rows"]
    assert "threshold is chosen on validation" in found["threshold"]


def test_a_stored_cell_is_trained_again_where_its_model_is_wanted(place: Wardrobe) -> None:
    args = ("run", *TINY, *FROZEN, "--method", "threshold,mlp(units=8)", "--quiet")
    before = {method: place.cells()[method] for method in ("threshold", "mlp(units=8)")}
    scores = {method: stored.predictions("test").scores for method, stored in before.items()}
    assert not list((place.folder / "results").rglob(MODEL))
    _, err = place.bench(*args, "--keep-model")
    assert "2 of 2 cells to train" in err, "they have no model"
    for again in ((*args, "--keep-model"), args):
        _, err = place.bench(*again)
        assert "nothing to do" in err
    for method, stored in place.cells().items():
        assert (stored.folder / MODEL).is_file() == (method in before)
        if method in before:
            assert (stored.folder / LOSS_CURVE).is_file() == (find_spec("matplotlib") is not None)
            np.testing.assert_array_equal(stored.predictions("test").scores, scores[method])
            head = load_head(stored.folder)
            assert head.classes == ATTRIBUTES and head.cell == stored.id and head.link == "sigmoid"
            cuts = stored.record["cuts"]
            assert (head.cuts is None) == (cuts is None) == (method != "threshold")
            if head.cuts is not None:
                np.testing.assert_allclose(head.cuts, cuts)


def test_nets_of_their_own_train_where_features_are_not_needed(place: Wardrobe) -> None:
    methods = "mask,oversample+class_weight,impute(leml)"
    _, err = place.bench("run", *TINY, "--method", methods, "--results", "nets", "--quiet")
    assert "cannot run lenet x impute(leml): impute works on features; the scratch regime has none" in err
    cells = place.cells("nets")
    assert {stored.record["cell"]["regime"] for stored in cells.values()} == {"scratch"}
    assert set(cells) == {"none", "oversample+class_weight"} and all(one.ok for one in cells.values())
    checks = [stored.record.get("checks", {}) for stored in cells.values()]
    assert not any("signal" in found for found in checks), "there are no features to test on"
    history = cells["none"].history
    assert [row["epoch"] for row in history] == [1, 2] and "val_f1" in history[0]


@pytest.fixture(scope="module")
def leaky(place: Wardrobe) -> Path:
    """A folder in which rare combinations of labels were repeated before anybody set a test part aside.

    So one solution was made: every combination as often as the most frequent one, each copy of a photo under
    a name of its own.
    """
    examples, folder = multilabel_sample("tiny"), place.folder / "leaky"
    (folder / "images").mkdir(parents=True)
    names = ("sleeves", "dark", "striped", "collar")
    rows = list(zip(*(examples.answers[name] for name in names), strict=True))
    lines: list[str] = []
    for combination in sorted(set(rows)):
        own = [item for item, row in zip(examples.items, rows, strict=True) if row == combination]
        for copy in range(max(Counter(rows).values())):
            name = f"image_{len(lines)}.jpg"
            shutil.copy(place.folder / "drawn" / "images" / own[copy % len(own)], folder / "images" / name)
            lines.append(f"{name} {' '.join(combination)}")
    (folder / "label.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_rows_repeated_before_the_split_are_found_out(place: Wardrobe, leaky: Path) -> None:
    out, _ = place.bench("data", "check", *TASK, "--data", "leaky", "--format", "json")
    figures = {row["what"]: row["count"] for row in json.loads(out)[0]}
    leaked, test = figures["test images also in train (leak)"], figures["test"]
    assert leaked > test / 2
    args = (*TASK, "--data", "leaky", *TINY[4:], *FROZEN, "--method", "mask")
    out, err = place.bench("run", *args, "--set", "duplicates=keep", "--results", "leaked")
    memory = place.cells("leaked")["none"]
    assert memory.record["counts"]["leaked"] == leaked == _copies(leaky, memory, memory)
    assert f"{leaked} of {test} test images are also in train" in out + err, "it says so unasked"
    # What is left to score has no copy in train: the rule of the card.
    place.bench("run", *args, "--results", "clean", "--quiet")
    clean = place.cells("clean")["none"]
    assert clean.record["counts"]["test"] == test - leaked
    assert clean.record["counts"]["leaked"] == leaked
    assert _copies(leaky, clean, memory) == 0


def _copies(folder: Path, stored: Stored, every: Stored) -> int:
    """Count the scored test images whose bytes are those of one that trains; `every` scores all that test."""
    photos = {path.name: path.read_bytes() for path in (folder / "images").iterdir()}
    test = set(every.predictions("test").items)
    train = {raw for name, raw in photos.items() if name not in test}
    return sum(photos[item] in train for item in stored.predictions("test").items)


HOSTILE = (
    "=1+1",
    "<script>alert(1)</script>",
    "\x1b[31mred",
    'a,b"c',
    "../../etc",
    "x" * 300,
    "né\u202eé",
    "macro",
)


def test_hostile_names_and_attributes_that_cannot_be_scored(place: Wardrobe) -> None:
    """Of names that would run, break or hide something; the first attribute has one value, the third none."""
    folder = place.folder / "hostile"
    shutil.copytree(place.folder / "drawn" / "images", folder / "images")
    with (place.folder / "drawn" / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [[row[0], *row[2:]] for row in list(csv.reader(file))[1:]]
    for number, row in enumerate(rows):
        row[1], row[3] = ("1", "NA")[number % 3 == 0], ("NA", "")[number % 2]
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["image", *HOSTILE], *rows])
    out, _ = place.bench("data", "check", *TASK, "--data", "hostile")
    assert "known labels are yes: kept" in out and "no label is known: kept" in out
    assert "\x1b" not in out and "\u202e" not in out
    methods = "class_weight,impute(mf),self_train,threshold,asl,oversample"
    args = (*TASK, "--data", "hostile", *TINY[4:], *FROZEN, "--results", "odd", "--method", methods)
    for form in ("table", "csv"):
        out, err = place.bench("run", *args, "--format", form)
        assert "\x1b" not in out + err and "\u202e" not in out + err
        assert "script" in out and (form != "csv" or "\nclass,'=1+1," in out)
    cells = place.cells("odd")
    assert len(cells) == 6
    for stored in cells.values():
        rows_of = {row["class"]: row for row in stored.per_class}
        assert stored.ok and list(rows_of) == stored.record["classes"]
        assert stored.record["classes"][:2] == list(HOSTILE[:2])
        single, never = stored.per_class[0], stored.per_class[2]
        assert single["auc"] is None and single["test_support"] > 0 and single["f1"] is not None
        assert never["test_support"] == 0 and never["accuracy"] is None
        found = [row["auc"] for row in stored.per_class if row["auc"] is not None]
        assert stored.record["metrics"]["test"]["auc_macro"] == pytest.approx(np.mean(found))
        assert not any(key == never["class"] for key in stored.record["checks"]["signal"]["attributes"])


def _labels(*cells: str) -> bytes:
    """Return a table with a row of these cells for each of forty photos."""
    rows = (f"outfit_{number:04d}.jpg,{','.join(cells)}\n" for number in range(40))
    return ("image,a,b\n" + "".join(rows)).encode("utf-8")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is empty"),
        (b"image,a\n", "no row of labels.csv can be used"),
        ("image,a\noutfit_0000.jpg,1\n".encode("utf-16"), "is UTF-16"),
        (b"image,shop\noutfit_0000.jpg,Alder\n", "no column of labels"),
        (_labels("2", "-1"), "no column of labels"),
        (b"image,a,a\noutfit_0000.jpg,1,0\n", "has several columns 'a'"),
        (b"image,a\nnone.jpg,1\n", "there is no images/none.jpg"),
        (b"../labels.csv 1 0\n", "is a path"),
        (bytes(range(256)), "no row of labels.csv can be used"),
        (b"image,a\n" + b"x" * 200_000 + b",1\n", "131,072 characters"),
    ],
    ids=[
        "empty",
        "names only",
        "utf-16",
        "no labels",
        "2 and -1",
        "twice",
        "no photo",
        "path",
        "binary",
        "huge",
    ],
)
def test_a_bad_label_file_is_one_line(bad: Wardrobe, raw: bytes, says: str) -> None:
    (bad.folder / "bad" / "labels.csv").write_bytes(raw)
    out, err = bad.bench("run", *TASK, "--data", "bad", code=2)
    assert out == "" and says in err
    assert len(err.splitlines()) == 1 and err.startswith("bench: ") and err.isprintable() is False
    assert "\x1b" not in err and len(err) < 600


@pytest.fixture(scope="module")
def bad(place: Wardrobe) -> Iterator[Wardrobe]:
    """The place with a folder whose label table is to be written."""
    shutil.copytree(place.folder / "drawn" / "images", place.folder / "bad" / "images")
    yield place


def test_labels_that_cannot_be_learned_fail_with_the_reason(bad: Wardrobe) -> None:
    known = {3: "1", 7: "0"}
    rows = "".join(f"outfit_{number:04d}.jpg,{known.get(number, 'NA')},\n" for number in range(40))
    (bad.folder / "bad" / "labels.csv").write_text("image,a,b\n" + rows, encoding="utf-8")
    args = (*TASK, "--data", "bad", *TINY[4:], *FROZEN, "--method", "mask", "--results", "poor")
    _, err = bad.bench("run", *args, code=5)
    assert "a known label" in err and "NaN" not in err
    (bad.folder / "bad" / "labels.csv").write_text("outfit_0000.jpg 1 0 NA\n", encoding="utf-8")
    out, _ = bad.bench("data", "check", *TASK, "--data", "bad")
    assert "test is empty" in out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--set", "hide=random"), "hide=random needs hide_rate"),
        (("--set", "hide_rate=0.3"), "hide_rate needs hide"),
        (("--set", "hide=column", "--set", "hide_rate=0.3"), "hide_by go together"),
        (
            ("--set", "hide=column", "--set", "hide_rate=0.3", "--set", "hide_by=shp"),
            "did you mean 'shop'",
        ),
        (("--set", "stop_by=val_top1"), "stop_by=val_top1 is not known to multilabel tasks"),
        (("--set", "noise=uniform", "--set", "noise_rate=0.2"), "plants wrong classes"),
        (("--set", "labels=review.csv"), "is multilabel"),
        (("--set", "source=fashon"), "did you mean 'fashion'"),
        (("--set", "staged=true"), "staged is for --regime finetune; lenet would run scratch"),
        (("--method", "treshold"), "did you mean 'threshold'"),
        (("--method", "mask(1)"), "'mask' takes no arguments"),
        (("--method", "impute(mean,rank=2)"), "rank belongs to by=mf"),
        (("--method", "conv+augment"), "conv and augment cannot be combined"),
        (("--method", "conv(filters=0)"), "conv: "),
        (("--method", "asl+splc"), "a method has one loss"),
        (("--data", "nowhere"), "nowhere"),
    ],
)
def test_faults_are_one_line(place: Wardrobe, args: tuple[str, ...], says: str) -> None:
    out, err = place.bench("run", *TASK, *args, code=2)
    assert out == "" and says in err
    faults = [
        line for line in err.splitlines() if line.startswith("bench: ") and "synthetic sample" not in line
    ]
    assert len(faults) == 1


def test_methods_for_classes_are_not_for_attributes(place: Wardrobe) -> None:
    _, err = place.bench("run", *TINY, *FROZEN, "--method", "smote,gce", code=5)
    assert "smote is for multiclass tasks, not for multilabel" in err


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bits(place: Wardrobe) -> None:
    """Of a net with a loss that remembers rows and a learning rate that falls by what was seen before."""
    epochs = 60
    args = (
        *("run", *TINY[:-1], f"epochs={epochs}", "--regime", "finetune", "--weights", place.draw_weights()),
        *("--method", "large_loss(permanent,rate=0.1)", "--set", "patience=0", "--set", "lr=0.01"),
        *("--set", "schedule=plateau", "--set", "schedule_every=2", "--quiet"),
    )
    place.bench(*args, "--results", "whole", "--cache", "whole-cache")
    behind = place.kill(*args, "--results", "torn", cache="torn-cache", epochs=5)
    assert 5 <= behind < epochs
    assert not place.cells("torn")
    _, err = place.bench(*args, "--results", "torn", "--cache", "torn-cache")
    first = next(line for line in err.splitlines() if "training 1 nets" in line)
    assert int(first.split(": ")[-1].split(" of ")[0]) > behind, "it did not begin again"
    [whole], [again] = (list(place.cells(name).values()) for name in ("whole", "torn"))
    for name in (PREDICTIONS, "history.csv", CURVES):
        assert (whole.folder / name).read_bytes() == (again.folder / name).read_bytes()
    assert len(whole.history) == epochs
    assert not list((place.folder / "torn-cache" / "checkpoints").iterdir()), "what is stored needs none"


def test_cleaning_is_for_one_label_per_image(place: Wardrobe) -> None:
    _, err = place.bench("clean", *TASK, "--sample", "tiny", "--out", "review.csv", code=2)
    assert "is multilabel" in err and not (place.folder / "review.csv").exists()
