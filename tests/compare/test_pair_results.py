"""Results of pairs of photos: stored, on boards, compared, pinned, beside published numbers, exported."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.compare.against_baseline import compare, regressions
from bench.compare.baselines.find import load_baseline
from bench.compare.baselines.pin import pin, write_baseline
from bench.compare.baselines.types import Baseline
from bench.compare.effects import base_of, effects
from bench.compare.estimates import Contrast, MetricSamples, estimated
from bench.compare.leaderboard import BEHIND, BEST, TIED, Board, boards
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.resolve import Stock, find_candidates
from bench.compare.side import sides_of
from bench.compare.stored_cells import read_bootstraps
from bench.compare.two_runs import compare_candidates
from bench.compare.verdict import BETTER, INCOMPARABLE, SAME, WORSE, Comparison
from bench.core.errors import BenchError, StoreError
from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.kinds.verification.people_bootstrap import People, PeopleDraws
from bench.kinds.verification.published import own_interval
from bench.kinds.verification.tables import PEOPLE
from bench.metrics import intervals
from bench.metrics.registry import METRICS
from bench.report.cell_tables import class_table
from bench.report.frames import classes_frame, predictions_frame, results_frame
from bench.report.leaderboard_tables import leaderboard_table
from bench.report.result_tables import grid_table, results_table
from bench.store.export import numbers, write_table
from bench.store.read import PREDICTIONS
from bench.store.write import Store, Stored
from tests.grids import faces, put, reseal

PAIRED = ("accuracy", "auc")
SHIPPED = Path(__file__).resolve().parents[2] / "baselines"
KIND = get_kind("verification")
LIKE = faces(400, 60, 0.0, 99)
VIEW2 = faces(6000, 900, 0.0, 98, folds=10)


def kept(root: Path, pred: Predictions, seed: int = 0, **identity: Any) -> str:
    fields = {"task": "faces", "stage": "all", "regime": "frozen", "source": "people", **identity}
    return put(root, pred, seed, kind="verification", **fields)


def grid(root: Path, seeds: Sequence[int] = (0, 1, 2, 3), **skills: float) -> None:
    for place, (method, skill) in enumerate(skills.items()):
        for seed in seeds:
            kept(root, faces(400, 60, skill, 100 * place + seed, LIKE), seed, method=method)


def read(root: Path, *metrics: str, draws: int = 300) -> tuple[list[Stored], list[PairedBootstrap]]:
    cells, problems = Store(root).load()
    found, unreadable = read_bootstraps(cells, metrics, draws=draws)
    assert not problems and not unreadable
    return cells, found


def board(root: Path, metric: str) -> Board:
    cells, found = read(root, metric)
    (only,) = boards([cell.record for cell in cells], found, metric)
    return only


def value(pred: Predictions, metric: str) -> float:
    found = KIND.metrics.summary(pred)[metric]
    assert found is not None
    return found


def row(rows: Sequence[Comparison], metric: str) -> Comparison:
    (found,) = [row for row in rows if row.metric == metric]
    return found


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


# Stored.


@pytest.mark.parametrize("folds", [1, 3])
def test_what_is_stored_is_read_back(tmp_path: Path, folds: int) -> None:
    pred = faces(300, 40, 1.0, 1, folds=folds)
    kept(tmp_path, pred)
    (cell,) = Store(tmp_path).load()[0]
    found = cell.predictions("test")
    assert found.pairs is not None and pred.pairs is not None
    for name in ("items", "groups", "classes"):
        assert getattr(found, name) == getattr(pred, name)
    for name in ("truth", "scores", "train_support", "known"):
        assert np.array_equal(getattr(found, name), getattr(pred, name))
    assert found.pairs.photos == pred.pairs.photos and found.pairs.partners == pred.pairs.partners
    assert np.array_equal(found.pairs.folds, pred.pairs.folds)
    assert np.array_equal(found.pairs.cuts, pred.pairs.cuts)
    assert found.cuts is None and len(cell.predictions("val").items) == 7
    assert KIND.metrics.summary(found) == cell.record["metrics"]["test"]
    assert [tuple(row.items()) for row in cell.per_class] == [
        tuple({**row, "confused_with": row["confused_with"]}.items()) for row in KIND.metrics.per_class(pred)
    ]
    with (cell.folder / "curves.csv").open() as file:
        assert {line["curve"] for line in csv.DictReader(file)} == {"roc"}


def without(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([name])


def column(name: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[pa.Table], pa.Table]:
    def changed(table: pa.Table) -> pa.Table:
        values = pa.array(change(table[name].to_pylist()), table[name].type)
        return table.set_column(table.schema.get_field_index(name), name, values)

    return changed


DAMAGE: dict[str, Callable[[pa.Table], pa.Table]] = {
    "no partner": without("partner"),
    "no cut": without("cut"),
    "a gap among the folds": column("fold", lambda values: [*values[:-1], None]),
    "a fold below 0": column("fold", lambda values: [-1] * len(values)),
    "cuts that are no numbers": column("cut", lambda values: [math.nan] * len(values)),
    "no photo": column("photo_b", lambda values: [None] * len(values)),
    "no people": column("group", lambda values: [None] * len(values)),
    "another truth": column("truth", lambda values: [1 - value for value in values]),
    "a truth that is none": column("truth", lambda values: [2] * len(values)),
    "folds as text": lambda table: table.set_column(
        table.schema.get_field_index("fold"), "fold", pa.array(["a"] * len(table))
    ),
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=list(DAMAGE))
def test_a_damaged_file_is_one_line(tmp_path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    grid(tmp_path, seeds=(0, 1), cosine=1.0)
    path = Store(tmp_path).load()[0][0].folder / PREDICTIONS
    pq.write_table(change(pq.read_table(path)), path)
    reseal(path.parent)
    first, second = Store(tmp_path).load()[0]
    with pytest.raises(StoreError, match=r"predictions.parquet: cannot be read .*--rerun"):
        first.predictions("test")
    lines: list[str] = []
    rows = compare([first, second], baseline_of(tmp_path / "b", [second]), problems=lines)
    assert len(lines) <= 1 and all("cannot be read" in line for line in lines)
    assert row(rows, "accuracy").verdict.name == SAME
    done = bench("compare", "lenet/cosine", "constant", "--task", "faces", "--results", tmp_path)
    assert done.exit_code in (0, 4) and "Traceback" not in done.output


def test_boards_leave_out_what_cannot_be_read(tmp_path: Path) -> None:
    grid(tmp_path, seeds=(0, 1), cosine=1.0)
    first, _ = Store(tmp_path).load()[0]
    path = first.folder / PREDICTIONS
    table = pq.read_table(path)
    named = ("a fold below 0", "cuts that are no numbers", "no people", "a truth that is none")
    changes = [without(name) for name in ("partner", "fold", "cut", "photo_a")]
    for change in (*changes, *(DAMAGE[name] for name in named)):
        pq.write_table(change(table), path)
        reseal(path.parent)
        found, problems = read_bootstraps(Store(tmp_path).load()[0], ["accuracy"])
        assert len(problems) == 1 and str(path) in problems[0]
        assert [len(shared.cells) for shared in found] == [1]
        pq.write_table(table, path)


# Boards.


@pytest.mark.parametrize("folds", [1, 4])
def test_means_are_drawn_as_the_metrics_themselves(tmp_path: Path, folds: int) -> None:
    pred = faces(900, 120, 1.0, 5, folds=folds)
    cell = kept(tmp_path, pred)
    _, (shared,) = read(tmp_path, *PAIRED, "eer", "f1", draws=500)
    stored = Store(tmp_path).load()[0][0].predictions("test")
    order = np.argsort(np.array(stored.items))
    own = stored.take(order)
    assert own.items == shared.items.ids and own.pairs is not None
    people = PeopleDraws(People.of(own.groups or (), own.pairs.partners), 500, 0)
    weights = np.concatenate(list(people.chunks(256)))
    exact = KIND.metrics.weighted_summary(own, weights)
    for name in ("eer", "f1"):
        np.testing.assert_allclose(shared.drawn(name)[cell], exact[name], rtol=1e-6)
    for name in PAIRED:
        linear = shared.drawn(name)[cell]
        assert shared.observed(name, cell) == pytest.approx(KIND.metrics.summary(pred)[name], rel=1e-5)
        assert np.corrcoef(linear, exact[name])[0, 1] > 0.97
        assert people.variance(linear) == pytest.approx(people.variance(exact[name]), rel=0.3)


def test_a_board_ranks_and_says_what_it_rests_on(tmp_path: Path) -> None:
    grid(tmp_path, cosine=0.7, siamese=1.5, arcface=1.45)
    found = board(tmp_path, "accuracy")
    assert [row.setting.cell["method_text"] for row in found.rows] == ["siamese", "arcface", "cosine"]
    assert [row.standing for row in found.rows] == [BEST, TIED, BEHIND]
    table = leaderboard_table([found])
    assert [row["method"] for row in table.rows] == ["siamese", "arcface", "cosine", *KIND.trivial_notes]
    notes = " ".join(table.notes)
    assert "the people on test pairs" in notes and "accuracy over 4 seeds" in notes
    assert "200 pairs of one person and 200 of two, of 60 people" in notes
    assert "FAR 1e-1 of 200 different pairs: 20 may pass; 1e-2: 2 may pass; 1e-3: not one may" in notes


def test_equal_error_rates_rank_the_lowest_first(tmp_path: Path) -> None:
    grid(tmp_path, cosine=0.7, siamese=1.5)
    found = board(tmp_path, "eer")
    assert [row.setting.cell["method_text"] for row in found.rows] == ["siamese", "cosine"]
    assert found.rows[1].standing == BEHIND


def test_an_effect_is_beside_cosine_where_none_was_not_run(tmp_path: Path) -> None:
    grid(tmp_path, cosine=0.7, siamese=1.5)
    cells, (shared,) = read(tmp_path, "accuracy", "auc", draws=500)
    records = [cell.record for cell in cells]
    assert base_of(records) == "cosine"
    found = effects(records, shared, ["accuracy", "auc"])
    assert [(effect.method, effect.base, effect.verdict) for effect in found] == [
        ("siamese", "cosine", BETTER)
    ] * 2
    grid(tmp_path, none=0.7)
    assert base_of([cell.record for cell in Store(tmp_path).load()[0]]) == "none"


def test_other_pairs_are_another_board(tmp_path: Path) -> None:
    kept(tmp_path, faces(400, 60, 1.0, 1, LIKE), 0)
    kept(tmp_path, faces(400, 60, 1.0, 7), 1)
    assert len(read(tmp_path, "accuracy")[1]) == 2


def test_what_a_method_was_told_is_shown(tmp_path: Path) -> None:
    grid(tmp_path, cosine=0.7, siamese=1.5, arcface=1.2)
    cells = Store(tmp_path).load()[0]
    said = {"cosine": "none", "siamese": "pairs", "arcface": "identities"}
    records = [
        {**cell.record, "choices": {"supervision": said[cell.record["cell"]["method_text"]]}}
        for cell in cells
    ]
    (note,) = [note for note in grid_table(records).notes if note.startswith("Learns from")]
    assert note == (
        "Learns from no labels: cosine; whether pairs are of one person (image-restricted): siamese; "
        "who is who (unrestricted): arcface."
    )


def test_tables_leave_out_an_error_over_one_fold(tmp_path: Path) -> None:
    grid(tmp_path, cosine=0.7)
    records = [cell.record for cell in Store(tmp_path).load()[0]]
    assert "accuracy_fold_se" not in [column.key for column in results_table(records).columns]
    kept(tmp_path / "folds", faces(400, 60, 1.0, 1, folds=4))
    records = [cell.record for cell in Store(tmp_path / "folds").load()[0]]
    assert "accuracy_fold_se" in [column.key for column in results_table(records).columns]
    assert "accuracy_fold_se" in [column.key for column in grid_table(records).columns]


def test_a_table_of_people_ends_and_says_so(tmp_path: Path) -> None:
    kept(tmp_path, faces(400, 60, 1.0, 1))
    (cell,) = Store(tmp_path).load()[0]
    table = class_table(cell.result)
    people = [row for row in table.rows if row["row"] == "class"]
    errors = [row["errors"] for row in cell.per_class]
    assert [row["errors"] for row in people] == errors[:PEOPLE] and errors == sorted(errors, reverse=True)
    wrong = sum(error > 0 for error in errors[PEOPLE:])
    assert f"40 more people, {wrong} of them with a wrong answer: --format csv lists all." in table.notes
    (whole,) = [row for row in table.rows if row["row"] == "average"]
    assert (whole["class"], whole["test_support"], whole["same"]) == ("all pairs (60 people)", 400, 200)
    assert len([row for row in class_table(cell.result, whole=True).rows if row["row"] == "class"]) == 60
    shown = bench("show", cell.id[:8], "--results", tmp_path, "--format", "json")
    (rows,) = [part for part in json.loads(shown.output) if part and "errors" in part[0]]
    assert sum(row["row"] == "class" for row in rows) == 60


# Compared.


def sides(root: Path, ours: str, theirs: str, **more: Any) -> list[Comparison]:
    stock = Stock("faces", root, Store(root).load()[0], [SHIPPED])
    return compare_candidates(*find_candidates(stock, ours, theirs), **more)


def test_two_runs_are_compared_over_resampled_people(tmp_path: Path) -> None:
    grid(tmp_path, cosine=0.7, siamese=1.5)
    rows = sides(tmp_path, "lenet/siamese", "lenet/cosine", draws=1000)
    assert {row.class_name for row in rows} == {None}
    assert "accuracy_fold_se" not in {row.metric for row in rows}
    for metric in ("accuracy", "auc", "eer", "f1"):
        found = row(rows, metric)
        assert (
            found.verdict.name == BETTER
            and found.difference.low is not None
            and found.difference.p is not None
        ), metric
    assert (row(rows, "eer").difference.value or 0) < 0
    assert row(sides(tmp_path, "lenet/cosine", "lenet/siamese", draws=1000), "eer").verdict.name == WORSE
    assert row(sides(tmp_path, "lenet/cosine", "lenet/cosine"), "auc").verdict.name == SAME


def test_one_seed_has_no_mcnemar(tmp_path: Path) -> None:
    """Pairs that share people are no separate tosses of a coin."""
    grid(tmp_path, seeds=(0,), cosine=0.9, siamese=1.2)
    found = row(sides(tmp_path, "lenet/siamese", "lenet/cosine", draws=1000), "accuracy")
    cells = {cell.record["cell"]["method_text"]: cell.predictions() for cell in Store(tmp_path).load()[0]}
    right = {
        name: (pred.scores[:, 0] >= pred.pairs.cuts) == (pred.truth == 1)
        for name, pred in cells.items()
        if pred.pairs is not None
    }
    alone = right["siamese"] & ~right["cosine"], right["cosine"] & ~right["siamese"]
    assert found.difference.p != intervals.mcnemar(*(int(side.sum()) for side in alone))


def test_a_difference_is_drawn_as_it_is_defined(tmp_path: Path) -> None:
    grid(tmp_path, seeds=(0,), cosine=0.9, siamese=1.2)
    found = row(sides(tmp_path, "lenet/siamese", "lenet/cosine", draws=400, seed=3), "eer")
    cells = {cell.record["cell"]["method_text"]: cell.predictions() for cell in Store(tmp_path).load()[0]}
    ours, theirs = (
        pred.take(np.argsort(np.array(pred.items))) for pred in (cells["siamese"], cells["cosine"])
    )
    assert ours.pairs is not None
    people = PeopleDraws(People.of(ours.groups or (), ours.pairs.partners), 400, 3)
    weights = np.concatenate(list(people.chunks(100)))
    gaps = (
        KIND.metrics.weighted_summary(ours, weights)["eer"]
        - KIND.metrics.weighted_summary(theirs, weights)["eer"]
    )
    own = value(ours, "eer") - value(theirs, "eer")
    source = MetricSamples({"own": gaps}, {"own": own}, {})
    expected = estimated(source, Contrast.mean(["own"]), people, 0)
    assert (found.difference.low, found.difference.high) == pytest.approx(
        (expected.low, expected.high), abs=2e-6
    )
    assert found.difference.value == pytest.approx(own)


def test_runs_on_other_pairs_are_two_samples(tmp_path: Path) -> None:
    kept(tmp_path, faces(400, 60, 0.6, 1, LIKE), method="cosine")
    kept(tmp_path, faces(400, 60, 1.8, 2), method="siamese")
    rows = sides(tmp_path, "lenet/siamese", "lenet/cosine")
    found = row(rows, "accuracy")
    assert (
        found.verdict.name == BETTER
        and found.verdict.why == "other test items: not paired"
        and found.class_name is None
    )
    settings = {setting.method: setting for setting in sides_of(Store(tmp_path).load()[0], "faces")}
    ours, theirs = (own_interval(settings[name], "accuracy") for name in ("siamese", "cosine"))
    assert found.difference.ours and found.difference.theirs and found.difference.value
    low = found.difference.value - math.hypot(
        found.difference.ours - ours.low, theirs.high - found.difference.theirs
    )
    assert found.difference.low == pytest.approx(low)
    assert row(rows, "eer").verdict.name == BETTER


def baseline_of(folder: Path, cells: Sequence[Stored]) -> Baseline:
    write_baseline(pin(cells, "mine"), folder, force=True)
    return load_baseline("faces", "mine", [folder])


def test_a_pinned_run_gives_its_metrics_and_names_nobody(tmp_path: Path) -> None:
    kept(tmp_path / "r", pred := faces(600, 50, 1.0, 3, folds=3))
    cells = Store(tmp_path / "r").load()[0]
    baseline = baseline_of(tmp_path / "b", cells)
    assert baseline.pinned is not None
    (result,) = baseline.pinned.results
    found, expected = KIND.metrics.summary(baseline.pinned.predictions(result, 0)), KIND.metrics.summary(pred)
    assert found == {name: pytest.approx(value) for name, value in expected.items()}
    text = (tmp_path / "b/faces/mine.json").read_text()
    assert "person" not in text.replace("(people", "") and json.loads(text)["format_version"] == 1
    rows = compare(cells, baseline)
    assert {row.verdict.name for row in rows} == {SAME}


def test_a_worse_run_is_a_regression_against_its_pin(tmp_path: Path) -> None:
    grid(tmp_path / "before", siamese=1.6)
    baseline = baseline_of(tmp_path / "b", Store(tmp_path / "before").load()[0])
    grid(tmp_path / "after", siamese=0.6)
    rows = compare(Store(tmp_path / "after").load()[0], baseline, draws=1000)
    assert {"accuracy", "auc", "eer"} <= {row.metric for row in regressions(rows)}
    found = row(rows, "accuracy")
    assert (
        None not in (found.difference.ours, found.difference.theirs, found.difference.high)
        and (found.difference.high or 0) < 0
    )


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("stages/all/people", None, "has no 'people'"),
        ("stages/all/people/count", 0, "at least 1"),
        ("stages/all/people/first", "AAAA", "not base64"),
        ("stages/all/people/second", "swap", "damaged"),
        ("stages/all/folds/count", 1.5, "whole number"),
        ("stages/all/folds/of", "", "fewer than 100 bytes"),
        ("stages/all/classes", ["a", "b"], "one train_support"),
        ("results/0/seeds/0/pair_cuts", None, "has no 'pair_cuts'"),
        ("results/0/seeds/0/scores", "AAAA", "not base64"),
    ],
)
def test_a_damaged_pin_is_one_line(tmp_path: Path, place: str, value: Any, why: str) -> None:
    kept(tmp_path / "r", faces(100, 20, 1.0, 3))
    cells = Store(tmp_path / "r").load()[0]
    baseline_of(tmp_path / "b", cells)
    path = tmp_path / "b/faces/mine.json"
    document = json.loads(path.read_text())
    *parents, last = place.split("/")
    table: Any = document
    for key in parents:
        table = table[int(key) if isinstance(table, list) else key]
    if value is None:
        del table[last]
    else:
        table[last] = table["first"] if value == "swap" else value
    path.write_text(json.dumps(document))
    with pytest.raises(BenchError, match=why) as error:
        compare(cells, load_baseline("faces", "mine", [tmp_path / "b"]))
    assert "\n" not in str(error.value)


# Published.


def beside_lfw(root: Path, folds: int = 10, n: int = 6000, **identity: Any) -> list[Comparison]:
    like = VIEW2 if (n, folds) == (6000, 10) else faces(n, 900, 0.0, 98, folds=folds)
    kept(root, faces(n, 900, 1.9, 1, like, folds=folds), **identity)
    baseline, found = load_baseline("faces", "lfw-no-outside-data", [SHIPPED]), {"alignment": "none"}
    return compare(Store(root).load()[0], baseline, declared=found)


def test_view_2_without_outside_data_is_judged_beside_published_numbers(tmp_path: Path) -> None:
    rows = beside_lfw(tmp_path, method="siamese", backbone="gist", weights="none")
    assert {row.metric for row in rows} == {"accuracy"} and len(rows) == 10
    by_label = {row.sides.against: row for row in rows}
    eigen = by_label["eigenfaces · Eigenfaces"]
    assert eigen.verdict.name == BETTER and eigen.difference.n_theirs == 6000 and not eigen.verdict.why
    # Mean and standard error of ten folds: Student's interval with nine degrees of freedom.
    from scipy.stats import t

    half = t.ppf(0.975, 9) * 0.00795
    assert (eigen.difference.theirs_low, eigen.difference.theirs_high) == pytest.approx(
        (0.60015 - half - 1e-4, 0.60025 + half), abs=2e-4
    )
    (setting,) = sides_of(Store(tmp_path).load()[0], "faces")
    own = own_interval(setting, "accuracy")
    assert (
        eigen.difference.ours
        and eigen.difference.theirs
        and eigen.difference.theirs_high
        and eigen.difference.value
    )
    low = eigen.difference.value - math.hypot(
        eigen.difference.ours - own.low, eigen.difference.theirs_high - eigen.difference.theirs
    )
    assert eigen.difference.low == pytest.approx(low)


def test_other_pairs_are_not_judged(tmp_path: Path) -> None:
    rows = beside_lfw(tmp_path, folds=1, n=1000)
    assert {row.verdict.name for row in rows} == {INCOMPARABLE}
    assert {row.verdict.why for row in rows} == {"data: 1,000 pairs, published 6,000"}
    assert all(row.difference.low is None and row.difference.value is not None for row in rows)


def test_the_students_numbers_never_decide(tmp_path: Path) -> None:
    kept(tmp_path, faces(500, 60, 1.5, 1))
    rows = compare(Store(tmp_path).load()[0], load_baseline("faces", "seed-002", [SHIPPED]))
    assert [row.verdict.name for row in rows] == [INCOMPARABLE] * 3
    best = rows[0]
    assert (best.difference.theirs, best.difference.n_theirs) == (0.764, 500)
    low, high = intervals.wilson(382, 500)
    assert (best.difference.theirs_low, best.difference.theirs_high) == pytest.approx((low, high))
    assert (round(low, 3), round(high, 3)) == (0.725, 0.799)


# Exported.


def test_frames_and_exports_hold_every_pair(tmp_path: Path) -> None:
    kept(tmp_path, pred := faces(200, 30, 1.0, 2, folds=2))
    assert pred.pairs is not None
    [stored] = Store(tmp_path).load()[0]
    frame = predictions_frame(stored)
    assert list(frame["photo_b"]) == [photos[1] for photos in pred.pairs.photos]
    assert list(frame["same"]) == [bool(truth) for truth in pred.truth]
    right = frame["predicted"] == frame["same"]
    assert right.groupby(frame["fold"]).mean().mean() == pytest.approx(KIND.metrics.summary(pred)["accuracy"])
    assert len(classes_frame([stored])) == 30 and len(results_frame([stored])) == 1
    cells = Store(tmp_path).load()[0]
    found = list(numbers(cells[0]))
    assert {type(number.value) for number in found} <= {int, float, type(None)}
    assert {"accuracy_fold_se", "errors", "tar_far_1e3"} <= {number.metric for number in found}
    for name in ("all.csv", "all.parquet"):
        assert write_table(cells, tmp_path / name, name.rpartition(".")[2]) == len(found)


def test_every_metric_that_is_compared_has_a_direction() -> None:
    lower = [name for name in KIND.headline if METRICS[name].direction == "lower" and METRICS[name].compared]
    assert lower == ["eer"]
