"""Any two sides: paired where items are the same, unpaired where not; what cannot be compared says why."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench.commands.main import cli
from bench.compare.against_baseline import compare
from bench.compare.baselines.find import load_baseline
from bench.compare.baselines.pin import pin, write_baseline
from bench.compare.pairing import pairing_of
from bench.compare.resolve import Stock, find_candidates
from bench.compare.two_runs import compare_candidates, left_out, swapped
from bench.compare.verdict import BETTER, INCOMPARABLE, SAME, WORSE, Comparison
from bench.core.errors import BenchError
from bench.core.predictions import Predictions
from bench.kinds.multiclass import metrics as multiclass
from bench.metrics import bootstrap, intervals
from bench.metrics.rank_sums import placements
from bench.report.comparison_tables import comparison_table
from bench.store.write import Store
from tests.grids import answers, grid, put

SHIPPED = Path(__file__).resolve().parents[2] / "baselines"
LIKE, LIKE_80 = answers(300, 6, 0.5, 99), answers(80, 6, 0.5, 98)


def stock(root: Path, *folders: Path, task: str = "fashion") -> Stock:
    cells, problems = Store(root).load(task)
    assert not problems
    return Stock(task, root, [cell for cell in cells if cell.ok], [*folders, SHIPPED])


def rows_of(found: Stock, ours: str, theirs: str, **how: Any) -> list[Comparison]:
    return compare_candidates(*find_candidates(found, ours, theirs), **how)


def row(rows: list[Comparison], metric: str, name: str | None = None) -> Comparison:
    (only,) = [row for row in rows if row.metric == metric and row.class_name == name]
    return only


@pytest.fixture
def two(tmp_path: Path) -> tuple[Stock, list[str], list[Predictions]]:
    """Store two cells of other backbones on the same items."""
    preds = [answers(300, 6, accuracy, seed, LIKE) for seed, accuracy in enumerate((0.4, 0.8))]
    ids = [put(tmp_path, pred, backbone=name) for pred, name in zip(preds, ("lenet", "small"), strict=True)]
    return stock(tmp_path), ids, preds


def test_two_cells_of_the_same_items_are_paired(two: tuple[Stock, list[str], list[Predictions]]) -> None:
    found, ids, preds = two
    rows = rows_of(found, ids[0][:10], "small/none")
    hits = [pred.scores.argmax(axis=1) == pred.truth for pred in preds]
    micro = row(rows, "top1_micro")
    assert micro.verdict.name == WORSE and micro.difference.value == pytest.approx(
        hits[0].mean() - hits[1].mean()
    )
    assert micro.difference.p == intervals.mcnemar(
        int((hits[0] & ~hits[1]).sum()), int((hits[1] & ~hits[0]).sum())
    )
    weights = bootstrap.bootstrap_weights(300, 4000, 7)
    sides = [multiclass.weighted_summary(pred, weights)["f1_macro"] for pred in preds]
    f1 = row(rows, "f1_macro")
    assert (f1.difference.low, f1.difference.high) == pytest.approx(
        bootstrap.percentile_interval(sides[0] - sides[1]), abs=0.02
    )
    own = [placements(pred.scores, pred.truth) for pred in preds]
    gaps = weights @ (own[0].macro - own[1].macro) / 300  # type: ignore[union-attr]
    area = row(rows, "auc_macro")
    assert (area.difference.low, area.difference.high) == pytest.approx(
        bootstrap.percentile_interval(gaps), abs=0.01
    )
    loss = row(rows, "log_loss")
    assert loss.verdict.name == WORSE and loss.difference.low is not None and loss.difference.low > 0
    assert row(rows, "ece").verdict.why == "resampling biases a sum of absolute gaps upwards"
    first = row(rows, "top1", "class 0")
    of_class = LIKE.truth == 0
    assert first.difference.p == intervals.mcnemar(
        int((hits[0] & ~hits[1])[of_class].sum()), int((hits[1] & ~hits[0])[of_class].sum())
    )
    assert first.verdict.q is not None and first.verdict.q >= first.difference.p


def test_the_other_way_round_everything_is_the_other_way_round(
    two: tuple[Stock, list[str], list[Predictions]],
) -> None:
    found = two[0]
    there, back = rows_of(found, "lenet/none", "small/none"), rows_of(found, "small/none", "lenet/none")
    for one, row in zip(there, back, strict=True):
        other = swapped(row, one.sides)
        assert (one.metric, one.class_name, one.verdict.name) == (
            other.metric,
            other.class_name,
            other.verdict.name,
        )
        if one.difference.low is not None:
            assert (
                one.difference.value,
                one.difference.low,
                one.difference.high,
                one.difference.p,
            ) == pytest.approx(
                (other.difference.value, other.difference.low, other.difference.high, other.difference.p)
            )


def test_a_cell_beside_itself_is_the_same(two: tuple[Stock, list[str], list[Predictions]]) -> None:
    rows = rows_of(two[0], two[1][0], "lenet/none")
    assert {row.verdict.name for row in rows} == {SAME} and {row.verdict.why for row in rows} == {
        "same answers"
    }


def test_a_trivial_answer_stands_on_the_other_sides_items(
    two: tuple[Stock, list[str], list[Predictions]],
) -> None:
    found, _, preds = two
    rows = rows_of(found, "small/none", "trivial")
    expected = multiclass.summary(multiclass.trivial(preds[1]))
    micro = row(rows, "top1_micro")
    assert micro.difference.theirs == expected["top1_micro"] and micro.verdict.name == BETTER
    assert row(rows, "auc_macro").difference.theirs == 0.5


def test_the_order_of_the_classes_changes_nothing(tmp_path: Path) -> None:
    # Classes are ordered by training images, whose number label noise changes.
    one, two = (answers(300, 6, accuracy, seed, LIKE) for seed, accuracy in enumerate((0.4, 0.8)))
    shuffled = pairing_of("multiclass").reordered(two, np.array([3, 0, 5, 1, 4, 2]))
    for name, pred in {"lenet": one, "small": two, "noisy": shuffled}.items():
        put(tmp_path / "results", pred, backbone=name)
    found = stock(tmp_path / "results", tmp_path)
    write_baseline(
        pin([cell for cell in found.cells if cell.record["cell"]["backbone"] == "lenet"], "mine"), tmp_path
    )
    for sides in (("lenet/none", "{}"), ("mine:lenet/none", "{}"), ("{}", "mine:lenet/none")):
        straight, other = (
            rows_of(found, *(side.format(name) for side in sides)) for name in ("small/none", "noisy/none")
        )
        assert {row.metric for row in straight} >= {"top1_micro", "f1_macro", "top1"}
        for a, b in zip(straight, other, strict=True):
            assert (a.metric, a.class_name, a.verdict.name) == (b.metric, b.class_name, b.verdict.name)
            assert a.verdict.why == b.verdict.why
            assert vars(a.difference) == pytest.approx(vars(b.difference))


def test_a_pinned_run_says_what_the_stored_one_says(tmp_path: Path) -> None:
    grid(tmp_path / "results", {"none": 0.5, "focal": 0.8}, seeds=(0, 1))
    found = stock(tmp_path / "results", tmp_path)
    write_baseline(pin(found.cells, "mine"), tmp_path)
    straight = rows_of(found, "lenet/focal", "lenet/none", draws=500)
    pinned = rows_of(found, "lenet/focal", "mine:lenet/none", draws=500)
    whole = rows_of(found, "lenet/focal", "mine", draws=500)
    assert {row.verdict.why for row in whole if row.verdict.name} == {"same answers"}
    for name in ("top1_micro", "top5_macro", "f1_macro"):
        one, other = row(straight, name), row(pinned, name)
        assert (one.difference.low, one.difference.high, one.difference.p, one.verdict.name) == (
            other.difference.low,
            other.difference.high,
            other.difference.p,
            other.verdict.name,
        )
    assert row(pinned, "auc_macro").verdict.why == "a pinned file holds no scores to draw from"
    both = rows_of(found, "mine:lenet/focal", "mine:lenet/none", draws=500)
    assert row(both, "f1_macro").difference.low == row(pinned, "f1_macro").difference.low
    assert {row.verdict.name for row in rows_of(found, "mine", "mine")} == {SAME, None}
    assert row(rows_of(found, "mine:lenet/focal", "trivial"), "top1_micro").verdict.name == BETTER


def test_stages_and_seeds_without_a_counterpart_are_named(tmp_path: Path) -> None:
    for seed in range(3):
        put(tmp_path, answers(80, 6, 0.5, seed, LIKE_80), seed, backbone="lenet")
    put(tmp_path, answers(80, 6, 0.5, 9, LIKE_80), backbone="lenet", stage="remaining")
    cell = put(tmp_path, answers(80, 6, 0.9, 4, LIKE_80), 1, backbone="small")
    found = stock(tmp_path)
    seeds = "top20: seeds 0, 2 of lenet none left out, without a counterpart on the other side."
    stage = "Not compared: remaining, which only lenet none has."
    assert left_out(*find_candidates(found, "small/none", "lenet/none")) == [stage, seeds]
    assert left_out(*find_candidates(found, "lenet/none", cell[:8])) == [seeds]
    assert left_out(*find_candidates(found, "lenet/none", "trivial")) == []
    done = CliRunner().invoke(
        cli, ["compare", "lenet/none", "small/none", "--task", "fashion", "--results", str(tmp_path)]
    )
    assert "which only lenet none" in done.stdout and "seeds 0, 2 of lenet none" in done.stdout, done.output


def test_other_items_of_the_same_data_are_two_samples(tmp_path: Path) -> None:
    one, other = answers(400, 6, 0.3, 1), answers(300, 6, 0.9, 2)
    put(tmp_path, one, protocol={"split_seed": 1}, backbone="lenet")
    put(tmp_path, other, protocol={"split_seed": 2}, backbone="small")
    rows = rows_of(stock(tmp_path), "lenet/none", "small/none")
    hits = [int((pred.scores.argmax(axis=1) == pred.truth).sum()) for pred in (one, other)]
    micro = row(rows, "top1_micro")
    assert (micro.difference.low, micro.difference.high) == pytest.approx(
        intervals.newcombe(hits[0], 400, hits[1], 300)
    )
    assert micro.verdict.name == WORSE and micro.verdict.why == "other test items: not paired"
    sizes = [np.bincount(pred.truth, minlength=6)[:5].tolist() for pred in (one, other)]
    right = [
        np.bincount(pred.truth, pred.scores.argmax(axis=1) == pred.truth, minlength=6)[:5].tolist()
        for pred in (one, other)
    ]
    macro = row(rows, "top1_macro")
    expected = intervals.macro_difference(right[0], sizes[0], right[1], sizes[1])
    assert (macro.difference.low, macro.difference.high) == pytest.approx(expected)
    first = row(rows, "top1", "class 0")
    assert (first.difference.n_ours, first.difference.n_theirs) == (sizes[0][0], sizes[1][0])
    assert any("tested on different items" in note for note in comparison_table(rows, "").notes)


def test_other_data_is_shown_and_not_judged(tmp_path: Path) -> None:
    put(tmp_path, answers(100, 6, 0.5, 1), backbone="lenet")
    put(tmp_path, answers(100, 6, 0.9, 1), backbone="small", fingerprint="0" * 64)
    rows = rows_of(stock(tmp_path), "lenet/none", "small/none")
    assert {row.verdict.name for row in rows} == {INCOMPARABLE} and all(
        row.difference.low is None for row in rows
    )
    assert rows[0].difference.value is not None and rows[0].verdict.why == "data: ffffffff, theirs 00000000"


def test_a_rehearsal_is_judged_beside_rehearsals_alone(tmp_path: Path) -> None:
    for backbone, n, protocol in (("lenet", 300, {"rehearse": "remaining"}), ("small", 400, {})):
        for method, accuracy in (("none", 0.3), ("focal", 0.9)):
            pred = answers(n, 6, accuracy, 1)
            put(tmp_path, pred, backbone=backbone, method=method, protocol=protocol)
    found = stock(tmp_path)
    rows = rows_of(found, "lenet/none", "small/none")
    assert {row.verdict.name for row in rows} == {INCOMPARABLE} and all(
        row.difference.low is None for row in rows
    )
    assert rows[0].verdict.why == "test: training images of a rehearsal, theirs the test set"
    assert row(rows_of(found, "lenet/focal", "lenet/none"), "top1_micro").verdict.name == BETTER


def test_published_numbers_stand_on_either_side(tmp_path: Path) -> None:
    put(tmp_path, answers(100, 6, 0.5, 1))
    found = stock(tmp_path)
    ours = rows_of(found, "lenet/none", "seed-003-resnet50")
    theirs = rows_of(found, "seed-003-resnet50", "lenet/none")
    straight = compare(found.cells, load_baseline("fashion", "seed-003-resnet50", [SHIPPED]))
    assert [row.difference.value for row in ours] == [
        row.difference.value for row in straight if row.sides.stage == "top20"
    ]
    assert row(theirs, "top1_micro").difference.ours == pytest.approx(12546 / 14034)
    there, here = (row(side, "top1_micro").difference.value for side in (theirs, ours))
    assert there is not None and here is not None and there == pytest.approx(-here)
    both = rows_of(found, "seed-003-resnet50", "second-resnet50")
    assert both and {row.verdict.name for row in both} == {INCOMPARABLE}
    same = rows_of(found, "seed-003-resnet50", "seed-003-resnet50")
    micro = next(row for row in same if row.metric == "top1_micro" and row.sides.stage == "top20")
    assert micro.verdict.name == SAME
    assert (micro.difference.low, micro.difference.high) == pytest.approx(
        intervals.newcombe(12546, 14034, 12546, 14034)
    )


def test_what_names_nothing_or_several_things_is_one_line(tmp_path: Path) -> None:
    put(tmp_path, LIKE)
    put(tmp_path, LIKE, protocol={"epochs": 5})
    put(tmp_path, LIKE, stage="remaining", backbone="small")
    found = stock(tmp_path)
    for texts, why in (
        (("lenet/none", "trivial"), r"was run 2 times for top20 \(epochs=.*\): name a cell by its id"),
        (("smal/none", "trivial"), r"names no measured cell of fashion .*; did you mean 'small/none'\?"),
        (("seed-003-resnet50:x/y", "trivial"), "has no 'x/y'"),
        ((found.cells[0].id, "small/none"), "one side is of stage"),
        (("", "trivial"), "names no measured cell"),
    ):
        with pytest.raises(BenchError, match=why) as caught:
            rows_of(found, *texts)
        assert "\n" not in str(caught.value)


# The command


def invoked(root: Path, *args: str) -> Result:
    given = ["compare", "--task", "fashion", "--results", str(root), *args]
    return CliRunner().invoke(cli, given, standalone_mode=False)


def test_the_command_filters_sorts_and_fails(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.4, "focal": 0.8}, seeds=(0,), n=300)
    sides = ("lenet/none", "lenet/focal")
    rows = json.loads(invoked(tmp_path, *sides, "--format", "json").stdout)
    assert {"ours", "theirs", "difference", "low", "high", "p", "q", "n_ours", "verdict"} <= rows[0].keys()
    by_p = json.loads(invoked(tmp_path, *sides, "--format", "json", "--sort", "p").stdout)
    known = [row["p"] for row in by_p if row["p"] is not None]
    assert known == sorted(known) and by_p[-1]["p"] is None
    far = json.loads(invoked(tmp_path, *sides, "--format", "json", "--sort", "difference").stdout)
    gaps = [abs(row["difference"]) for row in far if row["difference"] is not None]
    assert gaps == sorted(gaps, reverse=True)
    few = json.loads(invoked(tmp_path, *sides, "--format", "json", "--min-support", "60").stdout)
    assert all(row["class_name"] is None or row["n_ours"] >= 60 for row in few) and len(few) < len(rows)
    one = json.loads(invoked(tmp_path, *sides, "--format", "json", "--class", "class 1").stdout)
    assert {row["class_name"] for row in one} == {"class 1"}
    worse = json.loads(
        invoked(
            tmp_path, *sides, "--format", "json", "--verdict", "worse", "--metric", "top1,f1_macro"
        ).stdout
    )
    assert {row["metric"] for row in worse} == {"top1", "f1_macro"}
    assert {row["verdict"] for row in worse} == {"worse"}
    assert worse == [r for r in rows if r["verdict"] == "worse" and r["metric"] in ("top1", "f1_macro")]
    failing = invoked(tmp_path, *sides, "--fail-on-regression")
    assert failing.return_value == 3 and "regressions against lenet/focal" in failing.stderr
    assert invoked(tmp_path, *sides, "--fail-on-regression", "ece").return_value == 0
    assert invoked(tmp_path, *reversed(sides), "--fail-on-regression", "f1_macro").return_value == 0


@pytest.mark.parametrize(
    "args, why",
    [
        (("a", "b", "c"), "3 runs to compare: give two, or one and a baseline"),
        (("lenet/none", "trivial", "--metric", "top1_makro"), "did you mean 'top1_macro'"),
        (("lenet/none", "trivial", "--verdict", "wors"), "did you mean 'worse'"),
        (("lenet/none", "trivial", "--class", "class 77"), "unknown class 'class 77'"),
        (("lenet/none", "trivial", "--sort", "siz"), "did you mean 'size'"),
        (("lenet/none", "trivial", "--fail-on-regression", "aucmacro"), "did you mean 'auc_macro'"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, args: tuple[str, ...], why: str) -> None:
    put(tmp_path, LIKE)
    result = invoked(tmp_path, *args)
    assert isinstance(result.exception, BenchError) and why in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_cell_that_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.4, "focal": 0.8}, seeds=(0, 1))
    damaged = next(tmp_path.glob("*/*/focal/s0-*/predictions.parquet"))
    damaged.write_bytes(b"no parquet")
    result = invoked(tmp_path, "lenet/none", "lenet/focal", "--no-classes")
    assert result.return_value == 4 and str(damaged) in result.stderr
    assert "seeds: 1" in result.stdout


def test_items_of_a_group_are_drawn_together(tmp_path: Path) -> None:
    groups = tuple(f"listing {i // 20}" for i in range(300))
    wide = []
    for place, own in enumerate((None, groups)):
        root = tmp_path / str(place)
        flip = np.repeat(np.random.default_rng(0).random(15) < 0.3, 20)
        scores = LIKE.scores.copy()
        scores[flip] = np.roll(np.eye(6, dtype=np.float32)[LIKE.truth[flip]], 1, axis=1)
        put(root, replace(LIKE, groups=own))
        put(root, replace(LIKE, groups=own, scores=scores), backbone="small")
        area = row(rows_of(stock(root), "small/none", "lenet/none"), "auc_macro")
        assert area.difference.low is not None and area.difference.high is not None
        wide.append(area.difference.high - area.difference.low)
    assert wide[1] > 1.5 * wide[0]


def _of_truth(root: Path, truth: np.ndarray) -> tuple[Stock, list[str]]:
    """Store a bad and a good cell on items of these classes."""
    like = replace(LIKE, truth=truth.astype(np.int32))
    preds = [answers(300, 6, accuracy, seed, like) for seed, accuracy in enumerate((0.0, 1.0))]
    ids = [put(root, pred, backbone=name) for pred, name in zip(preds, ("lenet", "small"), strict=True)]
    return stock(root), ids


def test_a_class_without_test_images_is_left_out_and_no_other(tmp_path: Path) -> None:
    found, ids = _of_truth(tmp_path, np.where(LIKE.truth == 2, 5, LIKE.truth))
    names = {row.class_name for row in rows_of(found, *ids) if row.class_name}
    assert names == {f"class {number}" for number in (0, 1, 3, 4, 5)}


def test_a_class_of_ten_test_images_has_an_interval_and_one_of_nine_has_none(tmp_path: Path) -> None:
    found, ids = _of_truth(tmp_path, np.repeat([0, 1, 2], [281, 10, 9]))
    drawn = {
        row.class_name for row in rows_of(found, *ids) if row.class_name and row.difference.low is not None
    }
    assert drawn == {"class 0", "class 1"}


def test_predictions_that_cannot_be_read_are_named_and_their_seeds_left_out(tmp_path: Path) -> None:
    for seed in (0, 1):
        for number, backbone in enumerate(("lenet", "small")):
            put(tmp_path, answers(300, 6, 0.6, 2 * seed + number, LIKE), seed, backbone=backbone)
    found = stock(tmp_path)
    damaged = next(tmp_path.glob("fashion/small/none/s1-*")) / "predictions.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    problems: list[str] = []
    rows = rows_of(found, "lenet/none", "small/none", problems=problems)
    [line] = problems
    assert line.startswith(f"{damaged}: ") and {row.sides.seeds for row in rows} == {(0,)}


def test_a_class_has_the_mean_over_seeds(tmp_path: Path) -> None:
    preds = {
        (backbone, seed): answers(300, 6, accuracy, 2 * seed + number, LIKE)
        for number, (backbone, accuracy) in enumerate((("lenet", 0.4), ("small", 0.8)))
        for seed in (0, 1)
    }
    for (backbone, seed), pred in preds.items():
        put(tmp_path, pred, seed, backbone=backbone)
    recalls = {key: multiclass.per_class(pred)[1]["top1"] for key, pred in preds.items()}
    found = row(rows_of(stock(tmp_path), "lenet/none", "small/none"), "top1", "class 1").difference
    for value, backbone in ((found.ours, "lenet"), (found.theirs, "small")):
        assert value == pytest.approx((recalls[backbone, 0] + recalls[backbone, 1]) / 2)


def test_a_comparison_that_counts_no_images_has_no_size(
    two: tuple[Stock, list[str], list[Predictions]],
) -> None:
    found, ids, _ = two
    one = rows_of(found, *ids)[0]
    assert one.size == 300
    assert replace(one, difference=replace(one.difference, n_ours=None, n_theirs=None)).size == 0
