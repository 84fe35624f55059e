"""Comparing: verdicts against published and pinned baselines, what forbids one, and what a regression is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.compare.against_baseline import compare, judgements, regressions
from bench.compare.baselines.find import load_baseline
from bench.compare.baselines.pin import pin, write_baseline
from bench.compare.baselines.types import Baseline, Flag, Number, PublishedResult
from bench.compare.side import sides_of
from bench.compare.verdict import (
    BETTER,
    FEW_ITEMS,
    INCOMPARABLE,
    MISSING,
    SAME,
    WORSE,
    Comparison,
    Difference,
    Measurement,
    judge,
)
from bench.core.cell import Cell, DataId, MethodSpec, Step
from bench.core.predictions import CellResult, Predictions
from bench.metrics import bootstrap, intervals
from bench.report.comparison_tables import compare_table
from bench.store.write import Store
from tests.fakes import FakeStored, noisy, predictions, stored

SHIPPED = Path(__file__).resolve().parents[2] / "baselines"


def named(rows: Sequence[Comparison], what: str) -> Comparison:
    """Return the one row of one of our settings with this `what`."""
    (row,) = [row for row in rows if row.what == what and row.sides.backbone]
    return row


# Stored cells


def test_cells_read_back_from_a_results_folder_compare_like_those_in_memory(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    cells = runs(0.8, (0, 1)) + runs(0.8, (0, 1), method="focal")
    for fake in cells:
        identity = fake.result["cell"]
        steps = () if identity["method_text"] == "none" else (Step("focal"),)
        cell = Cell(
            **{key: identity[key] for key in ("task", "task_version", "kind", "stage", "regime", "backbone")},
            weights=identity["weights"],
            method=MethodSpec(steps, identity["method_text"]),
            seed=identity["seed"],
            protocol=tuple(sorted(identity["protocol"].items())),
            data=DataId(**identity["data"]),
        )
        assert cell.id == fake.result["id"]
        metrics, rows = fake.result["metrics"], tuple(fake.result["per_class"])
        store.commit(CellResult(cell, "ok", metrics=metrics, per_class=rows), {"test": fake.test})
    read, problems = store.load("fashion")
    assert len(read) == 4 and not problems
    baseline = pinned(tmp_path, cells)
    assert {row.verdict.name for row in compare(read, baseline)} == {SAME, None}
    other = pinned(tmp_path, runs(0.7, (0, 1), first=90) + runs(0.7, (0, 1), first=80, method="focal"))
    ours, again = compare(cells, other), compare(read, other)
    assert {(row.sides.method, row.what): row for row in ours} == {
        (row.sides.method, row.what): row for row in again
    }
    assert pin(read, "mine")["stages"] == pin(cells, "mine")["stages"]


# Published


@pytest.fixture(scope="module")
def seed_003() -> Baseline:
    """Return the published fashion baseline."""
    return load_baseline("fashion", "seed-003-resnet50", [SHIPPED])


finetuned = partial(stored, backbone="resnet50", regime="finetune", weights="imagenet")
"""A stored cell under the conditions that the published baseline states."""


def with_hits(
    support: dict[str, int], hits: dict[str, int], top5: bool = True, extra: Sequence[str] = ()
) -> Predictions:
    """Return predictions with these supports and top-1 hits per class; `extra` classes have no test item."""
    k = len(support) + len(extra)
    truth = np.repeat(np.arange(len(support)), list(support.values()))
    answers = np.concatenate(
        [[c] * hits[name] + [(c + 1) % k] * (n - hits[name]) for c, (name, n) in enumerate(support.items())]
    )
    return predictions(truth, answers, k, np.full(len(truth), top5), classes=(*support, *extra))


def published_result(baseline: Baseline, stage: str) -> PublishedResult:
    """Return the baseline's result of a stage."""
    return next(result for result in baseline.published if result.stage == stage)


def like_published(baseline: Baseline, stage: str, share: float = 1.0) -> Predictions:
    """Return predictions on as many test images of each class, with this share of the published hits."""
    result = published_result(baseline, stage)
    hits = {
        name: min(result.support[name], round((row["top1"].hits or 0) * share))
        for name, row in result.classes.items()
    }
    return with_hits(dict(result.support), hits, extra=("Sarees",))


def test_the_published_hits_themselves_are_the_same_as_published(seed_003: Baseline) -> None:
    rows = compare(
        [finetuned(like_published(seed_003, stage), stage=stage) for stage in ("top20", "remaining")],
        seed_003,
    )
    top1 = [row for row in rows if row.metric in ("top1", "top1_micro", "top1_macro")]
    assert len(top1) == 19 + 68 + 4
    assert all(row.difference.value == pytest.approx(0, abs=1e-6) for row in top1)
    assert {row.verdict.name for row in top1 if row.size >= 10} == {SAME}
    micro = next(row for row in top1 if row.metric == "top1_micro" and row.sides.stage == "top20")
    assert (micro.difference.theirs_low, micro.difference.theirs_high) == pytest.approx(
        intervals.wilson(12546, 14034)
    )
    assert (micro.difference.low, micro.difference.high) == pytest.approx(
        intervals.newcombe(12546, 14034, 12546, 14034)
    )
    assert micro.difference.p == pytest.approx(1) and (
        micro.difference.n_ours,
        micro.difference.n_theirs,
    ) == (14034, 14034)


@pytest.mark.parametrize("share, verdict", [(0.97, WORSE), (1.05, BETTER)])
def test_a_clear_difference_is_called(seed_003: Baseline, share: float, verdict: str) -> None:
    rows = compare([finetuned(like_published(seed_003, "top20", share))], seed_003)
    assert named(rows, "micro top-1").verdict.name == named(rows, "macro top-1").verdict.name == verdict
    assert named(rows, "class Tshirts top-1").verdict.name == verdict
    assert (named(rows, "micro top-1").difference.value or 0) * (1 if verdict == BETTER else -1) > 0


def test_ours_is_the_mean_over_seeds(seed_003: Baseline) -> None:
    cells = [
        finetuned(like_published(seed_003, "top20", share), seed) for seed, share in enumerate((0.97, 1.0))
    ]
    row = named(compare(cells, seed_003), "micro top-1")
    ours = [cell.result["metrics"]["test"]["top1_micro"] for cell in cells]
    assert row.sides.seeds == (0, 1) and row.difference.ours == pytest.approx(np.mean(ours))
    assert (row.difference.low, row.difference.high) == pytest.approx(
        intervals.newcombe(np.mean(ours) * 14034, 14034, 12546, 14034)
    )


def test_a_part_of_the_data_is_shown_but_not_judged(seed_003: Baseline) -> None:
    result = published_result(seed_003, "top20")
    support = {name: max(1, n // 3) for name, n in result.support.items()}
    rows = compare([finetuned(with_hits(support, support))], seed_003)
    row = named(rows, "micro top-1")
    assert (
        row.verdict.name == INCOMPARABLE
        and row.verdict.why == f"data: {sum(support.values()):,} of 14,034 test images"
    )
    assert row.difference.value == pytest.approx(1 - 12546 / 14034)
    assert row.difference.low is None and row.difference.p is None and row.difference.theirs_low is not None
    assert {row.verdict.name for row in rows if row.sides.stage == "top20"} == {INCOMPARABLE}
    assert judgements(rows) == 0 and not regressions(rows)


def test_as_many_images_of_other_classes_are_not_the_same_data(seed_003: Baseline) -> None:
    support = dict(published_result(seed_003, "top20").support)
    support["Shirts"] -= 1
    support["Tops"] += 1
    row = named(compare([finetuned(with_hits(support, support))], seed_003), "micro top-1")
    assert row.verdict.name == INCOMPARABLE
    assert row.verdict.why == "data: 2 classes with other test support (Shirts: 2,086, published 2,087)"


def test_classes_of_one_side_are_missing(seed_003: Baseline) -> None:
    support = dict(published_result(seed_003, "top20").support)
    support["Capes"] = support.pop("Belts")
    rows = compare([finetuned(with_hits(support, support))], seed_003)
    gone, new = named(rows, "class Belts top-1"), named(rows, "class Capes top-1")
    assert (gone.verdict.name, gone.verdict.why) == (MISSING, "class not scored by the run")
    assert (gone.difference.ours, gone.difference.n_theirs) == (None, 321)
    assert (new.verdict.name, new.verdict.why, new.difference.theirs, new.difference.n_ours) == (
        MISSING,
        "class not in the baseline",
        None,
        321,
    )
    assert new.difference.ours == 1.0


def test_small_classes_are_not_called_however_different(seed_003: Baseline) -> None:
    result = published_result(seed_003, "remaining")
    support = dict(result.support)
    hits = {
        name: 0 if support[name] < 10 else int(row["top1"].hits or 0) for name, row in result.classes.items()
    }
    rows = compare([finetuned(with_hits(support, hits), stage="remaining")], seed_003)
    row = named(rows, "class Gloves top-1")
    assert (row.difference.ours, row.difference.theirs) == (0.0, 1.0)
    assert (row.verdict.name, row.verdict.why) == (None, "too small to call: 6 test images")
    small = [row for row in rows if row.class_name and row.size < 10]
    assert len(small) > 20 and all(
        row.verdict.name is None and "too small" in row.verdict.why and row.verdict.q is None for row in small
    )


def test_a_number_that_cannot_be_reproduced_decides_nothing(seed_003: Baseline) -> None:
    rows = compare([finetuned(like_published(seed_003, "remaining"), stage="remaining")], seed_003)
    row = named(rows, "micro top-5")
    assert (row.difference.theirs, row.verdict.name, row.verdict.why) == (
        0.85,
        INCOMPARABLE,
        "not-reproducible",
    )
    assert row.difference.value == pytest.approx(0.15)


def test_a_number_known_by_its_digits_is_judged_by_all_values_it_may_have(seed_003: Baseline) -> None:
    cell = finetuned(like_published(seed_003, "top20"))
    row = named(compare([cell], seed_003), "class Tshirts top-5")
    number = published_result(seed_003, "top20").classes["Tshirts"]["top5"]
    assert row.difference.theirs == 0.99 and number.low < number.high
    assert row.difference.low == pytest.approx(intervals.newcombe(4317, 4317, number.high * 4317, 4317).low)
    assert row.difference.high == pytest.approx(intervals.newcombe(4317, 4317, number.low * 4317, 4317).high)
    assert row.verdict.why == "published digits only"
    assert row.difference.p == pytest.approx(intervals.score_test(4317, 4317, number.high * 4317, 4317))


def test_classes_are_called_by_q_among_all_of_them() -> None:
    support = {f"c{i:02d}": 200 for i in range(20)}
    theirs = dict.fromkeys(support, 100)
    baseline = little(support, theirs)
    ours = {**theirs, "c00": 121, "c01": 150}  # p = .035 and p < 1e-6
    rows = compare([stored(with_hits(support, ours))], baseline)
    near, far = named(rows, "class c00 top-1"), named(rows, "class c01 top-1")
    assert (
        near.difference.low is not None
        and near.difference.low > 0
        and near.difference.p is not None
        and near.difference.p < 0.05
    )
    assert near.verdict.q is not None and near.verdict.q > 0.05 and near.verdict.name == SAME
    assert far.verdict.name == BETTER


def test_what_is_not_tested_takes_no_part_in_the_correction() -> None:
    def row(name: str | None, p: float, n: int = 200, verdict: str | None = None) -> Measurement:
        return Measurement("top1", name, Difference(0.5, 0.4, n, n, low=0.05, high=0.15, p=p), verdict)

    (setting,) = sides_of([stored(noisy(60, 3, 0.8, 1))], "fashion")
    rows = [
        *(row("near", 0.02), row("far", 0.5), row("small", 1e-9, n=FEW_ITEMS - 1)),
        *(row(None, 1e-9), row("decided", 1.0, verdict=SAME)),
    ]
    found = {one.class_name: one.verdict for one in judge(setting.beside("b"), rows)}
    assert {name: verdict.q for name, verdict in found.items()} == {
        "near": pytest.approx(0.04),
        "far": pytest.approx(0.5),
        **dict.fromkeys(("small", None, "decided")),
    }
    names = {name: verdict.name for name, verdict in found.items()}
    assert names == {"near": BETTER, "far": SAME, "small": None, None: BETTER, "decided": SAME}


def little(support: dict[str, int], hits: dict[str, int], flags: tuple[Flag, ...] = ()) -> Baseline:
    """Return a published baseline made by hand."""
    rows = {
        name: {"top1": Number(hits[name] / n, hits[name] / n, hits[name] / n, hits[name], n)}
        for name, n in support.items()
    }
    total, n = sum(hits.values()), sum(support.values())
    mean = float(np.mean([row["top1"].value for row in rows.values()]))
    metrics = {
        "top1_micro": Number(total / n, total / n, total / n, total, n),
        "top1_macro": Number(mean, mean, mean),
        "f1_macro": Number(0.5, 0.5, 0.5),
    }
    result = PublishedResult("top20", "", "frozen", "net", "none", (), metrics, support, rows)
    return Baseline("little", "fashion", "published", "by hand", flags, {}, (result,))


def test_by_hand_two_classes() -> None:
    support, theirs = {"a": 40, "b": 10}, {"a": 30, "b": 2}
    rows = compare([stored(with_hits(support, {"a": 20, "b": 9}, top5=False))], little(support, theirs))
    micro, macro, b = named(rows, "micro top-1"), named(rows, "macro top-1"), named(rows, "class b top-1")
    assert (micro.difference.ours, micro.difference.theirs) == (29 / 50, 32 / 50)
    assert macro.difference.value == pytest.approx((20 / 40 + 9 / 10) / 2 - (30 / 40 + 2 / 10) / 2)
    assert (macro.difference.low, macro.difference.high) == pytest.approx(
        intervals.macro_difference([20, 9], [40, 10], [30, 2], [40, 10])
    )
    assert (b.difference.low, b.difference.high) == pytest.approx(
        intervals.newcombe(9, 10, 2, 10)
    ) and b.verdict.name == BETTER
    f1 = named(rows, "F1 macro")
    assert f1.difference.value is not None and f1.verdict.name is None and f1.verdict.why == "no interval"


@pytest.mark.parametrize(
    "flag, judged", [("test-selected", True), ("leaked", False), ("different-protocol", False)]
)
def test_flags_that_forbid_a_verdict(flag: str, judged: bool) -> None:
    support, hits = {"a": 40, "b": 20}, {"a": 30, "b": 10}
    baseline = little(support, hits, (Flag(flag, "because"),))
    rows = compare([stored(with_hits(support, support))], baseline)
    row = named(rows, "micro top-1")
    assert (row.verdict.name == BETTER) is judged
    assert judged or (row.verdict.name, row.verdict.why) == (INCOMPARABLE, flag)
    assert f"{flag}: because" in compare_table(rows, baseline).notes


def test_the_second_implementation_is_shown_and_never_judged() -> None:
    baseline = load_baseline("fashion", "second-resnet50", [SHIPPED])
    rows = compare([stored(noisy(300, 20, 0.9, 0))], baseline)
    ours = [row for row in rows if row.sides.stage == "top20"]
    assert len(ours) == 9 and len({row.sides.against for row in ours}) == 5
    assert all((row.verdict.name, row.verdict.why) == (INCOMPARABLE, "different-protocol") for row in ours)
    assert ours[0].difference.value == pytest.approx((ours[0].difference.ours or 0) - 0.8805)


def test_a_stage_of_one_side_is_missing(seed_003: Baseline) -> None:
    rows = compare([stored(noisy(50, 8, 0.5, 0), stage="everything")], seed_003)
    assert [(row.sides.stage, row.verdict.name, row.verdict.why) for row in rows] == [
        ("everything", MISSING, "stage not in the baseline"),
        ("top20", MISSING, "no measured cell of this stage is stored"),
        ("remaining", MISSING, "no measured cell of this stage is stored"),
    ]


def test_failed_cells_and_other_tasks_take_no_part(seed_003: Baseline) -> None:
    good = finetuned(like_published(seed_003, "top20"))
    others = [finetuned(good.test, 1, status="failed"), finetuned(good.test, 2, task="marketplace")]
    assert compare([good, *others], seed_003) == compare([good], seed_003)


def test_seeds_scored_on_different_images_are_not_comparable() -> None:
    support, hits = {"a": 40, "b": 20}, {"a": 30, "b": 10}
    cells = [stored(with_hits(support, hits)), stored(with_hits({"a": 40, "b": 19}, {"a": 30, "b": 10}), 1)]
    assert named(compare(cells, little(support, hits)), "micro top-1").verdict.name == INCOMPARABLE


def test_settings_of_one_name_are_told_apart() -> None:
    support, hits = {"a": 40, "b": 20}, {"a": 30, "b": 10}
    cells = [stored(with_hits(support, hits), protocol={"epochs": epochs}) for epochs in (5, 30)]
    baseline = little(support, hits)
    rows = compare(cells, baseline)
    assert {row.sides.setting for row in rows} == {"epochs=5", "epochs=30"}
    shown = [row["setting"] for row in compare_table(rows, baseline).rows]
    assert shown == sorted(shown, key=["epochs=5", "epochs=30"].index)


# Pinned

LIKE = noisy(600, 12, 0.8, 0)


def runs(
    accuracy: float, seeds: Sequence[int], first: int = 10, like: Predictions = LIKE, **changes: Any
) -> list[FakeStored]:
    """Return a cell per seed with this accuracy on the items of `like`."""
    k = len(like.classes)
    return [
        stored(noisy(len(like.items), k, accuracy, first + seed, like=like), seed, **changes)
        for seed in seeds
    ]


def pinned(folder: Path, cells: Sequence[FakeStored], name: str = "mine") -> Baseline:
    """Pin cells and read the file back."""
    write_baseline(pin(cells, name), folder, force=True)
    return load_baseline("fashion", name, [folder])


def test_a_run_against_its_own_pin_is_the_same_in_everything(tmp_path: Path) -> None:
    cells = runs(0.8, (0, 1)) + runs(0.8, (0, 1), method="class_weight")
    rows = compare(cells, pinned(tmp_path, cells))
    judged = [row for row in rows if row.verdict.name is not None]
    assert {row.verdict.name for row in judged} == {SAME} and len(judged) == 2 * (6 + 2 * 12)
    assert all(row.difference.value == 0 and row.verdict.why == "same answers" for row in judged)
    assert {row.metric for row in rows if row.verdict.name is None} == {"auc_macro"}
    assert not regressions(rows) and judgements(rows) == len(judged)


@pytest.mark.parametrize(
    "seeds, ahead", [((0,), 0.90), ((0, 1, 2), 0.95), ((0, 1, 2, 3, 4), 0.90)], ids=["1", "3", "5"]
)
def test_a_worse_run_is_a_regression_and_a_better_one_is_not(
    tmp_path: Path, seeds: Sequence[int], ahead: float
) -> None:
    """Three seeds need a larger gap: the interval has hardly more than two degrees of freedom."""
    baseline = pinned(tmp_path, runs(0.80, seeds))
    worse, better = (compare(runs(accuracy, seeds, first=50), baseline) for accuracy in (0.68, ahead))
    assert {row.metric for row in regressions(worse)} >= {"top1_micro", "top1_macro", "f1_macro"}
    assert all(row.class_name is None for row in regressions(worse))
    assert [row.metric for row in regressions(worse, ["f1_macro"])] == ["f1_macro"]
    assert not regressions(better) and named(better, "micro top-1").verdict.name == BETTER


def test_an_equally_good_run_is_no_regression(tmp_path: Path) -> None:
    baseline = pinned(tmp_path, runs(0.8, (0, 1, 2)))
    rows = compare(runs(0.8, (0, 1, 2), first=50), baseline)
    assert not regressions(rows) and named(rows, "micro top-1").verdict.name == SAME
    assert named(rows, "micro top-1").difference.value != 0


def test_one_seed_has_mcnemars_p(tmp_path: Path) -> None:
    old, new = runs(0.8, (0,))[0], runs(0.75, (0,), first=50)[0]
    row = named(compare([new], pinned(tmp_path, [old])), "micro top-1")
    hit = [cell.test.scores.argmax(axis=1) == cell.test.truth for cell in (new, old)]
    assert row.difference.p == intervals.mcnemar(int((hit[0] & ~hit[1]).sum()), int((hit[1] & ~hit[0]).sum()))
    weights = bootstrap.bootstrap_weights(600, 2000, 0)
    expected = bootstrap.percentile_interval(weights @ hit[0] / 600 - weights @ hit[1] / 600)
    assert (row.difference.low, row.difference.high) == pytest.approx(expected, abs=0.006)


def test_several_seeds_are_resampled_too(tmp_path: Path) -> None:
    old = runs(0.8, (0, 1, 2))
    new = [runs(accuracy, (seed,), first=50)[0] for seed, accuracy in enumerate((0.70, 0.80, 0.90))]
    rows = compare(new, pinned(tmp_path, old))
    row = named(rows, "micro top-1")
    one = [named(compare([new[s]], pinned(tmp_path, [old[s]])), "micro top-1") for s in (0, 2)]
    assert one[0].verdict.name == WORSE and one[1].verdict.name == BETTER and row.verdict.name == SAME
    assert (
        row.difference.high is not None
        and row.difference.low is not None
        and row.difference.high - row.difference.low > 0.1
    )


def test_seeds_are_paired_with_themselves_and_others_left_out(tmp_path: Path) -> None:
    old, new = runs(0.8, (0, 1)), runs(0.7, (1, 2), first=50)
    rows = compare(new, pinned(tmp_path, old))
    assert named(rows, "micro top-1").sides.seeds == (1,)
    assert rows == compare(new[:1], pinned(tmp_path, old[1:]))
    (row,) = compare(new[1:], pinned(tmp_path, old))
    assert (row.verdict.name, row.verdict.why) == (MISSING, "no seed in common (ours 2, pinned 0, 1)")


def test_equal_arguments_give_equal_rows(tmp_path: Path) -> None:
    baseline, new = pinned(tmp_path, runs(0.8, (0, 1))), runs(0.75, (0, 1), first=50)
    assert compare(new, baseline) == compare(list(reversed(new)), baseline)
    assert compare(new, baseline, seed=1) != compare(new, baseline)


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"fingerprint": "0" * 64}, "data: rows or images have changed since"),
        ({"source": "kaggle-fashion"}, "data: kaggle-fashion, pinned on drawn-small"),
        ({"version": 2}, "task: version 2, pinned version 1"),
        ({"protocol": {"epochs": 5}}, "protocol: epochs 5, pinned 30"),
        ({"protocol": {"engine": "openvino"}}, ""),
        # A key that the pinned protocol does not have was at its default.
        ({"protocol": {"noise": "none"}}, ""),
        ({"protocol": {"noise": "pair"}}, "protocol: noise pair, pinned none"),
    ],
)
def test_other_data_or_protocol_is_not_comparable(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    rows = compare(runs(0.5, (0,), first=50, **changes), pinned(tmp_path, runs(0.8, (0,))))
    row = named(rows, "micro top-1")
    assert row.difference.value is not None and row.difference.value < 0
    assert row.verdict.name == (INCOMPARABLE if why else WORSE) and row.verdict.why == why
    assert bool(regressions(rows)) is not bool(why)


def test_other_items_are_not_comparable(tmp_path: Path) -> None:
    baseline = pinned(tmp_path, runs(0.8, (0,)))
    fewer = noisy(599, 12, 0.5, 3)
    row = named(compare([stored(fewer)], baseline), "micro top-1")
    assert (row.verdict.name, row.verdict.why) == (INCOMPARABLE, "data: other test images are scored")
    assert (row.difference.n_ours, row.difference.n_theirs) == (599, 600)


def test_settings_of_one_side_are_missing(tmp_path: Path) -> None:
    baseline = pinned(tmp_path, runs(0.8, (0,)) + runs(0.8, (0,), method="smote"))
    rows = compare(runs(0.8, (0,)) + runs(0.8, (0,), method="focal"), baseline)
    missing = {
        (row.sides.method, row.verdict.why, row.difference.ours is None)
        for row in rows
        if row.verdict.name == MISSING
    }
    assert missing == {
        ("focal", "setting not in the baseline", False),
        ("smote", "no measured cell of this setting is stored", True),
    }


def test_a_handful_of_other_answers_is_no_regression(tmp_path: Path) -> None:
    old = predictions(np.arange(300) % 3, np.arange(300) % 3, 3)
    changed = old.truth.copy()
    changed[:5] = (changed[:5] + 1) % 3
    baseline = pinned(tmp_path, [stored(old)])
    rows = compare([stored(predictions(old.truth, changed, 3))], baseline)
    row = named(rows, "micro top-1")
    assert (row.verdict.name, row.verdict.why) == (SAME, "only 5 items answered differently")
    changed[:9] = (old.truth[:9] + 1) % 3
    assert (
        named(compare([stored(predictions(old.truth, changed, 3))], baseline), "micro top-1").verdict.name
        == WORSE
    )


def test_one_class_that_breaks_is_called_and_counts_when_asked_for(tmp_path: Path) -> None:
    old = noisy(1200, 12, 0.9, 0)
    answers = old.scores.argmax(axis=1)
    answers[old.truth == 3] = 4
    baseline = pinned(tmp_path, [stored(old)])
    rows = compare([stored(predictions(old.truth, answers, 12, np.ones(1200)))], baseline)
    assert [row.what for row in rows if row.class_name and row.verdict.name == WORSE] == [
        "class class 3 top-1"
    ]
    assert not {row.class_name for row in regressions(rows)} - {None}
    assert "class 3" in {row.class_name for row in regressions(rows, ["top1", "top1_micro"])}


def test_items_of_a_group_stand_or_fall_together(tmp_path: Path) -> None:
    groups = tuple(f"listing {i // 20}" for i in range(600))
    rng = np.random.default_rng(0)
    flip = np.repeat(rng.random(30) < 0.15, 20)
    old = replace(noisy(600, 12, 0.9, 4, like=LIKE), groups=groups)
    new = predictions(
        LIKE.truth, np.where(flip, (LIKE.truth + 1) % 12, old.scores.argmax(axis=1)), 12, np.ones(600)
    )
    baseline = pinned(tmp_path, [stored(old)])
    alone = named(compare([stored(new)], baseline), "F1 macro")
    together = named(compare([stored(replace(new, groups=groups))], baseline), "F1 macro")
    lengths = []
    for gap in (alone.difference, together.difference):
        assert gap.low is not None and gap.high is not None
        lengths.append(gap.high - gap.low)
    assert lengths[1] > 2 * lengths[0]
