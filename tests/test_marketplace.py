"""The marketplace task as a user meets it: drawn, run, cleaned, reviewed, run again."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest

from bench.core.cell import FORMAT_VERSION, Cell, DataId
from bench.core.predictions import CellResult
from bench.data.synthetic.marketplace import TRUTH, marketplace_sample
from bench.methods.grammar import parse_method
from bench.methods.prices import odd_prices
from bench.store.write import Store, Stored, failed
from tests.place import Place

pytest.importorskip("cleanlab")

TINY = ("--task", "marketplace", "--sample", "tiny", "--backbone", "lenet")
QUICK = ("--method", "none,gce", "--seed", "0", "--set", "epochs=2")
FROZEN = ("--weights", "random")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where the task has run and its labels were judged."""
    place = Place(tmp_path_factory.mktemp("market"))
    place.bench("run", *TINY, *QUICK)
    place.bench("clean", *TINY, *FROZEN, "--out", "review.csv")
    return place


def test_the_run_keeps_senders_apart_and_counts_them_as_one(place: Place) -> None:
    cells, problems = Store(place.folder / "results").load("marketplace")
    assert len(cells) == 2 and not problems
    columns = marketplace_sample("tiny").columns
    sender = dict(zip(marketplace_sample("tiny").items, columns["sender"], strict=True))
    for stored in cells:
        test, val = stored.predictions("test"), stored.predictions("val")
        assert test.groups == tuple(sender[item] for item in test.items)
        assert not set(test.groups) & set(val.groups or ())


def test_the_reviewed_table_names_what_is_in_doubt(place: Place) -> None:
    with open(place.folder / "review.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    examples = marketplace_sample("tiny")
    given = dict(zip(examples.items, examples.columns["category"], strict=True))
    assert all(row["given"] == given[row["item"]] for row in rows)
    assert all(row["use"] == row["suggested"] for row in rows)
    looks = [row for row in rows if "looks like" in row["reason"]]
    assert all(row["suggested"] != row["given"] for row in looks)
    assert all("price" in row["reason"] for row in rows if row["suggested"] == row["given"])
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores)


def test_a_contact_sheet_shows_the_most_doubtful(place: Place) -> None:
    from PIL import Image

    place.bench("clean", *TINY, *FROZEN, "--out", "with.csv", "--sheet", "sheet.png")
    with open(place.folder / "with.csv", encoding="utf-8", newline="") as file:
        rows = len(list(csv.DictReader(file)))
    sheet = Image.open(place.folder / "sheet.png")
    assert sheet.width == 8 * 118 + 6 and sheet.height == -(-rows // 8) * 150 + 6
    # The frame of the first picture holds the drawing itself.
    first = np.asarray(sheet)[6:118, 6:118].astype(int)
    assert first.std() > 10
    place.bench("clean", *TINY, *FROZEN, "--out", "more.csv", "--sheet", "sheet.png", code=2)


def test_the_table_of_classes_adds_up_and_knows_the_truth(place: Place) -> None:
    out, _ = place.bench("clean", *TINY, *FROZEN, "--out", "again.csv", "--format", "json")
    assert (place.folder / "again.csv").read_bytes() == (place.folder / "review.csv").read_bytes()
    rows = json.loads(out)
    assert rows[-1]["class"] == "all"
    for key in ("judged", "suspect", "suggested"):
        assert rows[-1][key] == sum(row[key] for row in rows[:-1])
    assert rows[-1]["suspect"] == rows[-1]["suggested"] > 0
    out, _ = place.bench("clean", *TINY, *FROZEN, "--out", "third.csv")
    assert f"column {TRUTH}" in out and "AUROC" in out


def test_planted_labels_are_known_where_the_data_does_not_tell(place: Place) -> None:
    planted = ("--set", "noise=uniform", "--set", "noise_rate=0.3")
    tiny = ("--task", "fashion", "--sample", "tiny", "--backbone", "lenet")
    out, _ = place.bench("clean", *tiny, *FROZEN, *planted, "--out", "planted.csv")
    assert "synthetic noise" in out


def test_a_reviewed_table_makes_other_cells_and_an_unchanged_one_does_not(place: Place) -> None:
    before, _ = place.bench("plan", *TINY, *QUICK, "--format", "json")
    with_table, _ = place.bench("plan", *TINY, *QUICK, "--set", "labels=review.csv", "--format", "json")
    ids = [{row["cell"] for row in json.loads(text)} for text in (before, with_table)]
    assert not ids[0] & ids[1]
    _, err = place.bench("run", *TINY, *QUICK, "--set", "labels=review.csv")
    assert "2 of 2 cells to train" in err
    _, err = place.bench("run", *TINY, *QUICK, "--set", "labels=review.csv")
    assert "nothing to do" in err
    moved = place.folder / "elsewhere.csv"
    moved.write_bytes((place.folder / "review.csv").read_bytes())
    _, err = place.bench("run", *TINY, *QUICK, "--set", f"labels={moved}")
    assert "nothing to do" in err, "where the table lies is not part of a cell"


def test_noise_in_train_leaves_the_scored_labels_as_they_are(place: Place) -> None:
    noisy = ("--set", "noise=pair", "--set", "noise_rate=0.4")
    place.bench("run", *TINY, "--method", "none", "--seed", "0", "--set", "epochs=2", *noisy)
    cells, _ = Store(place.folder / "results").load("marketplace")
    examples = marketplace_sample("tiny")
    given = dict(zip(examples.items, examples.columns["category"], strict=True))
    for stored in cells:
        if stored.record["cell"]["protocol"]["noise"] == "pair":
            test = stored.predictions("test")
            assert [test.classes[t] for t in test.truth] == [given[item] for item in test.items]
            val = stored.predictions("val")
            changed = np.mean([val.classes[t] != given[i] for t, i in zip(val.truth, val.items, strict=True)])
            assert changed > 0
            break
    else:
        raise AssertionError("the noisy cell is not stored")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("clean", *TINY, *FROZEN, "--out", "review.csv"), "exists already"),
        (("clean", *TINY, *FROZEN, "--out", "no/where.csv"), "there is no folder"),
        (("clean", *TINY, "--out", "x.csv"), "no published ImageNet weights"),
        (("clean", *TINY, *FROZEN, "--folds", "1", "--out", "x.csv"), "--folds"),
        (("run", *TINY, *QUICK, "--set", "labels=none.csv"), "no such file"),
        (("run", *TINY, *QUICK, "--set", "split_column=sendr"), "did you mean 'sender'"),
        (("run", *TINY, *QUICK, "--set", "noise=unifrom"), "did you mean 'uniform'"),
        (("run", *TINY, *QUICK, "--set", "noise_rate=2"), "at most 0.95"),
        (("run", *TINY, *QUICK, "--set", "noise_rate=0.2"), "noise_rate needs noise"),
        (("run", *TINY, *QUICK, "--set", "noise=pair"), "noise=pair needs noise_rate"),
        (("clean", *TINY, *FROZEN, "--set", "noise=pair", "--out", "x.csv"), "noise=pair needs noise_rate"),
        (("plan", *TINY, *QUICK, "--set", "split=even_year"), "leaves no train row"),
        (("plan", "--task", "marketplace", "--seed", ""), "--seed is empty"),
        (("results", "--results", ""), "--results is empty"),
    ],
)
def test_faults_are_one_line(place: Place, args: tuple[str, ...], says: str) -> None:
    out, err = place.bench(*args, code=2)
    assert out == "" and says in err
    faults = [
        line for line in err.splitlines() if line.startswith("bench: ") and "synthetic sample" not in line
    ]
    assert len(faults) == 1


def test_prices_reach_the_step_that_cleans_by_them(place: Place) -> None:
    place.bench("run", *TINY, "--method", "clean(price)+mixup", "--seed", "0", "--set", "epochs=2", "--quiet")
    cells, _ = Store(place.folder / "results").load("marketplace")
    [stored] = [stored for stored in cells if stored.record["cell"]["method_text"] == "clean(price)+mixup"]
    drawn = marketplace_sample("tiny")
    held = {*stored.predictions("val").items, *stored.predictions("test").items}
    train = [row for row, item in enumerate(drawn.items) if item not in held]
    own = ([drawn.columns[name][row] for row in train] for name in ("category", "price"))
    assert stored.record["choices"]["clean"] == {"odd_price": len(odd_prices(*own))}


def test_logs_are_written_of_what_is_stored(place: Place) -> None:
    _, said = place.bench("run", *TINY, *QUICK, "--quiet", "--tensorboard", "logs")
    assert "nothing to do" in said and "2 cells logged in logs" in said
    logs = sorted((place.folder / "logs").rglob("*tfevents*"))
    assert [log.parent.parent.name for log in logs] == ["gce", "none"]
    _, said = place.bench("run", *TINY, *QUICK, "--quiet", "--tensorboard", "review.csv", code=2)
    assert said.count("\n") == 1 and "--tensorboard" in said


def test_a_rerun_that_fails_keeps_what_was_measured(place: Place) -> None:
    cell = ("--task", "marketplace", "--sample", "tiny", "--backbone", "lenet", "--regime", "frozen")
    kept = (*cell, *QUICK[2:], "--method", "none", "--results", "kept", "--cache", "kc")
    place.bench("run", *kept, "--weights", "random", "--quiet")
    store = Store(place.folder / "kept")
    [before] = store.load("marketplace")[0]
    good = {path.name: path.read_bytes() for path in before.folder.iterdir()}
    # The cell's own loss is fine; what fails is the folder of the cache, which is a file now.
    (place.folder / "blocked").write_text("")
    blocked = (*kept[:-1], "blocked")
    place.bench("run", *blocked, "--weights", "random", "--quiet", "--rerun", code=2)
    store.commit(failed(CellResult(cell_of(before), "ok"), "lost"), {})
    assert {path.name: path.read_bytes() for path in before.folder.iterdir()} == good


def cell_of(stored: Stored) -> Cell:
    """Build the cell back from its record."""
    raw = {
        key: value
        for key, value in stored.record["cell"].items()
        if key not in ("identity_version", "method_text")
    }
    return Cell(
        **{
            **raw,
            "method": parse_method(stored.record["cell"]["method_text"]),
            "protocol": tuple(sorted(raw["protocol"].items())),
            "data": DataId(**raw["data"]),
        }
    )


def test_a_result_of_a_newer_version_is_not_touched(place: Place) -> None:
    plan, _ = place.bench("plan", *TINY, *QUICK, "--format", "json")
    own = json.loads(plan)[0]["cell"]
    path = next((place.folder / "results").rglob(f"s*-{own}/result.json"))
    text = path.read_text(encoding="utf-8")
    newer = text.replace(f'"format_version": {FORMAT_VERSION}', '"format_version": 99', 1)
    path.write_text(newer, encoding="utf-8")
    try:
        for command in (("plan",), ("run", "--rerun")):
            _, err = place.bench(*command, *TINY, *QUICK, code=2)
            assert "newer messybench (format 99)" in err
        assert path.read_text(encoding="utf-8") == newer
    finally:
        path.write_text(text, encoding="utf-8")


def test_a_path_that_is_not_utf_8_costs_nothing(place: Place) -> None:
    folder = os.fsencode(place.folder) + b"/d\xff"
    place.bench("data", "draw", "--task", "marketplace", "--out", "plain")
    os.rename(place.folder / "plain", os.fsdecode(folder))
    odd = ("--task", "marketplace", "--data", os.fsdecode(folder), "--backbone", "lenet")
    place.bench("run", *odd, *QUICK, "--results", "odd")
    cells, problems = Store(place.folder / "odd").load("marketplace")
    assert len(cells) == 2 and not problems


def test_the_drawn_folder_is_read_like_the_drawn_sample(place: Place) -> None:
    place.bench("data", "draw", "--task", "marketplace", "--out", "drawn")
    out, _ = place.bench("data", "check", "--task", "marketplace", "--data", "drawn", code=0)
    assert "T-Shirt" in out
    out, _ = place.bench("plan", "--task", "marketplace", "--data", "drawn", "--backbone", "lenet")
    assert "to run" in out
