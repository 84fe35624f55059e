"""What methods add to `none`: against differences by hand, and what no pair speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.compare.effects import Effect, effect_metrics, effects
from bench.compare.estimates import Contrast, MetricSamples, estimated
from bench.compare.stored_cells import read_bootstraps
from bench.compare.tuning import orderings
from bench.compare.verdict import BETTER, SAME, WORSE
from bench.kinds.multiclass import metrics as multiclass
from bench.metrics import bootstrap, intervals
from bench.report.leaderboard_tables import effects_table
from bench.store.settings import Record, pairing_keys
from bench.store.write import Store, Stored
from tests.grids import answers, grid, put

METRICS = ("top1_micro", "top1_macro", "many_top1", "medium_top1", "few_top1")


def found(root: Path, *metrics: str, draws: int = 400) -> dict[tuple[str, str], Effect]:
    cells, _ = Store(root).load()
    (shared,), _ = read_bootstraps(cells, metrics or METRICS, draws=draws)
    rows = effects([stored.record for stored in cells], shared, metrics or METRICS)
    return {(row.method, row.metric): row for row in rows}


def test_an_effect_is_the_mean_of_paired_differences(tmp_path: Path) -> None:
    backbones = ("lenet", "mobilenet_025")
    ids = grid(tmp_path, {"none": 0.5, "focal": 0.7}, seeds=(0, 1), backbones=backbones)
    by_id = {stored.id: stored for stored in Store(tmp_path).load()[0]}
    rows = found(tmp_path)
    for metric in METRICS:
        gaps = [
            by_id[ids[backbone, "focal", seed]].record["metrics"]["test"][metric]
            - by_id[ids[backbone, "none", seed]].record["metrics"]["test"][metric]
            for backbone in backbones
            for seed in (0, 1)
        ]
        row = rows["focal", metric]
        assert row.value == pytest.approx(np.mean(gaps))
        assert row.pairs == 4 and row.backbones == 2 and row.up == sum(gap > 0 for gap in gaps)
    assert rows["focal", "top1_micro"].verdict == BETTER


def test_the_interval_is_drawn_over_items_and_over_the_seeds_of_all_backbones(tmp_path: Path) -> None:
    backbones = ("lenet", "mobilenet_025")
    ids = grid(tmp_path, {"none": 0.5, "focal": 0.6}, backbones=backbones)
    cells = {stored.id: stored for stored in Store(tmp_path).load()[0]}
    (shared,), _ = read_bootstraps(list(cells.values()), ["top1_micro"], draws=200)
    weights, drawn = bootstrap.bootstrap_weights(200, 200, 0), {}
    for cell, stored in cells.items():
        pred = stored.predictions()
        rows = np.array([pred.items.index(item) for item in shared.items.ids])
        same = replace(pred, truth=pred.truth[rows], scores=pred.scores[rows])
        drawn[cell] = multiclass.weighted_summary(same, weights)["top1_micro"]
    gaps = np.stack(
        [
            np.mean([drawn[ids[b, "focal", s]] - drawn[ids[b, "none", s]] for b in backbones], axis=0)
            for s in range(3)
        ]
    )
    contrast = Contrast.mean(map(str, range(3)))
    seen = [float(np.mean([_gap(cells, ids, b, s) for b in backbones])) for s in range(3)]
    source = MetricSamples(dict(zip("012", gaps, strict=True)), dict(zip("012", seen, strict=True)), {})
    expected = estimated(source, contrast, shared.resamples, 0)
    row = found(tmp_path, "top1_micro", draws=200)["focal", "top1_micro"]
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def _gap(
    cells: Mapping[str, Stored], ids: Mapping[tuple[str, str, int], str], backbone: str, seed: int
) -> float:
    values = [
        cells[ids[backbone, method, seed]].record["metrics"]["test"]["top1_micro"]
        for method in ("focal", "none")
    ]
    return float(values[0] - values[1])


def test_a_cell_without_its_none_is_in_no_effect(tmp_path: Path) -> None:
    pred = answers(100, 6, 0.5, 1)
    put(tmp_path, pred, 0)
    put(tmp_path, answers(100, 6, 0.6, 2, pred), 0, method="focal")
    put(tmp_path, answers(100, 6, 0.6, 3, pred), 1, method="focal")
    put(tmp_path, answers(100, 6, 0.6, 4, pred), 0, method="oversample", protocol={"epochs": 5})
    rows = found(tmp_path, "top1_micro")
    assert set(rows) == {("focal", "top1_micro")} and rows["focal", "top1_micro"].pairs == 1


def test_one_backbone_without_a_seed_is_still_paired(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.4, "focal": 0.8}, seeds=(0, 1))
    pred = answers(200, 8, 0.4, 55, answers(200, 8, 0.5, 99))
    put(tmp_path, pred, 0, backbone="mobilenet_025")
    put(tmp_path, answers(200, 8, 0.8, 56, pred), 0, backbone="mobilenet_025", method="focal")
    row = found(tmp_path, "top1_micro")["focal", "top1_micro"]
    assert row.pairs == 3 and row.backbones == 2
    assert row.verdict == BETTER and row.low is not None and row.low > 0.2


def test_verdicts_go_by_the_way_of_the_metric_and_by_q(tmp_path: Path) -> None:
    pred = answers(300, 6, 0.6, 1)
    put(tmp_path, pred)
    put(tmp_path, pred, method="the same")
    put(tmp_path, answers(300, 6, 0.2, 2, pred), method="bad")
    rows = found(tmp_path, "top1_micro", "log_loss")
    assert rows["the same", "top1_micro"].verdict == SAME and rows["the same", "top1_micro"].value == 0
    assert rows["bad", "top1_micro"].verdict == WORSE
    assert rows["bad", "log_loss"].verdict == WORSE and rows["bad", "log_loss"].value > 0
    assert rows["bad", "log_loss"].up == 0
    ps = [rows[method, "log_loss"].p for method in ("bad", "the same")]
    assert rows["bad", "log_loss"].q == intervals.benjamini_hochberg(ps)[0]


def test_what_is_shown_and_that_nothing_is_said_plainly() -> None:
    assert effect_metrics("multiclass", "f1_macro") == ["f1_macro", "top1_macro", *METRICS[2:]]
    empty = effects_table([])
    assert not empty.rows and "No method" in empty.notes[0]


def with_plugins(record: Record, **plugins: str) -> Record:
    named = {name: {"version": "1", "source": source} for name, source in plugins.items()}
    return {**record, "cell": {**record["cell"], "plugins": named}}


def test_a_method_of_a_plugin_is_paired_with_the_packages_none(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.5, "focal": 0.7, "smote": 0.6}, seeds=(0, 1), backbones=("lenet",))
    cells, _ = Store(tmp_path).load()
    (shared,), _ = read_bootstraps(cells, ["top1_micro"], draws=50)
    plain = [stored.record for stored in cells]
    expected = effects(plain, shared, ["top1_micro"])

    def changed(**plugins: dict[str, str]) -> list[Effect]:
        records = [with_plugins(one, **plugins.get(one["cell"]["method_text"], {})) for one in plain]
        return effects(records, shared, ["top1_micro"])

    assert changed(focal={"own": "a"}) == expected and len(expected) == 2
    # The backbone's plug-in is everybody's; another version of it is another backbone.
    net = {"net": "a"}
    assert changed(none=net, focal={**net, "own": "a"}, smote=net) == expected
    assert [row.method for row in changed(none=net, focal={"net": "b"}, smote=net)] == ["smote"]


def test_orderings_and_the_reports_settings_pair_methods_of_plugins(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.5, "focal": 0.7}, seeds=(0,), backbones=("lenet",))
    plain = [stored.record for stored in Store(tmp_path).load()[0]]
    records = [with_plugins(one, own="a") if one["cell"]["method_text"] == "focal" else one for one in plain]
    assert len(set(pairing_keys(plain).values())) == len(set(pairing_keys(records).values())) == 1
    (shared,), _ = read_bootstraps(Store(tmp_path).load()[0], ["top1_micro"], draws=50)
    assert orderings(records, shared, "top1_micro") == orderings(plain, shared, "top1_micro") != []
