"""Finding wrong labels: out-of-sample probabilities, agreement with cleanlab, what the actions do."""

from __future__ import annotations

import math
import statistics
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.backbones.inputs import PrecomputedFeatures
from bench.core.errors import BenchError
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods import clean_labels as cleaning
from bench.methods.clean_labels import Suspects, clean, find_suspects, fold_of, out_of_sample
from bench.methods.grammar import parse_method, problems_for
from bench.runs.trainers import HeadTrainer
from bench.training.fits import Trained
from tests.cells import cell_of

K = 5


def _blobs(
    n: int = 600, k: int = K, d: int = 8, noise: float = 0.2, apart: float = 2.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (n, d) features, (n,) true classes, and (n,) given ones, of which a share is another."""
    rng = np.random.default_rng(0)
    truth = rng.integers(k, size=n).astype(np.int32)
    features = apart * rng.normal(size=(k, d))[truth] + rng.normal(size=(n, d))
    flipped = rng.random(n) < noise
    given = np.where(flipped, (truth + rng.integers(1, k, n)) % k, truth).astype(np.int32)
    return features.astype(np.float32), truth, given


def _f1(found: np.ndarray, wrong: np.ndarray) -> float:
    return float(2 * (found & wrong).sum() / (found.sum() + wrong.sum()))


def test_it_is_what_cleanlab_finds_on_the_same_probabilities() -> None:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    features, _, given = _blobs()
    found = find_suspects(features, given, None, K, folds=5, seed=0)
    ranked = find_label_issues(
        given, found.probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    assert 0 < len(ranked) < len(given)
    np.testing.assert_array_equal(np.flatnonzero(found.suspect), np.sort(ranked))
    np.testing.assert_array_equal(found.score, get_label_quality_scores(given, found.probabilities))
    np.testing.assert_array_equal(found.score, found.probabilities[np.arange(len(given)), given])
    np.testing.assert_allclose(found.probabilities.sum(1), 1.0)
    best = found.probabilities.argmax(1)
    np.testing.assert_array_equal(found.suggested, np.where(found.suspect, best, given))
    assert (found.suggested[found.suspect] != given[found.suspect]).all()


@pytest.mark.parametrize(("noise", "least"), [(0.2, 0.8), (0.4, 0.7)])
def test_flipped_labels_of_blobs_are_found(noise: float, least: float) -> None:
    features, truth, given = _blobs(noise=noise)
    found = find_suspects(features, given, None, K, folds=5, seed=0)
    assert _f1(found.suspect, given != truth) > least
    assert np.mean(found.suggested == truth) > np.mean(given == truth) + noise / 2
    assert found.score[given != truth].mean() < found.score[given == truth].mean() / 2


def test_clean_labels_are_left_alone() -> None:
    features, truth, _ = _blobs()
    assert find_suspects(features, truth, None, K, folds=5, seed=0).suspect.mean() < 0.05


def test_the_scale_of_a_feature_does_not_matter() -> None:
    features, _, given = _blobs()
    scale, shift = 10.0 ** np.arange(-3, 5, dtype=np.float32), np.arange(8, dtype=np.float32)
    one, other = (
        find_suspects(table, given, None, K, 5, 0) for table in (features, features * scale + shift)
    )
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-3)


def test_the_same_twice_and_another_cut_with_another_seed() -> None:
    features, _, given = _blobs()
    first, again, other = (find_suspects(features, given, None, K, 5, seed) for seed in (3, 3, 4))
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    assert (first.probabilities != other.probabilities).any()


def test_no_head_judges_a_row_that_it_has_seen() -> None:
    features, _, given = _blobs(n=200)
    fold = fold_of(given, None, K, 4, seed=0)
    before = out_of_sample(features, given, fold, K, seed=0)
    row = int(np.flatnonzero(fold == 2)[0])
    lied = given.copy()
    lied[row] = (lied[row] + 1) % K
    after = out_of_sample(features, lied, fold, K, seed=0)
    np.testing.assert_array_equal(before[fold == 2], after[fold == 2])
    assert (before[fold != 2] != after[fold != 2]).any()


def test_folds_are_even_in_every_class_and_keep_groups_whole() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(K, 300, p=[0.5, 0.25, 0.15, 0.08, 0.02]).astype(np.int32)
    fold = fold_of(y, None, K, 4, seed=1)
    counts = np.stack([np.bincount(y[fold == part], minlength=K) for part in range(4)])
    assert (np.ptp(counts, axis=0) <= 1).all()
    groups = [f"seller {number}" for number in rng.integers(60, size=300)]
    grouped = fold_of(y, groups, K, 4, seed=1)
    homes: dict[str, set[int]] = {}
    for group, part in zip(groups, grouped.tolist(), strict=True):
        homes.setdefault(group, set()).add(part)
    assert {len(parts) for parts in homes.values()} == {1}
    sizes = np.bincount(grouped, minlength=4)
    assert sizes.min() > 0.7 * sizes.max()
    assert (np.bincount(grouped[y == 0], minlength=4) > 20).all()


def test_a_row_is_not_vouched_for_by_its_group() -> None:
    """Copies of one photo that share a wrong label are found only if their copies stand in the same fold."""
    features, truth, _ = _blobs(n=240, d=40, noise=0.0)
    given = truth.copy()
    wrong = np.arange(0, 240, 12)
    given[wrong] = (given[wrong] + 1) % K
    features, truth, given = (np.repeat(part, 6, axis=0) for part in (features, truth, given))
    groups = [str(row // 6) for row in range(len(given))]
    grouped, loose = (find_suspects(features, given, ids, K, 5, 0) for ids in (groups, None))
    mistaken = given != truth
    assert grouped.score[mistaken].mean() < 0.7 * loose.score[mistaken].mean()
    assert grouped.suspect[mistaken].mean() > 0.8 > loose.suspect[mistaken].mean() + 0.1


def test_small_single_and_empty_classes() -> None:
    features, truth, given = _blobs(k=3, noise=0.1)
    rng = np.random.default_rng(1)
    # Class 3 has fewer rows than folds, class 4 one row, class 5 one group, class 6 none.
    extra = np.array([3, 3, 3, 4, 5, 5], np.int32)
    features = np.concatenate([features, rng.normal(size=(6, 8)).astype(np.float32)])
    given = np.concatenate([given, extra])
    groups = [*(str(row) for row in range(604)), "one", "one"]
    found = find_suspects(features, given, groups, 7, folds=5, seed=0)
    assert found.probabilities.shape == (606, 7)
    np.testing.assert_allclose(found.probabilities.sum(1), 1.0)
    assert not found.suspect[-3:].any() and (found.score[-3:] == 1.0).all()
    assert (found.probabilities[:-3, 4:] == 0).all()
    assert (found.probabilities[:-3, 3] > 0).all()
    assert set(found.suggested.tolist()) <= {0, 1, 2, 3, 4, 5}
    assert _f1(found.suspect[:600], given[:600] != truth) > 0.7


def test_next_to_nothing_to_judge() -> None:
    features = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    for y in ([1, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 4], [0, 0, 0, 0, 0, 1]):
        found = find_suspects(features, np.array(y, np.int32), None, K, folds=5, seed=0)
        assert not found.suspect.any()
        np.testing.assert_array_equal(found.suggested, y)
        np.testing.assert_array_equal(found.score, np.ones(6))
    empty = find_suspects(features[:0], np.empty(0, np.int32), None, K, folds=5, seed=0)
    assert empty.probabilities.shape == (0, K) and len(empty.suspect) == 0


def _args(action: str) -> dict[str, Any]:
    return {"by": "confident", "action": action, "folds": 5}


def test_actions_by_what_was_found() -> None:
    features, _, given = _blobs()
    found = find_suspects(features, given, None, K, 5, seed=2)
    dropped, relabelled, weighted = (
        clean(_args(action), given, features, None, K, seed=2) for action in ("drop", "relabel", "weight")
    )
    np.testing.assert_array_equal(dropped.rows, np.flatnonzero(~found.suspect))
    np.testing.assert_array_equal(dropped.labels, given)
    assert relabelled.rows.tolist() == weighted.rows.tolist() == list(range(len(given)))
    np.testing.assert_array_equal(relabelled.labels, found.suggested)
    assert dropped.weights is None and relabelled.weights is None and weighted.weights is not None
    np.testing.assert_array_equal(weighted.labels, given)
    np.testing.assert_array_equal(weighted.weights, found.score.astype(np.float32))
    for labelled in (dropped, relabelled, weighted):
        assert labelled.found == {"suspect": found.suspect.sum()}


def test_the_last_row_of_a_class_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.array([0, 0, 0, 1, 1, 2], np.int32)
    score = np.array([0.3, 0.1, 0.2, 0.1, 0.4, 0.0])
    suspect = np.array([1, 1, 1, 1, 0, 1], bool)
    found = Suspects(suspect, np.array([1, 1, 2, 0, 1, 0], np.int32), score, np.zeros((6, 3)))
    monkeypatch.setattr(cleaning, "find_suspects", lambda *args: found)
    dropped, relabelled = (
        clean(_args(action), y, np.zeros((6, 1)), None, 3, seed=0) for action in ("drop", "relabel")
    )
    assert dropped.rows.tolist() == [0, 4, 5]
    assert relabelled.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_bad_input_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _, given = _blobs(n=60)
    with pytest.raises(BenchError, match="clean works on features"):
        clean(_args("drop"), given, None, None, K, seed=0)
    broken = features.copy()
    broken[3] = np.nan
    with pytest.raises(BenchError, match="head of a fold could not be trained: loss became NaN in epoch 1"):
        find_suspects(broken, given, None, K, 5, seed=0)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(BenchError, match=r"pip install 'messybench\[clean\]'") as caught:
        find_suspects(features, given, None, K, 5, seed=0)
    assert "\n" not in str(caught.value)


def _split(truth: np.ndarray) -> StageSplit:
    rows = np.arange(len(truth))
    parts = (rows[rows % 5 < 2], rows[rows % 5 == 2], rows[rows % 5 > 2])
    return StageSplit(tuple("abcde"), truth, *parts, unseen=0, leaked=None)


def test_heads_that_learn_from_cleaned_labels_know_the_truth_better() -> None:
    features, truth, given = _blobs(n=1000, d=60, noise=0.4, apart=0.6)
    split = _split(given)
    split = replace(split, val=split.val[:0])
    setting = {**defaults(), "lr": 0.01, "epochs": 30}
    trainer = HeadTrainer(PrecomputedFeatures(features), split, setting, lambda *_: None)
    texts = ["none", "clean", "clean(action=relabel)", "clean(action=weight)", "clean+smote+class_weight+gce"]
    right, found = [], []
    for one, made in trainer.fit([(cell_of(text, setting=setting), split) for text in texts]):
        assert one.head is not None and one.embed is not None and made is not None
        answers = one.head.logits(one.embed(split.test)).argmax(1)
        right.append(np.mean(answers == truth[split.test]))
        found.append(dict(made.found))
    assert right[0] + 0.1 < min(right[1:]), right
    assert found[0] == {}
    assert found[1] == found[2] == found[3] == found[4]
    assert 100 < found[1]["clean"]["suspect"] < 200


def test_wrong_validation_labels_do_not_stop_what_learns_from_cleaned_ones() -> None:
    features, truth, given = _blobs(n=1000, d=60, noise=0.4, apart=0.6)
    split = _split(given)
    setting = {**defaults(), "lr": 0.01}
    trainer = HeadTrainer(PrecomputedFeatures(features), split, setting, lambda *_: None)
    texts = ("none", "clean", "clean(action=relabel)")
    right = []
    for one, _ in trainer.fit([(cell_of(text, setting=setting), split) for text in texts]):
        assert one.head is not None and one.embed is not None
        answers = one.head.logits(one.embed(split.test)).argmax(1)
        right.append(np.mean(answers == truth[split.test]))
    assert right[0] + 0.05 < min(right[1:]), right


def test_cleaning_sees_training_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _, given = _blobs(n=200)
    groups = [f"listing {row // 2}" for row in range(200)]
    seen: list[tuple[np.ndarray, list[str]]] = []

    def told(features: np.ndarray, y: np.ndarray, groups: Any, k: int, folds: int, seed: int) -> Suspects:
        seen.append((y, groups))
        assert len(features) == len(y)
        return find_suspects(features, y, groups, k, folds, seed)

    monkeypatch.setattr(cleaning, "find_suspects", told)
    split = _split(given)
    setting = {**defaults(), "epochs": 2}
    trainer = HeadTrainer(PrecomputedFeatures(features), split, setting, lambda *_: None, groups)
    own = cell_of("clean", setting=setting)
    trained = [*trainer.fit([(own, split)]), *trainer.fit([(own, split.refit())], [Trained(None, 2)])]
    assert all(made is not None for _, made in trained)
    for rows, (y, ids) in zip((split.train, np.union1d(split.train, split.val)), seen, strict=True):
        np.testing.assert_array_equal(y, given[rows])
        assert ids == [groups[row] for row in rows]


PRICED = {"by": "price", "folds": 5}
PRICES = ["10", "11", "9.5", "10.5", "", "900", "1000", "1100", "950", "10", "990", "1e3"]
PRICED_Y = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], np.int32)
"""Row 5 costs what class 1 does, row 9 what class 0 does; row 4 has no price."""


def _distance(row: int) -> float:
    """Return Iglewicz and Hoaglin's modified z-score of a row's log price in its class, absolute."""
    own = [
        math.log1p(float(price))
        for label, price in zip(PRICED_Y, PRICES, strict=True)
        if price and label == PRICED_Y[row]
    ]
    middle = statistics.median(own)
    spread = statistics.median(abs(value - middle) for value in own)
    return abs(0.6745 * (math.log1p(float(PRICES[row])) - middle) / spread)


def test_odd_prices_are_dropped_or_weighted_and_nothing_else_is_touched() -> None:
    dropped = clean({**PRICED, "action": "drop"}, PRICED_Y, None, None, 2, 0, PRICES)
    assert dropped.rows.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 10, 11] and dropped.rows.dtype == np.int64
    assert dropped.weights is None and dropped.found == {"odd_price": 2}
    np.testing.assert_array_equal(dropped.labels, PRICED_Y)
    weighted = clean({**PRICED, "action": "weight"}, PRICED_Y, None, None, 2, 0, PRICES)
    assert weighted.rows.tolist() == list(range(12)) and weighted.found == {"odd_price": 2}
    assert weighted.weights is not None and weighted.weights.dtype == np.float32
    odd = [3.5 / max(_distance(row), 3.5) if PRICES[row] else 1.0 for row in range(12)]
    np.testing.assert_allclose(weighted.weights, odd, rtol=1e-5)
    assert (weighted.weights < 1).nonzero()[0].tolist() == [5, 9]


@pytest.mark.parametrize("prices", [None, [""] * 12])
def test_without_a_price_cleaning_by_price_says_so(prices: list[str] | None) -> None:
    with pytest.raises(BenchError, match="works on prices; no training row of this data has one"):
        clean({**PRICED, "action": "drop"}, PRICED_Y, None, None, 2, 0, prices)


def test_a_price_relabels_nothing_and_needs_no_features() -> None:
    with pytest.raises(BenchError, match="clean: a price does not say which label is right"):
        parse_method("clean(price,action=relabel)")
    with pytest.raises(BenchError, match="clean: folds belongs to by=confident"):
        parse_method("clean(price,folds=7)")
    assert problems_for(parse_method("clean(price)"), "multiclass", "scratch") is None
    why = problems_for(parse_method("clean"), "multiclass", "scratch")
    assert why == "clean works on features; the scratch regime has none"


def test_prices_of_training_rows_alone_decide() -> None:
    features, _, given = _blobs(n=200)
    rng = np.random.default_rng(3)
    prices = [f"{10.0 * (label + 1) * (0.9 + 0.2 * rng.random()):.2f}" for label in given.tolist()]
    split = _split(given)
    odd = split.train[[4, 9]]
    for row in (*odd.tolist(), int(split.val[0]), int(split.test[0])):
        prices[row] = "123456"
    setting = {**defaults(), "epochs": 2}
    trainer = HeadTrainer(PrecomputedFeatures(features), split, setting, lambda *_: None, prices=prices)
    work = [
        (cell_of(text, setting=setting), split) for text in ("clean(price)", "clean(price,action=weight)")
    ]
    (_, dropped), (_, weighted) = trainer.fit(work)
    ((_, again),) = trainer.fit([(work[0][0], split.refit())], [Trained(None, 2)])
    assert dropped is not None and weighted is not None and again is not None
    assert dropped.found == weighted.found == {"clean": {"odd_price": 2}}
    assert set(range(len(split.train))) - set(dropped.resampled.rows.tolist()) == {4, 9}
    assert dropped.stop_by == "top1"
    assert weighted.row_weights is not None
    assert (weighted.row_weights < 0.5).nonzero()[0].tolist() == [4, 9]
    assert again.found == {"clean": {"odd_price": 3}}, "with validation, its odd price too"
