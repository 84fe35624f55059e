"""What a stage makes of its trainer's heads: choices on validation, a refit, test once; heads are made up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from bench.core.cell import Cell, DataId
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods.apply import Resolved, TrainRows, apply_posthoc, fit_posthoc, resolve
from bench.methods.fallback import TwoHeads, two_heads
from bench.methods.grammar import parse_method
from bench.runs.choices import Choice, choose
from bench.runs.label_trainer import LabelTrainer
from bench.runs.train_stage import choose_cells
from bench.store.head_file import SavedHead
from bench.training.auxiliary import Targets
from bench.training.fits import Trained
from bench.training.linear_head import LinearHead, link
from tests.cells import trained_as_run

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


Made = tuple[Trained, Resolved | None]


class Stub(LabelTrainer):
    """A trainer whose heads follow from their rows at once.

    asked, fits: what it was asked for, and in how many calls. refuses: reasons by method and whether it is
    trained again. loses: number of cells of a call that it leaves out. best: the best epoch, by seed.
    """

    def __init__(self, refuses: dict[tuple[str, bool], str] | None = None, loses: int = 0) -> None:
        super().__init__(split_of(0), defaults(), lambda *_: None)
        self.refuses, self.loses = refuses or {}, loses
        self.asked: list[tuple[Cell, StageSplit, Trained | None]] = []
        self.fits = 0
        self.embedded: list[np.ndarray] = []

    def fit(self, work: Sequence[tuple[Cell, StageSplit]], first: Sequence[Trained] = ()) -> Iterator[Made]:
        self.fits += 1
        repeated: Sequence[Trained | None] = first or [None] * len(work)
        asked = [(*one, before) for one, before in zip(work, repeated, strict=True)]
        for one in asked[: len(work) - self.loses]:
            self.asked.append(one)
            if why := self.refuses.get((one[0].method.text, one[2] is not None)):
                yield Trained(None, 0, failed=why), None
            else:
                yield self.fitted(*one)

    def fitted(self, cell: Cell, split: StageSplit, first: Trained | None) -> Made:
        made = resolve(cell.method, TRUTH[split.train], FEATURES[split.train], K, cell.seed)
        net = (np.full(2, cell.seed, np.float32),)
        head = head_on(split.train)
        return Trained(head, 3 + cell.seed, embed=self.embed, net=lambda: net), made

    def scaling(self, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
        return np.full(D, 0.5, np.float32), np.full(D, 2.0, np.float32)

    def embed(self, rows: np.ndarray) -> np.ndarray:
        self.embedded.append(rows)
        found: np.ndarray = FEATURES[rows]
        return found


def answers(
    trainer: Stub, cells: Sequence[Cell], splits: Mapping[int, StageSplit] | None = None
) -> dict[str, Any]:
    """Train cells, each seed on its own split; return their scores by method and seed, or the reason."""
    work = [(one, (splits or {one.seed: split_of(one.seed)})[one.seed]) for one in cells]
    found = {f"{one.method.text} {one.seed}": answer for one, answer in trained_as_run(trainer, work, (8, 6))}
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
    assert list(found) == ["none 0", "none 1"] and trainer.fits == 1
    for seed, (one, asked) in enumerate(zip(found.values(), trainer.asked, strict=True)):
        split = split_of(seed)
        head = head_on(split.train)
        same(one.val, link("softmax", head.logits(FEATURES[split.val])))
        same(one.test, link("softmax", head.logits(FEATURES[split.test])))
        assert not one.calibration and not one.choices
        assert one.trained.best_epoch == 3 + seed and one.head.cuts is None and one.choice.head.cuts is None
        assert asked[0] is cells[seed] and asked[2] is None
        same(asked[1].train, split.train)
        same(asked[1].val, split.val)


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
    again = [(cell.method.text, split, first) for cell, split, first in trainer.asked[3:]]
    assert [(text, first.best_epoch) for text, _, first in again if first] == [("none", 3), ("focal", 4)]
    assert all(len(split.train) == 40 and not len(split.val) for _, split, _ in again)
    assert all(first is not None and first.embed is None for *_, first in again), "nets are not held"


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
        same(one.choice.head.cuts, first.cuts)
        same(one.head.cuts, last.cuts)
        assert not any(np.intersect1d(asked.train, part).size for _, asked, _ in trainer.asked)


def test_what_cannot_be_trained_fails_alone_and_in_its_place() -> None:
    trainer = Stub({("focal", False): "loss became NaN", ("class_weight", True): "weights became NaN"})
    texts = ("none", "focal", "class_weight", "logit_adjust")
    found = answers(trainer, [cell(text, refit=True) for text in texts])
    assert found["focal 0"] == "loss became NaN"
    assert found["class_weight 0"] == "refit: weights became NaN"
    assert [text for text in texts if not isinstance(found[f"{text} 0"], str)] == ["none", "logit_adjust"]


def test_a_choice_that_needs_validation_rows_fails_without_them() -> None:
    split = replace(split_of(0), val=np.empty(0, np.int64))
    found = answers(Stub(), [cell("tau_norm"), cell()], splits={0: split})
    assert "validation" in found["tau_norm 0"] and not isinstance(found["none 0"], str)


def test_the_weight_decay_of_the_best_epoch_is_recorded() -> None:
    class Decaying(Stub):
        def fitted(self, cell: Cell, split: StageSplit, first: Trained | None) -> Made:
            trained, made = super().fitted(cell, split, first)
            return replace(trained, decays=(0.1, 0.03, 0.01)), made

    assert answers(Decaying(), [cell()])["none 0"].choices == {"weight_decay": 0.01}


class Pair(Stub):
    """Two heads, on the first two features and on the others, of which each has best epochs of its own."""

    decays: tuple[tuple[float, ...], ...] = ((), ())

    def fitted(self, cell: Cell, split: StageSplit, first: Trained | None) -> Made:
        trained, made = super().fitted(cell, split, first)
        whole = head_on(split.train)
        one, other = (LinearHead(whole.kernel[part], whole.bias) for part in (slice(2), slice(2, None)))
        parts = tuple(
            Trained(head, 2 + place, decays=self.decays[place]) for place, head in enumerate((one, other))
        )
        both = two_heads(one, other, "softmax")
        return replace(trained, head=both, decays=self.decays[0], parts=parts), made


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
            first = trainer.asked[1][2]
            assert first is not None and [part.best_epoch for part in first.parts] == [2, 3]
    decaying = Pair()
    decaying.decays = (0.1, 0.05), (0.2, 0.02, 0.01)
    choices = answers(decaying, [cell(text)])[f"{text} 0"].choices
    assert choices["weight_decay"] == 0.05 and choices[text]["weight_decay"] == [0.05, 0.01]


def test_a_model_that_is_kept_scores_test_images_as_the_cell_did() -> None:
    split = split_of(1)
    one = answers(Stub(), [cell("conv(4)+tau_norm(tau=0.5)", 1)])
    model = next(iter(one.values())).model
    assert isinstance(model, SavedHead)
    assert (model.size, model.classes, model.link, model.filters) == ((8, 6), tuple("abc"), "softmax", (4,))
    assert model.mean is not None and model.scale is not None and not model.unit
    assert (model.mean[0], model.scale[0], model.net[0][0]) == (0.5, 2.0, 1.0)
    same(next(iter(one.values())).test, link("softmax", FEATURES[split.test] @ model.kernel + model.bias))


def test_a_fit_has_the_start_of_its_net_and_its_auxiliary_labels() -> None:
    first, second, split = cell("multitask"), cell("focal"), split_of(0)
    trainer, labels = Stub(), np.arange(N, dtype=np.int32)[:, None] % 2
    start = (np.ones(3),)
    trainer.starts, trainer.targets = {first.id: start}, Targets(("sex",), labels, (2,))
    fits = []
    for one in (first, second):
        made = resolve(one.method, TRUTH[split.train], None, K, 0)
        fits.append(trainer._fit((one, split, made, None), split.train, split.val))
    assert [fit.start for fit in fits] == [start, None] and fits[1].auxiliary is None
    assert fits[0].auxiliary is not None
    same(fits[0].auxiliary.labels, labels[split.train])


def test_trials_are_scored_on_every_split_and_never_on_test() -> None:
    trainer, splits = Stub({("focal", False): "loss became NaN"}), [split_of(seed) for seed in (3, 4)]
    work = [(cell(text, refit=True), split) for text in ("none", "focal", "tau_norm") for split in splits]
    found = [choice for *_, choice in choose_cells(trainer, work, partial(choose, trainer))]
    assert trainer.fits == 1 and len(found) == 6
    assert found[2:4] == ["loss became NaN"] * 2
    for one, split in zip(found[:2], splits, strict=True):
        assert isinstance(one, Choice)
        same(one.val, link("softmax", head_on(split.train).logits(FEATURES[split.val])))
    assert all("tau" in one.found["tau_norm"] for one in found[4:] if isinstance(one, Choice))
    test = np.intersect1d(splits[0].test, splits[1].test)
    assert not any(np.isin(rows, test).any() for rows in trainer.embedded)


def choose_none(*_: Any) -> None:
    """Choose nothing."""


@pytest.mark.parametrize("refit", [False, True])
def test_a_trainer_that_leaves_a_cell_out_is_no_missing_cell(refit: bool) -> None:
    trainer = Stub(loses=1)
    with pytest.raises(ValueError, match="shorter"):
        answers(trainer, [cell(refit=refit), cell("focal", refit=refit)])
    with pytest.raises(ValueError, match="shorter"):
        list(choose_cells(trainer, [(cell(), split_of(0)), (cell("focal"), split_of(0))], choose_none))
