"""What a stage makes of its trainer's heads: choices on validation, a refit, test once; heads are made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.core.cell import Cell, DataId
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods.apply import TrainRows, apply_posthoc, fit_posthoc, resolve
from bench.methods.fallback import TwoHeads, two_heads
from bench.methods.grammar import parse_method
from bench.runs.commit import Answer
from bench.runs.orders import Fitted, Order
from bench.runs.train_stage import train_cells, validate_cells
from bench.store.head_file import SavedHead
from bench.training.auxiliary import Targets
from bench.training.fits import Trained
from bench.training.linear_head import LinearHead, link

N, D, K = 60, 4, 3
RNG = np.random.default_rng(0)
TRUTH = RNG.permutation(np.repeat(np.arange(K, dtype=np.int32), (36, 15, 9)))
FEATURES: np.ndarray = (RNG.normal(size=(N, D)) + RNG.normal(size=(K, D))[TRUTH]).astype(np.float32)


def cell(method: str = "none", seed: int = 0, refit: bool = False) -> Cell:
    protocol = {**defaults(), "refit": refit}
    own = "fashion", 1, "multiclass", "top20", "frozen", "hog", "none", parse_method(method), seed
    return Cell(*own, tuple(sorted(protocol.items())), DataId("drawn-tiny", "f" * 64))


def split_of(seed: int, calibration: Sequence[str] = ()) -> StageSplit:
    """Return a split of its own for a seed: 30 rows to train on, 10 each of validation, test and the step."""
    rows = np.random.default_rng(seed).permutation(N)
    train, val, test, other = (np.sort(part) for part in np.split(rows, (30, 40, 50)))
    parts = dict.fromkeys(calibration, other)
    return StageSplit(tuple("abc"), TRUTH, train, val, test, 0, None, calibration=parts)


def head_on(rows: np.ndarray, link: str = "softmax") -> LinearHead:
    """Return the head that the stub trains on these rows: the mean of each class, and its share."""
    shares = np.bincount(TRUTH[rows], minlength=K) + 1
    means = (
        np.stack([FEATURES[rows][TRUTH[rows] == label].sum(axis=0) for label in range(K)], axis=1) / shares
    )
    return LinearHead(means.astype(np.float32), np.log(shares).astype(np.float32), link=link)


class Stub:
    """A trainer whose heads follow from their rows at once.

    orders, fits: what it was asked for, and in how many calls. refuses: reasons by method and whether it is
    trained again. best: the best epoch, by seed.
    """

    truth = TRUTH

    def __init__(self, refuses: dict[tuple[str, bool], str] | None = None, loses: int = 0) -> None:
        self.refuses, self.loses = refuses or {}, loses
        self.orders: list[Order] = []
        self.fits = 0
        self.embedded: list[np.ndarray] = []

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        self.fits += 1
        for order in orders[: len(orders) - self.loses]:
            self.orders.append(order)
            again = order.epochs is not None
            if why := self.refuses.get((order.method.text, again)):
                made = resolve(order.method, TRUTH[order.rows], FEATURES[order.rows], K, order.seed)
                yield Fitted(Trained(None, 0, failed=why), self.embed, made)
            else:
                yield self.fitted(order)

    def fitted(self, order: Order) -> Fitted:
        made = resolve(order.method, TRUTH[order.rows], FEATURES[order.rows], K, order.seed)
        trained = Trained(head_on(order.rows), 3 + order.seed)
        mean, scale = np.full(D, 0.5, np.float32), np.full(D, 2.0, np.float32)
        net = (np.full(2, order.seed, np.float32),)
        return Fitted(trained, self.embed, made, mean, scale, net=lambda: net)

    def embed(self, rows: np.ndarray) -> np.ndarray:
        self.embedded.append(rows)
        found: np.ndarray = FEATURES[rows]
        return found


def answers(trainer: Any, cells: Sequence[Cell], **options: Any) -> dict[str, Answer]:
    """Train cells, each seed on its own split; return their answers by method and seed."""
    splits = options.pop("splits", {one.seed: split_of(one.seed) for one in cells})
    found = {f"{one.method.text} {one.seed}": a for one, a in train_cells(trainer, cells, splits, **options)}
    assert len(found) == len(cells)
    return found


def rows_of(rows: np.ndarray) -> TrainRows:
    return lambda: (FEATURES[rows], TRUTH[rows])


def same(one: np.ndarray | None, other: np.ndarray) -> None:
    assert one is not None
    np.testing.assert_array_equal(one, other)


def test_without_a_refit_one_head_is_scored_on_validation_and_test() -> None:
    trainer, cells = Stub(), [cell(seed=0), cell(seed=1)]
    found = answers(trainer, cells)
    assert list(found) == ["none 0", "none 1"] and trainer.fits == 2 and len(trainer.orders) == 2
    for seed, (one, order) in enumerate(zip(found.values(), trainer.orders, strict=True)):
        split = split_of(seed)
        head = head_on(split.train)
        same(one.val, link("softmax", head.logits(FEATURES[split.val])))
        same(one.test, link("softmax", head.logits(FEATURES[split.test])))
        assert one.model is None and one.reason is None and not one.calibration and not one.choices
        assert one.trained.best_epoch == 3 + seed and one.cuts is None and one.val_cuts is None
        same(order.rows, split.train)
        same(order.val_rows, split.val)
        assert (order.seed, order.name, order.start) == (seed, cells[seed].id, None)
        assert order.setting == cells[seed].setting


def test_a_refit_trains_on_both_and_only_the_test_scores_are_its_own() -> None:
    trainer = Stub()
    found = answers(trainer, [cell(seed=0, refit=True), cell(seed=1), cell("focal", 1, refit=True)])
    # The cell that is not trained again is ready first.
    assert list(found) == ["none 1", "none 0", "focal 1"]
    for name in ("none 0", "focal 1"):
        split, one = split_of(int(name[-1])), found[name]
        both = np.sort(np.concatenate([split.train, split.val]))
        same(one.val, link("softmax", head_on(split.train).logits(FEATURES[split.val])))
        same(one.test, link("softmax", head_on(both).logits(FEATURES[split.test])))
    again = trainer.orders[3:]
    assert [(order.method.text, order.epochs) for order in again] == [("none", 3), ("focal", 4)]
    assert all(len(order.rows) == 40 and not len(order.val_rows) for order in again)


def test_test_rows_are_seen_once_after_every_choice() -> None:
    trainer, split = Stub(), split_of(0)
    answers(trainer, [cell("tau_norm", refit=True)])
    scored = [rows for rows in trainer.embedded if np.intersect1d(rows, split.test).size]
    assert len(scored) == 1 and scored[0] is trainer.embedded[-1]


def test_choices_on_validation_hold_for_the_second_head() -> None:
    method, split = parse_method("tau_norm"), split_of(0)
    one = answers(Stub(), [cell("tau_norm", refit=True)])["tau_norm 0"]
    made = resolve(method, TRUTH[split.train], None, K, 0)
    nothing: Any = None
    chosen, choices = fit_posthoc(
        method, head_on(split.train), FEATURES[split.val], TRUTH[split.val], made.seen, nothing
    )
    both = np.sort(np.concatenate([split.train, split.val]))
    again, _ = apply_posthoc(method, head_on(both), choices, np.bincount(TRUTH[both]), nothing)
    assert one.choices == choices and "tau" in one.choices["tau_norm"]
    same(one.val, link("softmax", chosen.logits(FEATURES[split.val])))
    same(one.test, link("softmax", again.logits(FEATURES[split.test])))


def test_a_head_made_anew_sees_each_real_training_row_once() -> None:
    """Neither copies nor synthetic rows: with or without them the means of the classes are the same."""
    texts = ("ncm", "oversample+ncm", "smote(k=2)+ncm")
    for refit in (False, True):
        found = answers(Stub(), [cell(text, refit=refit) for text in texts])
        split = split_of(0)
        rows = np.sort(np.concatenate([split.train, split.val])) if refit else split.train
        head, _ = fit_posthoc(
            parse_method("ncm"),
            head_on(rows),
            FEATURES[split.val],
            TRUTH[split.val],
            np.bincount(TRUTH[rows]),
            rows_of(rows),
        )
        for text in texts:
            test = found[f"{text} 0"].test
            assert test is not None
            np.testing.assert_allclose(test, link("softmax", head.logits(FEATURES[split.test])), rtol=1e-5)


def test_a_calibration_part_is_scored_by_the_head_that_test_is_scored_by() -> None:
    text = "conformal(alpha=0.5)"
    splits = {0: split_of(0, ("conformal",))}
    for refit in (False, True):
        trainer = Stub()
        one = answers(trainer, [cell(text, refit=refit)], splits=splits)[f"{text} 0"]
        split = splits[0]
        rows = np.sort(np.concatenate([split.train, split.val])) if refit else split.train
        part = split.calibration["conformal"]
        scores = link("softmax", head_on(rows).logits(FEATURES[part]))
        assert list(one.calibration) == ["conformal"]
        same(one.calibration["conformal"], scores)
        first = fit_posthoc(
            parse_method(text),
            head_on(split.train),
            FEATURES[split.val],
            TRUTH[split.val],
            np.bincount(TRUTH[split.train]),
            rows_of(part[:0]),
            {"conformal": rows_of(part)},
        )[0]
        last = apply_posthoc(
            parse_method(text),
            head_on(rows),
            {},
            np.bincount(TRUTH[rows]),
            rows_of(part[:0]),
            {"conformal": rows_of(part)},
        )[0]
        assert first.cuts is not None and last.cuts is not None
        same(one.val_cuts, first.cuts)
        same(one.cuts, last.cuts)
        assert not any(np.intersect1d(order.rows, part).size for order in trainer.orders)


def test_what_cannot_be_trained_fails_alone_and_in_its_place() -> None:
    trainer = Stub({("focal", False): "loss became NaN", ("class_weight", True): "weights became NaN"})
    texts = ("none", "focal", "class_weight", "logit_adjust")
    found = answers(trainer, [cell(text, refit=True) for text in texts])
    assert found["focal 0"].reason == "loss became NaN" and found["focal 0"].val is None
    assert (
        found["class_weight 0"].reason == "refit: weights became NaN" and found["class_weight 0"].test is None
    )
    assert [text for text in texts if found[f"{text} 0"].test is not None] == ["none", "logit_adjust"]
    unresolved = Stub()
    unresolved.fitted = lambda order: Fitted.failed("no rows are left")  # type: ignore[method-assign]
    assert answers(unresolved, [cell()])["none 0"].reason == "no rows are left"


def test_a_second_fit_whose_method_cannot_be_applied_says_so() -> None:
    trainer = Stub()
    plain = trainer.fitted
    trainer.fitted = lambda order: plain(order) if order.epochs is None else Fitted.failed("none left")  # type: ignore[method-assign]
    assert answers(trainer, [cell(refit=True)])["none 0"].reason == "refit: none left"


def test_a_choice_that_needs_validation_rows_fails_without_them() -> None:
    split = replace(split_of(0), val=np.empty(0, np.int64))
    found = answers(Stub(), [cell("tau_norm"), cell()], splits={0: split})
    assert "validation" in str(found["tau_norm 0"].reason) and found["none 0"].reason is None


def test_the_weight_decay_of_the_best_epoch_is_recorded() -> None:
    class Decaying(Stub):
        def fitted(self, order: Order) -> Fitted:
            fitted = super().fitted(order)
            return replace(fitted, trained=replace(fitted.trained, decays=(0.1, 0.03, 0.01)))

    assert answers(Decaying(), [cell()])["none 0"].choices == {"weight_decay": 0.01}


class Pair(Stub):
    """Two heads, on the first two features and on the others, of which each has best epochs of its own."""

    decays: tuple[tuple[float, ...], ...] = ((), ())

    def fitted(self, order: Order) -> Fitted:
        fitted = super().fitted(order)
        whole = head_on(order.rows)
        one, other = (LinearHead(whole.kernel[part], whole.bias) for part in (slice(2), slice(2, None)))
        parts = tuple(
            Trained(head, 2 + place, decays=self.decays[place]) for place, head in enumerate((one, other))
        )
        both = replace(fitted.trained, head=two_heads(one, other, "softmax"), decays=self.decays[0])
        return replace(fitted, trained=both, parts=parts)


def test_of_two_heads_the_record_says_how_often_the_second_answers() -> None:
    text, split = "fallback", split_of(0)
    for refit in (False, True):
        trainer = Pair()
        one = answers(trainer, [cell(text, refit=refit)])[f"{text} 0"]
        found = one.choices[text]
        assert found["best_epochs"] == [2, 3] and "weight_decay" not in found
        rows = np.sort(np.concatenate([split.train, split.val])) if refit else split.train
        whole = head_on(rows)
        head = TwoHeads(
            whole.kernel, whole.bias, images=2, title_bias=whole.bias, threshold=found["threshold"]
        )
        same(one.test, link("softmax", head.logits(FEATURES[split.test])))
        assert found["fell_back_test"] == head.falls_back(FEATURES[split.test]).mean()
        assert {"fell_back", "val_top1"} <= set(found)
        if refit:
            assert [part[0] for part in trainer.orders[1].parts] == [2, 3]
    decaying = Pair()
    decaying.decays = (0.1, 0.05), (0.2, 0.02, 0.01)
    choices = answers(decaying, [cell(text)])[f"{text} 0"].choices
    assert choices["weight_decay"] == 0.05 and choices[text]["weight_decay"] == [0.05, 0.01]


def test_a_model_that_is_kept_scores_test_images_as_the_cell_did() -> None:
    split = split_of(1)
    one = answers(Stub(), [cell("conv(4)+tau_norm(tau=0.5)", 1)], keep=(8, 6))
    model = next(iter(one.values())).model
    assert isinstance(model, SavedHead)
    assert (model.size, model.classes, model.link, model.filters) == ((8, 6), tuple("abc"), "softmax", (4,))
    assert model.mean is not None and model.scale is not None and not model.unit
    assert (model.mean[0], model.scale[0], model.net[0][0]) == (0.5, 2.0, 1.0)
    same(next(iter(one.values())).test, link("softmax", FEATURES[split.test] @ model.kernel + model.bias))


def test_starts_and_auxiliary_columns_reach_the_orders() -> None:
    first, second = cell(), cell("focal")
    start, targets = (np.ones(3),), Targets((), np.zeros((N, 0), np.int32), ())
    trainer = Stub()
    answers(trainer, [first, second], starts={first.id: start}, targets=targets)
    assert [order.start for order in trainer.orders] == [start, None]
    assert all(order.targets is targets for order in trainer.orders)


def test_trials_are_scored_on_every_split_and_never_on_test() -> None:
    trainer, splits = Stub({("focal", False): "loss became NaN"}), [split_of(seed) for seed in (3, 4)]
    work = [(cell(text, refit=True), split) for text in ("none", "focal", "tau_norm") for split in splits]
    found = list(validate_cells(trainer, work))
    assert trainer.fits == 1 and len(found) == 6
    assert [one.reason for one in found[2:4]] == ["loss became NaN"] * 2
    for one, split in zip(found, splits, strict=False):
        same(one.val, link("softmax", head_on(split.train).logits(FEATURES[split.val])))
        assert one.test is None
    assert all("tau" in one.choices["tau_norm"] for one in found[4:])
    test = np.intersect1d(splits[0].test, splits[1].test)
    assert not any(np.isin(rows, test).any() for rows in trainer.embedded)


@pytest.mark.parametrize("refit", [False, True])
def test_a_trainer_that_leaves_an_order_out_is_no_missing_cell(refit: bool) -> None:
    trainer = Stub(loses=1)
    with pytest.raises(ValueError, match="shorter"):
        answers(trainer, [cell(refit=refit), cell("focal", refit=refit)])
    with pytest.raises(ValueError, match="shorter"):
        list(validate_cells(trainer, [(cell(), split_of(0)), (cell("focal"), split_of(0))]))
