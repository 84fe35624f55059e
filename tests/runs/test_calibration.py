"""Calibration parts: neither training nor any choice sees them, and other cells do not notice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.data.splits import StageSplit
from bench.data.validation import draw_calibration, withheld
from bench.kinds.multiclass.set_tables import sets_by_setting
from bench.methods.conformal import set_thresholds
from bench.runs.image_stage import ImageStage
from bench.runs.trainers import HeadTrainer
from bench.store.read import Stored
from bench.store.settings import settings_of
from bench.store.verify import verify
from tests.grids import reseal
from tests.in_process import InProcess, content

FASHION = ("run", "--task", "fashion", "--sample", "tiny", "--backbone", "grey", "--set", "epochs=3")
SETS = "conformal(alpha=0.5)"
BOTH = "temperature+conformal(alpha=0.5)"

PART = (
    *("37774", "52080", "11576", "12095", "48481", "41418", "50568", "57537", "1756", "8297"),
    *("29714", "38511", "53708"),
)
CUTS = [0.03, 0.08, 0.04, 0.22]


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    return InProcess(tmp_path, monkeypatch)


def named(cells: Sequence[Stored], stage: str = "top20") -> dict[str, Stored]:
    """Return the cells of a stage by method and seed."""
    found = [(one.record["cell"], one) for one in cells]
    return {
        f"{cell['method_text']} {cell['seed']}": one
        for cell, one in found
        if cell["stage"] == stage and one.ok
    }


def split_of(sizes: Sequence[int], seed: int = 0) -> StageSplit:
    truth = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes))
    rows = np.arange(len(truth))
    names = tuple("abcdefgh"[: len(sizes)])
    return StageSplit(names, truth, rows[rows % 5 > 1], rows[rows % 5 == 1], rows[rows % 5 == 0], 0, 0)


def test_parts_are_stratified_disjoint_and_leave_validation_and_test() -> None:
    split = split_of((500, 200, 50))
    shares = (("temperature", 0.1), ("conformal", 0.2))
    made = draw_calibration(split, shares, 7)
    first, second = made.calibration["temperature"], made.calibration["conformal"]
    np.testing.assert_array_equal(made.val, split.val)
    np.testing.assert_array_equal(made.test, split.test)
    np.testing.assert_array_equal(np.sort(np.concatenate([made.train, first, second])), split.train)
    for rows, share in ((first, 0.1), (second, 0.2 * 0.9)):
        counts = np.bincount(split.truth[rows]) / np.bincount(split.truth[split.train])
        np.testing.assert_allclose(counts, share, atol=0.03)
    np.testing.assert_array_equal(made.train_counts, split.train_counts)
    again, other = draw_calibration(split, shares, 7), draw_calibration(split, shares, 8)
    np.testing.assert_array_equal(again.calibration["conformal"], second)
    assert not np.array_equal(other.calibration["conformal"], second)
    alone = draw_calibration(split, (("conformal", 0.2),), 7)
    assert len(np.intersect1d(alone.calibration["conformal"], alone.train)) == 0


def test_what_belongs_together_stays_on_one_side() -> None:
    split = split_of((300, 200))
    groups = [f"listing {row // 10}" for row in range(500)]
    rows = draw_calibration(split, (("conformal", 0.3),), 0, groups).calibration["conformal"]
    left = draw_calibration(split, (("conformal", 0.3),), 0, groups).train
    assert not {groups[row] for row in rows} & {groups[row] for row in left}
    assert len(rows) == pytest.approx(0.3 * len(split.train), rel=0.1)


def test_other_splits_of_the_rest_leave_the_part_out() -> None:
    split, other = split_of((300, 200)), split_of((300, 200))
    part = draw_calibration(split, (("conformal", 0.3),), 0).calibration
    rest = withheld(other, part)
    assert not np.intersect1d(np.concatenate([rest.train, rest.val]), part["conformal"]).size
    np.testing.assert_array_equal(rest.test, other.test)


def test_a_seed_always_draws_the_same_parts() -> None:
    """Other ones would give cells of the same identity other results."""
    found = draw_calibration(split_of((30, 20)), (("temperature", 0.2), ("conformal", 0.2)), 7)
    assert {step: rows.tolist() for step, rows in found.calibration.items()} == {
        "temperature": [12, 19, 23, 24, 43, 48],
        "conformal": [7, 9, 34, 38, 49],
    }


def test_without_calibration_parts_nothing_is_left_out() -> None:
    split = split_of((30, 20))
    rest = withheld(split, {})
    np.testing.assert_array_equal(rest.train, split.train)
    np.testing.assert_array_equal(rest.val, split.val)


def test_no_calibration_row_is_trained_on_or_chosen_by(
    inside: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[tuple[str, int], set[int]] = {}
    items: list[tuple[str, ...]] = []
    plain_fit, plain_init = HeadTrainer.fit, ImageStage.__init__

    def fit(self: HeadTrainer, work: Any, first: Any = ()) -> Any:
        for cell, split in work:
            # The trainer's own rows standardise the features.
            rows = {*split.train.tolist(), *split.val.tolist(), *self.rows.tolist()}
            seen.setdefault((cell.method.text, cell.seed), set()).update(rows)
        return plain_fit(self, work, first)

    def init(self: ImageStage, context: Any, *rest: Any) -> None:
        items.append(context.examples.items)
        plain_init(self, context, *rest)

    monkeypatch.setattr(HeadTrainer, "fit", fit)
    monkeypatch.setattr(ImageStage, "__init__", init)
    run = (*FASHION, "--stage", "top20", "--seed", "0-1", "--method", f"none,{SETS},{BOTH}", "--tune", "2")
    cells = named(inside.bench(*run, results="results", cache="cache"))
    assert len(cells) == 6
    for name, one in cells.items():
        method, _, seed = name.rpartition(" ")
        parts = one.calibration()
        rows = {items[0].index(item) for pred in parts.values() for item in pred.items}
        assert not rows & seen[method, int(seed)]
        assert (
            len(rows)
            == one.record["counts"].get("calibration", 0)
            == sum(len(p.items) for p in parts.values())
        )
        assert list(parts) == [step for step in ("temperature", "conformal") if step in method]
        whole = {item for pred in one.splits().values() for item in pred.items}
        assert not whole & {item for pred in parts.values() for item in pred.items}
        counts = one.record["counts"]
        assert sum(counts.get(key, 0) for key in ("train", "val", "calibration")) == sum(
            one.record["train_support"]
        )
    calibrated = [cells[f"{SETS} {seed}"].calibration()["conformal"].items for seed in (0, 1)]
    assert {*calibrated[0]} != {*calibrated[1]}, "each seed draws its own"


def test_thresholds_follow_from_the_stored_scores_and_other_cells_do_not_notice(inside: InProcess) -> None:
    together = inside.bench(
        *FASHION, "--seed", "0", "--method", f"none,{SETS},{BOTH}", results="a", cache="c"
    )
    assert inside.code == 0
    for stage in ("top20", "remaining"):
        cells = named(together, stage)
        for name in (f"{SETS} 0", f"{BOTH} 0"):
            one = cells[name]
            test, own = one.predictions(), one.calibration()["conformal"]
            assert test.cuts is not None
            np.testing.assert_array_equal(test.cuts, set_thresholds(own.scores, own.truth, 0.5))
            counts = np.bincount(own.truth, minlength=len(own.classes))
            np.testing.assert_array_equal(test.cuts == 0, counts < 1)
            metrics = one.record["metrics"]
            inside_set = test.scores >= test.cuts
            covered = inside_set[np.arange(len(test.items)), test.truth]
            assert metrics["test"]["coverage"] == pytest.approx(covered.mean())
            assert metrics["test"]["set_size"] == pytest.approx(inside_set.sum(axis=1).mean())
            assert metrics["test"]["coverage_min_class"] == pytest.approx(
                min(covered[test.truth == label].mean() for label in np.unique(test.truth))
            )
            assert 0 < metrics["val"]["coverage"] <= 1 and "coverage" not in metrics["trivial"]
            assert not verify(one.folder).findings and not verify(one.folder).problem
        assert "coverage" not in cells["none 0"].record["metrics"]["test"]
        assert not {"cuts", "val_cuts"} & {*cells["none 0"].record}
    # What this run has always given: the part to the image, the rest to rounding.
    known = named(together)[f"{SETS} 0"]
    record = known.record
    assert known.calibration()["conformal"].items == PART
    assert [round(cut, 2) for cut in record["cuts"][:4]] == pytest.approx(CUTS, abs=0.011)
    assert record["metrics"]["test"]["coverage"] == pytest.approx(18 / 31, abs=1.1 / 31)
    for method in ("none", SETS, BOTH):
        alone = inside.bench(*FASHION, "--seed", "0", "--method", method, results=method[:9], cache="c")
        for stage in ("top20", "remaining"):
            name = f"{method} 0"
            assert content(named(alone, stage)[name]) == content(named(together, stage)[name]), method


def test_show_lists_each_class_and_verify_finds_a_changed_threshold(inside: InProcess) -> None:
    cells = inside.bench(
        *FASHION, "--stage", "top20", "--seed", "0", "--method", SETS, results="r", cache="c"
    )
    (one,) = cells
    shown = CliRunner().invoke(
        cli, ["show", one.id[:8], "--results", str(inside.folder / "r"), "--format", "json"]
    )
    tables = json.loads(shown.stdout)
    (table,) = [rows for rows in tables if rows and "set_size" in rows[0]]
    (whole, *classes) = table
    test, own = one.predictions(), one.calibration()["conformal"]
    assert whole["calibration"] == len(own.items) and whole["test_support"] == len(test.items)
    assert whole["coverage_low"] <= whole["coverage"] <= whole["coverage_high"]
    assert whole["set_size_low"] <= whole["set_size"] <= whole["set_size_high"]
    assert [row["class"] for row in classes] == list(test.classes)
    (setting,) = settings_of([one.record])
    by_setting = sets_by_setting([("grey", setting)], {one.id: one})
    assert by_setting is not None
    for key in ("coverage", "set_size", "set_size_low", "set_size_high"):
        assert by_setting.rows[0][key] == pytest.approx(whole[key])
    text = CliRunner().invoke(cli, ["show", one.id[:8], "--results", str(inside.folder / "r")]).stdout
    lacking = [name for name, row in zip(test.classes, classes, strict=True) if row["calibration"] < 1]
    assert lacking and "having fewer than 1 calibration images" in " ".join(text.split())

    def change(record: dict[str, Any]) -> None:
        record["cuts"][0] += 0.01

    reseal(one.folder, change)
    found = {finding.what for finding in verify(one.folder).findings}
    assert f"{test.classes[0]} cut" in found
