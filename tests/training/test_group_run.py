"""A group of heads with a stub of its graph: where it starts, the rows of an epoch, what is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.training import group_run
from bench.training.auxiliary import side_kernel
from bench.training.co_teaching import PEER, mean_head
from bench.training.fits import TINY, Auxiliary, Epoch, Fit, Hidden, Mixing, TrainSetting
from bench.training.group_run import GroupRun
from bench.training.head import HeadSpec
from bench.training.head_group import GroupSpec
from bench.training.linear_head import LinearHead, LossSpec
from bench.training.mixing import epoch_mix
from bench.training.schedule import Watch, epoch_order, epoch_views, initial_kernel
from bench.training.validation_scores import SCORES

N, D, K = 50, 3, 4
ROWS, VAL = np.arange(5, 35), np.arange(36, 50)
TABLE = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
TRUTH = (np.arange(N) % K).astype(np.int32)
SETTING = TrainSetting(8, 0.1, "sgd", momentum=0.7, l2=0.01, patience=0)


class Layer:
    """Variables of one layer, each head's side by side."""

    def __init__(self) -> None:
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []

    def start(self, kernels: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        self.parts = list(zip(kernels, biases, strict=True))

    def heads(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return self.parts


class Memory:
    def __init__(self) -> None:
        self.value: Any = None

    def assign(self, value: np.ndarray) -> None:
        self.value = value


class Group:
    """A graph that takes no step: of each head it sums the table's rows, times its place plus one."""

    def __init__(self, spec: GroupSpec) -> None:
        self.spec = spec
        one = spec.heads[0]
        self.layers = [Layer() for there in (True, one.units, one.sides) if there]
        self.memories = [Memory() if head.objective.family.memory else None for head in spec.heads]
        self.begun: list[Any] = []
        self.trained: list[Any] = []
        self.validated: list[Any] = []
        self.restored: Any = None

    def begin(self, rates: Sequence[float], decays: Sequence[float], batch_size: int) -> None:
        self.begun.append((list(rates), list(decays), batch_size))

    def train(
        self, table: Any, at: np.ndarray, numbers: Any, rows: Sequence[Mapping[str, Any]]
    ) -> np.ndarray:
        self.trained.append((table[at], numbers, rows))
        places = np.arange(1, len(self.spec.heads) + 1)
        return np.stack([places * float(len(at)), np.full(len(places), 2.0 * len(at))])

    def validate(self, table: Any, at: np.ndarray, numbers: Any, labels: np.ndarray) -> Any:
        self.validated.append((table[at], numbers, labels))
        places = np.arange(1, len(self.spec.heads) + 1)
        # Head number p is right in the rows whose number is divisible by p + 1.
        logits = [
            np.eye(K)[np.where(np.arange(len(at)) % place == 0, labels, (labels + 1) % K)] for place in places
        ]
        return np.stack([places * 3.0 * len(at), np.full(len(places), 2.0 * len(at))]), logits

    def state(self, heads: Sequence[int]) -> tuple[Any, Any]:
        layers = [[layer.parts[place] for place in heads] for layer in self.layers]
        return layers, [self.memories[place] for place in heads]

    def restore(self, layers: Any, memories: Any) -> None:
        self.restored = layers, memories
        for layer, parts in zip(self.layers, layers, strict=True):
            layer.parts = parts


class Pool:
    """Groups that were made, and those that were given back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[Group] = []
        self.back: list[Group] = []
        monkeypatch.setattr(group_run, "borrow_group", self.borrow)
        monkeypatch.setattr(group_run, "return_group", self.back.append)

    def borrow(self, spec: GroupSpec) -> Group:
        self.made.append(Group(spec))
        return self.made[-1]

    def run(self, *fits: Fit, table: Any = TABLE, truth: np.ndarray = TRUTH, **setting: Any) -> GroupRun:
        """Return the run of these fits, numbered 3, 4 and so on."""
        own = dict(enumerate(fits, 3))
        k, attributes = (K, False) if truth.ndim == 1 else (truth.shape[1], True)
        specs = {number: HeadSpec.of(fit, D, k, attributes, 8) for number, fit in own.items()}
        values = replace(SETTING, **setting)
        watches = {number: Watch(fit, fit.own(values), attributes) for number, fit in own.items()}
        others = {9: next(iter(specs.values()))}, {9: next(iter(watches.values()))}
        return GroupRun(table, truth, own, specs | others[0], watches | others[1], values)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    return Pool(monkeypatch)


def fit(**changes: Any) -> Fit:
    return replace(Fit(ROWS, VAL, LossSpec(), None, seed=2, epochs=6), **changes)


def padded(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same with zeros up to eight columns."""
    more = -len(bias) % 8
    return np.pad(kernel, ((0, 0), (0, more))), np.pad(bias, (0, more))


def starts(run: GroupRun) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    group: Any = run.group
    return [layer.parts for layer in group.layers]


def same(found: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_array_equal(one, other)


def test_linear_heads_start_from_their_seeds_with_the_bias_of_their_loss(pool: Pool) -> None:
    run = pool.run(fit(), fit(seed=5, loss=LossSpec("sigmoid", bias=-1.5, link="sigmoid")))
    assert set(run.watches) == set(run.specs) == {3, 4}
    [[one, other]] = starts(run)
    same(one, padded(initial_kernel(2, D, K), np.zeros(K, np.float32)))
    same(other, padded(initial_kernel(5, D, K), np.full(K, -1.5, np.float32)))
    spec = pool.made[0].spec
    assert (spec.width, spec.optimizer, spec.momentum) == (D, "sgd", 0.7)
    assert spec.heads == tuple(run.specs.values())


def test_hidden_layers_and_auxiliary_targets_have_kernels_of_their_own(pool: Pool) -> None:
    beside = Auxiliary(np.zeros((len(ROWS), 2), np.int32), (2, 3), 1.0, 0.5)
    run = pool.run(fit(units=10, auxiliary=beside, loss=LossSpec("sigmoid", bias=-1.5, link="sigmoid")))
    [first], [last], [side] = starts(run)
    same(first, padded(initial_kernel(2, D, 10), np.zeros(10, np.float32)))
    same(last, padded(initial_kernel(2, 10, K, 1), np.full(K, -1.5, np.float32)))
    same(side, padded(side_kernel(2, 10, (2, 3)), np.zeros(5, np.float32)))


def test_cosines_have_no_bias_and_peers_a_start_of_their_own(pool: Pool) -> None:
    cosine = LossSpec("sigmoid", bias=-1.5, link="sigmoid", scale=4.0)
    [[one]] = starts(pool.run(fit(loss=cosine)))
    same(one, padded(initial_kernel(2, D, K), np.zeros(K, np.float32)))
    pair = fit(loss=LossSpec("co_teaching", {"forget": 0.2, "gradual": 2.0}), units=5)
    run = pool.run(pair)
    assert run.specs[3].heads == 2
    [first], [last] = starts(run)
    for layer, (inputs, width, found) in enumerate(((D, 5, first), (5, K, last))):
        parts = [
            padded(initial_kernel(2, inputs, width, PEER * peer + layer), np.zeros(width, np.float32))
            for peer in (0, 1)
        ]
        same(found, tuple(np.concatenate(one, axis=-1) for one in zip(*parts, strict=True)))


@pytest.mark.parametrize("known", [{"path": (0.1, 0.01)}, {"decays": (0.1,) * 6}], ids=["path", "decays"])
def test_linear_heads_on_a_path_of_decays_start_at_zero(pool: Pool, known: dict[str, Any]) -> None:
    [[zero, plain]] = starts(pool.run(fit(**known), fit()))
    same(zero, padded(np.zeros((D, K), np.float32), np.zeros(K, np.float32)))
    assert plain[0].any()
    others = (
        fit(units=5, **known),
        fit(loss=LossSpec(scale=4.0), **known),
        fit(loss=LossSpec("co_teaching", {"forget": 0.2, "gradual": 2.0}), **known),
    )
    for other in others:
        assert starts(pool.run(other))[0][0][0].any(), other


def test_a_loss_with_a_memory_begins_with_an_empty_one(pool: Pool) -> None:
    run = pool.run(fit(loss=LossSpec("elr", {"lam": 3.0, "beta": 0.7})), fit())
    one, other = pool.made[0].memories
    assert other is None and one is not None and len(run.fits) == 2
    same((one.value,), (np.zeros((len(ROWS), K), np.float32),))


def test_an_epoch_trains_on_all_rows_in_its_order_and_scores_validation(pool: Pool) -> None:
    run = pool.run(fit(), fit(loss=LossSpec("focal", {"gamma": 2.0, "alpha": 1.0})))
    lines = run.epoch(3, {3: run.watches[3]})
    [group] = pool.made
    assert group.begun == [([0.1, 0.0], [0.01, 0.0], 8)], "one that has stopped has no rate"
    [(features, numbers, rows)] = group.trained
    order = epoch_order(np.arange(len(ROWS)), 2, 3)
    np.testing.assert_array_equal(features, TABLE[ROWS[order]])
    for own in rows:
        np.testing.assert_array_equal(own["labels"], TRUTH[ROWS[order]])
    [(validated, again, labels)] = group.validated
    np.testing.assert_array_equal(validated, TABLE[VAL])
    np.testing.assert_array_equal(labels, TRUTH[VAL])
    assert again is numbers and len(numbers) == 2
    assert lines == {3: (0.5, 1.5, 1.0), 4: (1.0, 3.0, 0.5)}


def test_heads_share_training_rows_where_these_are_equal(pool: Pool) -> None:
    """Labels, factors, auxiliary labels and the places of a memory make rows of their own."""
    factors = np.linspace(0, 1, len(ROWS)).astype(np.float32)
    elr = LossSpec("elr", {"lam": 3.0, "beta": 0.7})
    fits = (fit(), fit(row_weights=factors), fit(seed=2), fit(loss=elr), fit(row_weights=factors))
    run = pool.run(*fits)
    assert pool.made[0].spec.rows == (0, 1, 0, 2, 1)
    run.epoch(1, run.watches)
    order = epoch_order(np.arange(len(ROWS)), 2, 1)
    [(_, numbers, rows)] = pool.made[0].trained
    assert len(numbers) == 5 and ["places" in one for one in rows] == [False, False, True]
    np.testing.assert_array_equal(rows[0]["shares"], np.ones(len(ROWS)))
    np.testing.assert_array_equal(rows[1]["shares"], factors[order])
    np.testing.assert_array_equal(rows[2]["places"], order)
    beside = [Auxiliary(np.full((len(ROWS), 1), value, np.int32), (2,), 1.0, 0.5) for value in (0, 1)]
    pool.run(*(fit(units=2, auxiliary=one) for one in beside))
    assert list(pool.made[-1].spec.rows) == [0, 1]
    bce, truth = LossSpec("bce", link="sigmoid"), np.zeros((N, 2), np.float32)
    filled = [np.full((len(ROWS), 2), value, np.float32) for value in (0.2, 0.7)]
    pool.run(*(fit(loss=bce, targets=one) for one in (filled[0], None, filled[1], filled[0])), truth=truth)
    assert list(pool.made[-1].spec.rows) == [0, 1, 2, 0]


def test_large_tables_are_read_in_blocks_of_whole_minibatches(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array is read row by row; a tensor is handed over whole."""

    class Tensor:
        shape = TABLE.shape

        def __getitem__(self, at: np.ndarray) -> np.ndarray:
            found: np.ndarray = TABLE[at]
            return found

    order = epoch_order(np.arange(len(ROWS)), 2, 1)
    for size, blocks in ((0, [8, 8, 8, 6]), (2 * 8 * D * 4, [16, 14]), (3 * 8 * D * 4 - 1, [16, 14])):
        for table in (TABLE, Tensor()):
            monkeypatch.setattr(group_run, "BLOCK", size)
            run = pool.run(fit(), table=table)
            lines = run.epoch(1, run.watches)
            trained = pool.made[-1].trained
            assert [len(features) for features, _, _ in trained] == blocks
            np.testing.assert_array_equal(np.concatenate([one for one, _, _ in trained]), TABLE[ROWS[order]])
            labels = np.concatenate([rows[0]["labels"] for _, _, rows in trained])
            np.testing.assert_array_equal(labels, TRUTH[ROWS[order]])
            assert lines[3][0] == 0.5


def test_validation_is_scored_in_parts(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_run, "VALIDATED", 6)
    run = pool.run(fit())
    assert run.epoch(1, run.watches) == {3: (0.5, 1.5, 1.0)}
    assert [len(labels) for _, _, labels in pool.made[0].validated] == [6, 6, 2]
    np.testing.assert_array_equal(np.concatenate([x for x, _, _ in pool.made[0].validated]), TABLE[VAL])
    without = pool.run(fit(val_rows=VAL[:0]), fit(val_rows=VAL[:0], loss=LossSpec("focal")))
    lines = without.epoch(1, without.watches)
    assert [line[0] for line in lines.values()] == [0.5, 1.0]
    assert all(np.isnan(number) for line in lines.values() for number in line[1:])
    assert all(len(line) == 3 for line in lines.values())


def test_each_head_has_the_score_it_stops_by(pool: Pool) -> None:
    truth = (np.arange(N)[:, None] % np.arange(2, 6) == 0).astype(np.float32)
    spec = LossSpec("bce", link="sigmoid")
    run = pool.run(fit(loss=spec, stop_by="f1"), fit(loss=spec, stop_by="auc"), truth=truth)
    scores = np.random.default_rng(1).normal(size=(len(VAL), K)).astype(np.float32)
    group: Any = run.group
    group.validate = lambda table, at, numbers, labels: (np.ones((2, 2)), [scores, scores])
    lines = run.epoch(1, run.watches)
    for number, name in ((3, "f1"), (4, "auc")):
        assert lines[number][2] == SCORES[name](scores, truth[VAL])
    assert lines[3][2] != lines[4][2]


def test_views_and_mixtures_are_those_of_the_epoch(pool: Pool) -> None:
    views = np.stack([ROWS, ROWS[::-1]])
    run = pool.run(fit(views=views))
    run.epoch(4, run.watches)
    drawn = epoch_views(len(ROWS), 2, 2, 4)
    order = epoch_order(np.arange(len(ROWS)), 2, 4)
    [(features, _, _)] = pool.made[0].trained
    np.testing.assert_array_equal(features, TABLE[views[drawn, np.arange(len(ROWS))]][order])


def test_mixed_rows_have_their_partners_block_by_block(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_run, "BLOCK", 2 * 8 * D * 4)
    mixing, may = Mixing("mixup", 0.4), np.arange(len(ROWS)) % 3 > 0
    run = pool.run(fit(mixing=mixing, mixed=may))
    run.epoch(4, run.watches)
    order = epoch_order(np.arange(len(ROWS)), 2, 4)
    mix = epoch_mix(mixing, order, 8, 2, 4, may)
    rows = [rows[0] for _, _, rows in pool.made[0].trained]
    assert len(rows) == 2 and mix.partners is not None
    for name, wanted in (("kept", mix.shares), ("partners", mix.partners), ("labels", TRUTH[ROWS[order]])):
        np.testing.assert_array_equal(np.concatenate([one[name] for one in rows]), wanted)


@pytest.mark.parametrize("units", [0, 1, 4])
def test_auxiliary_labels_are_those_of_heads_with_a_hidden_layer(pool: Pool, units: int) -> None:
    beside = Auxiliary(np.arange(2 * len(ROWS), dtype=np.int32).reshape(-1, 2), (2, 3), 1.0, 0.5)
    run = pool.run(fit(units=units, auxiliary=beside))
    run.epoch(1, run.watches)
    [(_, _, [rows])] = pool.made[0].trained
    assert ("aside" in rows) == (units > 0)


def test_numbers_are_made_anew_where_an_epoch_changes_them(pool: Pool) -> None:
    """Class weights begin after the deferred epochs; the numbers of other heads stay."""
    weights = np.array([4, 1, 1, 2], np.float32)
    run = pool.run(
        fit(weights=weights, deferred=2), fit(), fit(loss=LossSpec("elr", {"lam": 3.0, "beta": 0.7}))
    )
    every = [run._numbers(3, number) for number in (1, 2, 3, 4)]
    assert every[0] is every[1] and every[2] is every[3]
    np.testing.assert_array_equal(every[0]["weights"], np.ones(K))
    np.testing.assert_array_equal(every[3]["weights"], weights)
    plain = [run._numbers(4, number) for number in (1, 5)]
    assert plain[0] is plain[1] and run._numbers(3, 4) is every[3]
    assert {index for index, _ in run._made} == {3, 4} and len(run._made) == 2
    assert run.specs[5].by_epoch == ("epoch" in run._numbers(5, 1))


def test_numbers_of_a_loss_that_changes_by_epoch(pool: Pool) -> None:
    run = pool.run(fit(loss=LossSpec("co_teaching", {"forget": 0.2, "gradual": 2.0})))
    assert run.specs[3].by_epoch
    one, two = run._numbers(3, 1), run._numbers(3, 2)
    assert float(one["easy"]) != float(two["easy"]) and len(run._made) == 1


def test_the_best_epoch_is_kept_without_padding(pool: Pool) -> None:
    run = pool.run(fit(), fit(seed=5))
    [parts] = starts(run)
    run.keep([4])
    assert set(run.best) == {4}
    head, hidden = run.best[4]
    same((head.kernel, head.bias), (initial_kernel(5, D, K), np.zeros(K, np.float32)))
    assert hidden is None
    parts[1][0][:] = 7
    # It is a copy.
    np.testing.assert_array_equal(head.kernel, initial_kernel(5, D, K))


def test_hidden_layers_are_kept_below_their_heads(pool: Pool) -> None:
    beside = Auxiliary(np.zeros((len(ROWS), 2), np.int32), (2, 3), 1.0, 0.5)
    run = pool.run(fit(units=10, auxiliary=beside))
    run.keep([3])
    head, hidden = run.best[3]
    assert isinstance(hidden, Hidden)
    same((hidden.kernel, hidden.bias), (initial_kernel(2, D, 10), np.zeros(10, np.float32)))
    same((head.kernel, head.bias), (initial_kernel(2, 10, K, 1), np.zeros(K, np.float32)))


def test_cosines_are_kept_as_a_linear_head_of_unit_columns(pool: Pool) -> None:
    run = pool.run(fit(loss=LossSpec(scale=4.0)))
    starts(run)[0][0][1][:] = 3.0
    starts(run)[0][0][0][:, 2] = 0.0
    run.keep([3])
    kernel = initial_kernel(2, D, K)
    kernel[:, 2] = 0.0
    lengths = np.sqrt(np.maximum(np.square(kernel).sum(axis=0), np.float32(TINY)))
    head, _ = run.best[3]
    same((head.kernel, head.bias), (kernel / lengths * np.float32(4), np.zeros(K, np.float32)))


def test_of_two_heads_that_teach_each_other_the_mean_is_kept(pool: Pool) -> None:
    run = pool.run(fit(loss=LossSpec("co_teaching", {"forget": 0.2, "gradual": 2.0})))
    run.keep([3])
    heads = [LinearHead(initial_kernel(2, D, K, PEER * peer), np.zeros(K, np.float32)) for peer in (0, 1)]
    wanted, _ = mean_head((heads[0], None), (heads[1], None))
    found, _ = run.best[3]
    same((found.kernel, found.bias), (wanted.kernel, wanted.bias))


def test_a_group_is_given_back_once(pool: Pool) -> None:
    run = pool.run(fit())
    assert not pool.back
    run.close()
    assert pool.back == pool.made


def test_heads_that_have_stopped_are_dropped_where_that_saves_more_than_it_costs(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head that has stopped: 5 epochs x 30 rows x 3 features x 8 columns x 4 operations remain."""
    operations = 4.0 * 5 * len(ROWS) * D * 8
    for worth, dropped in ((operations, True), (operations + 1, False)):
        monkeypatch.setattr(group_run, "WORTH", worth)
        run = pool.run(fit(), fit(seed=5), fit(loss=LossSpec("focal"), seed=7))
        before: Any = run.group
        [parts] = starts(run)
        going = {number: run.watches[number] for number in (3, 5)}
        for watch in going.values():
            watch.record(1.0, 1.0, 0.5)
        run.epoch(2, going)
        assert set(run.fits) == set(run.specs) == ({3, 5} if dropped else {3, 4, 5})
        assert (run.group is not before) == dropped and (before in pool.back) == dropped
        if dropped:
            assert pool.made[-1].spec.heads == tuple(run.specs.values()) and len(run.specs) == 2
            same(pool.made[-1].layers[0].parts[1], parts[2])
            assert pool.made[-1].restored[1] == [None, None] and not before.trained
    # All stay while all train.
    monkeypatch.setattr(group_run, "WORTH", 1.0)
    run = pool.run(fit(), fit(seed=5))
    run.epoch(1, run.watches)
    assert len(run.fits) == 2


def test_a_fit_that_may_stop_early_is_taken_to_go_on_for_as_long_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two epochs of twenty: two more where it may stop early, eighteen where it may not."""
    for patience, epochs in ((3, 2), (0, 18)):
        operations = 4.0 * epochs * len(ROWS) * D * 8
        for worth, dropped in ((operations, True), (operations + 1, False)):
            monkeypatch.setattr(group_run, "WORTH", worth)
            run = pool.run(fit(epochs=20), fit(seed=5, epochs=20), patience=patience)
            watch = run.watches[3]
            watch.history += [Epoch(1, 1.0, 1.0, 0.5, 0.1), Epoch(2, 1.0, 1.0, 0.5, 0.1)]
            run.epoch(3, {3: watch})
            assert (len(run.fits) == 1) == dropped, (patience, worth)
