"""What every registered step must do, for every kind and regime; a new step is covered by being there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from bench.core.cell import MethodSpec, Step
from bench.core.kind import KINDS, get_kind
from bench.data.augmentation import RECIPES
from bench.data.task_card import REGIMES
from bench.methods.apply import (
    Resolved,
    apply_posthoc,
    fit_posthoc,
    makes_anew,
    resolve,
    resolve_attributes,
)
from bench.methods.grammar import functions_of, needs_features, parse_method, problems_for, stage_of
from bench.methods.registry import STAGES, STEPS, Param, StepInfo
from bench.methods.shape import Shape, shape_of
from bench.testing.graph import Measured, attribute_loss, class_loss
from bench.testing.subjects import is_own, subjects
from bench.training.linear_head import LinearHead
from bench.training.losses.families import ATTRIBUTES, class_family

K, D = 5, 6
COUNTS = [9, 6, 3, 0, 1]
"""A tiny problem with an empty class and one with a single row."""

PRICES = [*map(str.strip, "99989 9"), "5000", "11", *map(str.strip, "33333 "), "2", "2", "900", "7"]
"""Of the same problem: some are not known, and some are far from what others of their class cost."""

OF_PAIRS = ("space", "match", "mining")
"""Stages whose steps `bench.kinds.verification` builds."""

BUILDERS = ("augment", "mix", "head", *OF_PAIRS)
"""Stages whose steps have no function: what they ask for is built elsewhere."""

BESIDE = {"pairs": "pair_logistic", "pair_augment": "pair_logistic"}
"""Steps that are not legal alone, and what they are tried with."""

WORDS: dict[str, dict[str, tuple[str, ...]]] = {"conv": {"filters": ("1", "64-32-16")}}
"""Values of arguments that take any word."""

WITH = {
    ("loss", "labels", "index"): {"function": "keras.losses:SparseCategoricalCrossentropy"},
}
"""Arguments that a value of another one requires, by step, argument and value."""


def _edges(info: StepInfo, param: Param) -> list[Any]:
    """Return legal values that a step has to stand: every word and both ends of its range."""
    ends = (end for end in (param.low, param.high) if end is not None)
    words = (True, False) if param.type is bool else WORDS.get(info.name, {}).get(param.name, ())
    return [*param.choices, *words, *ends]


def _spellings(info: StepInfo) -> list[str]:
    """Return the step with its defaults, and with every edge of every argument.

    What is not legal alone, as it belongs to some words of another argument, is taken with each of these.
    """
    words = [{param.name: word} for param in info.params for word in param.choices]
    texts = [_whole(info.name, info.name)]
    for param in info.params:
        for value in _edges(info, param):
            alone = _spelled(info, {param.name: value})
            beside = [_spelled(info, {**word, param.name: value}) for word in words if alone is None]
            texts += [text for text in (alone, *beside) if text is not None]
    return list(dict.fromkeys(parse_method(text).text for text in texts))


def _spelled(info: StepInfo, given: dict[str, Any]) -> str | None:
    """Return the step with some arguments, or None where they are not legal together."""
    for name, value in tuple(given.items()):
        given = given | WITH.get((info.name, name, value), {})
    args = {param.name: param.default for param in info.params} | given
    if info.check is not None and info.check(args) is not None:
        return None
    whole = {param.name for param in info.params if param.type is int}
    shown = (
        f"{name}={int(value) if name in whole and not isinstance(value, str) else value}"
        for name, value in given.items()
    )
    arguments = ",".join(shown).replace("True", "true").replace("False", "false")
    return _whole(info.name, f"{info.name}({arguments})")


def _whole(name: str, text: str) -> str:
    """Return a step's text with what it needs beside it."""
    return f"{text}+{BESIDE[name]}" if name in BESIDE else text


def _own(method: MethodSpec) -> Step:
    """Return the step that a method is about."""
    beside = {BESIDE[step.name] for step in method.steps if step.name in BESIDE}
    return next(step for step in method.steps if step.name not in beside)


INFOS = list(subjects("step", STEPS).values())
TEXTS = [text for info in INFOS for text in _spellings(info)]
by_name = pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
by_text = pytest.mark.parametrize("method", [parse_method(text) for text in TEXTS], ids=TEXTS)


def of_kind(kind: str) -> pytest.MarkDecorator:
    """Run a test with every spelling of every step that tasks of the kind can use."""
    texts = [text for info in INFOS if kind in info.kinds for text in _spellings(info)]
    return pytest.mark.parametrize("method", [parse_method(text) for text in texts], ids=texts)


def _tiny() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(K, dtype=np.int32), COUNTS)
    return y, (rng.normal(size=(len(y), D)) + y[:, None]).astype(np.float32)


def _head(seed: int = 1) -> LinearHead:
    rng = np.random.default_rng(seed)
    return LinearHead(rng.normal(size=(D, K)).astype(np.float32), rng.normal(size=K).astype(np.float32))


@by_name
def test_it_says_what_it_is(info: StepInfo) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", info.name)
    assert info.summary and "\n" not in info.summary and not info.summary.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b", info.paper), "the paper's year"
    assert info.kinds and set(info.kinds) <= set(KINDS)
    assert info.regimes and set(info.regimes) <= set(REGIMES)
    for param in info.params:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", param.name)
        assert param.help and "\n" not in param.help


@by_name
def test_defaults_are_legal_and_left_out_of_the_text(info: StepInfo) -> None:
    defaults = {param.name: param.default for param in info.params if param.default != ""}
    spelled = ",".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in defaults.items()
    )
    spec = parse_method(_whole(info.name, f"{info.name}({spelled})"))
    assert spec == parse_method(_whole(info.name, info.name))
    filled = "" if info.complete is None else spec.text.removeprefix(info.name)
    assert sorted(spec.text.split("+")) == sorted(_whole(info.name, info.name + filled).split("+"))
    assert not any(f"{name}=" in filled for name in defaults)


@by_name
def test_its_functions_exist_and_tell_their_source(info: StepInfo) -> None:
    places = {**info.run, **info.brings({param.name: param.default for param in info.params})}
    assert bool(places) == (info.stage not in BUILDERS)
    for stage, place in places.items():
        assert stage in STAGES
        module, _, name = place.partition(":")
        assert getattr(import_module(module), name).__doc__


@by_name
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("kind", [*KINDS, "no such kind"])
def test_kinds_and_regimes_are_honoured(info: StepInfo, kind: str, regime: str) -> None:
    steps_of = get_kind(kind).steps_of if kind in KINDS else kind
    for method in map(parse_method, _spellings(info)):
        problem = problems_for(method, kind, regime)
        able = regime == "frozen" or not needs_features(method)
        able = able and regime not in info.beside
        if info.unfit is not None:
            able = able and info.unfit(dict(_own(method).args), regime) is None
        assert (problem is None) == (steps_of in info.kinds and regime in info.regimes and able), method.text
        assert problem is None or problem.split()[0] in (info.name, BESIDE.get(info.name))


@by_text
def test_round_trip(method: MethodSpec) -> None:
    assert parse_method(method.text) == method
    assert stage_of(_own(method)) in functions_of(_own(method))


@by_text
def test_what_has_no_function_says_what_it_builds(method: MethodSpec) -> None:
    name, stage, shape = _own(method).name, stage_of(_own(method)), shape_of(method)
    assert (shape.units > 0 or shape.filters != () or shape.shared is not None) == (stage == "head")
    if is_own("step", name):
        assert (shape.shared is not None) == (name == "multitask")
        assert (shape.recipe is not None) == (name == "augment")
        assert shape.mixing is None or shape.mixing.way == name
    assert all(isinstance(number, int) and number > 0 for number in shape.filters)
    assert (shape.recipe is not None) == (shape.views > 0)
    assert (shape.mixing is not None) == (stage == "mix")
    if shape.mixing is not None:
        assert shape.mixing.alpha > 0 and 0 < shape.mixing.share <= 1
    if shape.recipe is not None:
        assert shape.recipe.name in RECIPES and 0 < shape.recipe.strength <= 1
    assert shape.two_heads == (STEPS[name].reads == ("pixels", "titles"))
    if stage not in BUILDERS or stage in OF_PAIRS:
        assert replace(shape, two_heads=False) == Shape()


def _check(resolved: Resolved, n: int) -> None:
    rows, synthetic, labels = resolved.resampled.rows, resolved.resampled.synthetic, resolved.resampled.labels
    assert len(rows) and rows.dtype == np.int64
    assert rows.min() >= 0 and rows.max() < n + len(synthetic)
    assert len(synthetic) == len(labels) and synthetic.dtype == np.float32 and np.isfinite(synthetic).all()
    assert ((np.array(COUNTS) > 0) == (resolved.seen > 0)).all(), "no class appears or vanishes"
    assert synthetic.shape[1] in (0, D) and labels.dtype == np.int32
    if resolved.row_weights is not None:
        assert resolved.row_weights.shape == rows.shape and resolved.row_weights.dtype == np.float32
        assert (resolved.row_weights >= 0).all() and (resolved.row_weights <= 1).all()
        assert resolved.row_weights.any()
    if resolved.weights is not None:
        assert resolved.weights.shape == (K,) and resolved.weights.dtype == np.float32
        assert np.isfinite(resolved.weights).all() and (resolved.weights >= 0).all()
        assert resolved.weights[3] == 0
    loss = resolved.loss
    assert set(loss.params) <= set(class_family(loss.family).parameters)
    assert loss.link in ("softmax", "sigmoid") and np.isfinite(loss.bias)
    assert resolved.targets is None and resolved.fills is None
    if loss.offset is not None:
        assert (
            loss.offset.shape == (K,) and loss.offset.dtype == np.float32 and np.isfinite(loss.offset).all()
        )


@of_kind("multiclass")
def test_a_tiny_problem_runs_without_nan_and_the_same_twice(method: MethodSpec) -> None:
    y, features = _tiny()
    first, again = (resolve(method, y, features, K, seed=5, prices=PRICES) for _ in range(2))
    _check(first, len(y))
    np.testing.assert_array_equal(first.resampled.rows, again.resampled.rows)
    np.testing.assert_array_equal(first.resampled.synthetic, again.resampled.synthetic)
    head, choices = fit_posthoc(method, _head(), features, y, first.seen, lambda: (features, y))
    same, same_choices = fit_posthoc(method, _head(), features, y, first.seen, lambda: (features, y))
    assert choices == same_choices
    for one in (head, same, apply_posthoc(method, _head(), choices, first.seen, lambda: (features, y))):
        assert one.kernel.dtype == one.bias.dtype == np.float32
        np.testing.assert_array_equal(one.kernel, head.kernel)
        np.testing.assert_array_equal(one.bias, head.bias)
    assert np.isfinite(head.logits(features)).all()


@pytest.mark.parametrize(
    "text",
    [
        text
        for info in INFOS
        if info.stage == "posthoc" and "multiclass" in info.kinds
        for text in _spellings(info)
    ],
)
def test_a_head_made_anew_owes_nothing_to_what_was_trained(text: str) -> None:
    method = parse_method(text)
    y, features = _tiny()
    features = np.abs(features)  # naive Bayes counts words
    one, other = (
        fit_posthoc(method, _head(seed), features, y, np.array(COUNTS), lambda: (features, y))[0].kernel
        for seed in (1, 2)
    )
    assert np.array_equal(one, other) == makes_anew(method)


@of_kind("multiclass")
def test_its_loss_and_slope_are_finite(method: MethodSpec) -> None:
    y, features = _tiny()
    resolved = resolve(method, y, features, K, seed=5, prices=PRICES)
    logits = _head().logits(features)
    if resolved.loss.offset is not None:
        logits += resolved.loss.offset
    loss, slope = class_loss(resolved.loss.family, logits, y, resolved.loss.params)
    assert loss.shape == (len(y),) and slope.shape == (len(y), K)
    assert np.isfinite(loss).all() and (loss >= 0).all()
    assert np.isfinite(slope).all()


NEVER, ALWAYS, ONCE = 1, 2, 3
"""Attributes of the tiny problem that are known nowhere, known as yes alone, and known in a single row."""

EMPTY = 4
"""The row of the tiny problem without any known label."""


def _cells(n: int = 18, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, K) of 1, 0 and NaN with all that can be odd about them, and (n, D) features.

    Attribute 0 is known everywhere but in the empty row, so that no row is whole where attribute 1 is asked.
    """
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, D)).astype(np.float32)
    known = (features[:, :K] + rng.normal(size=(n, K)) > 0.2).astype(np.float32)
    known[rng.random((n, K)) < 0.25] = np.nan
    known[:, 0] = features[:, 0] > 0
    known[:, NEVER] = np.nan
    known[:, ALWAYS] = np.where(np.isnan(known[:, ALWAYS]), np.nan, 1.0)
    known[:, ONCE] = np.nan
    known[7, ONCE] = 1.0
    known[EMPTY] = np.nan
    return known, features


def _whole_cells() -> tuple[np.ndarray, np.ndarray]:
    """Return the same with ten rows whose labels are all known."""
    known, features = _cells()
    known[8:] = features[8:, :K] > 0.3
    known[8:, ALWAYS] = 1.0
    return known, features


def _problems(method: MethodSpec) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if method.steps[0].name != "drop_rows":  # which says that it has nothing to work on
        yield _cells()
    yield _whole_cells()


def _check_cells(made: Resolved, known: np.ndarray) -> None:
    rows = made.resampled.rows
    assert rows.dtype == np.int64 and len(rows)
    assert rows.min() >= 0 and rows.max() < len(known)
    assert not len(made.resampled.labels), "no row is made up"
    assert made.targets is not None and made.targets.dtype == np.float32
    assert made.targets.shape == (len(rows), K)
    told = ~np.isnan(known[rows])
    np.testing.assert_array_equal(made.targets[told], known[rows][told])
    given = made.targets[~np.isnan(made.targets)]
    assert ((given >= 0) & (given <= 1)).all()
    if made.fills is not None:
        assert made.fills.dtype == np.float32 and made.fills.shape == known.shape
        assert np.isnan(made.fills[~np.isnan(known)]).all(), "what is known is not estimated"
        guessed = made.fills[~np.isnan(made.fills)]
        assert ((guessed >= 0) & (guessed <= 1)).all()
        # What is trained is what was estimated, as it is or rounded.
        soft, own = made.fills[rows][~told], made.targets[~told]
        np.testing.assert_array_equal(np.isnan(own), np.isnan(soft))
        sure = ~np.isnan(soft)
        assert np.array_equal(own[sure], soft[sure]) or np.array_equal(own[sure], soft[sure] >= 0.5)
    else:
        np.testing.assert_array_equal(np.isnan(made.targets), ~told)
    if made.weights is not None:
        assert made.weights.shape == (2, K) and made.weights.dtype == np.float32
        assert np.isfinite(made.weights).all() and (made.weights >= 0).all() and made.weights.any()
    assert made.seen.shape == (2, K)
    for value in (0, 1):
        np.testing.assert_array_equal(made.seen[value], (known[rows] == value).sum(axis=0))
    assert set(made.loss.params) <= set(ATTRIBUTES[made.loss.family].parameters)
    assert all(np.isfinite(number) for number in made.loss.params.values())
    assert made.loss.link == "sigmoid" and made.loss.offset is None
    json.dumps(made.found, allow_nan=False)


@of_kind("multilabel")
def test_cells_are_filled_where_they_are_unknown_and_the_same_twice(method: MethodSpec) -> None:
    for known, features in _problems(method):
        before, table = known.copy(), features.copy()
        first, again = (resolve_attributes(method, known, features, seed=5) for _ in range(2))
        np.testing.assert_array_equal(known, before)
        np.testing.assert_array_equal(features, table)
        _check_cells(first, known)
        np.testing.assert_array_equal(first.resampled.rows, again.resampled.rows)
        np.testing.assert_array_equal(first.targets, again.targets)
        assert (first.fills is None) == (again.fills is None)
        if first.fills is not None and again.fills is not None:
            np.testing.assert_array_equal(first.fills, again.fills)
        assert first.found == again.found


@of_kind("multilabel")
def test_without_features_it_does_the_same_or_says_that_it_needs_them(method: MethodSpec) -> None:
    if needs_features(method) and stage_of(method.steps[0]) not in BUILDERS:
        return
    known, features = _whole_cells()
    bare, given = (resolve_attributes(method, known, table, seed=5) for table in (None, features))
    np.testing.assert_array_equal(bare.targets, given.targets)


@of_kind("multilabel")
def test_its_mean_loss_over_cells_is_finite_and_falls_along_its_slope(method: MethodSpec) -> None:
    for known, features in _problems(method):
        made = resolve_attributes(method, known, features, seed=5)
        rows = made.resampled.rows
        objective = Measured(made.loss, made.weights, rows=len(rows), targets=made.targets, attributes=True)
        places = np.arange(len(rows))
        targets = objective.labels(places, known[rows])
        np.testing.assert_array_equal(targets, made.targets)
        logits = _head().logits(features[rows])
        for epoch in (1, 2, 50):
            objective.epoch = epoch
            lost, seen, slope = objective(logits, targets, places)
            assert np.isfinite(lost) and lost >= 0 and np.isfinite(seen) and seen > 0
            assert slope.shape == (len(rows), K) and slope.dtype == np.float32
            assert np.isfinite(slope).all()
            _share_is_sound(made, logits, targets, epoch)
        # As validation sees it: nothing but what is known counts.
        lost, seen, slope = objective(logits, known[rows])
        assert np.isfinite(lost) and (slope[np.isnan(known[rows])] == 0).all()
        for wild in (-80.0, 80.0):
            far = np.full_like(logits, wild)
            lost, _, slope = objective(far, targets, places)
            assert np.isfinite(lost) and np.isfinite(slope).all()
        step = np.float32(1e-2) * slope_of(objective, logits, known[rows])
        down, up = (objective(logits + sign * step, known[rows])[0] for sign in (-1, 1))
        assert down <= up


def slope_of(objective: Measured, logits: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the slope at these logits, made so long that it tells."""
    slope: np.ndarray = objective(logits, known)[2]
    return slope / max(float(np.abs(slope).max()), 1e-12)


def _share_is_sound(made: Resolved, logits: np.ndarray, targets: np.ndarray, epoch: int) -> None:
    name, past = made.loss.family, np.zeros(targets.shape, np.float32)
    answer = attribute_loss(name, logits, targets, made.loss.params, epoch, past)
    loss, slope, share = answer
    for array in answer:
        assert array.shape == targets.shape and np.isfinite(array).all()
    assert (loss >= 0).all() and (share >= 0).all() and (share <= 1).all()
    assert (loss[share == 0] == 0).all() and (slope[share == 0] == 0).all()
    assert (share[~np.isnan(targets)] == 1).all(), "what is known always counts"


@of_kind("multilabel")
def test_what_is_done_after_training_is_chosen_on_validation_and_done_again(method: MethodSpec) -> None:
    known, features = _whole_cells()
    made = resolve_attributes(method, known, features, seed=5)
    valid, inputs = _cells(40, seed=3)
    head, choices = fit_posthoc(method, _head(), inputs, valid, made.seen, lambda: (features, known))
    same, same_choices = fit_posthoc(method, _head(), inputs, valid, made.seen, lambda: (features, known))
    stored = json.loads(json.dumps(choices, allow_nan=False))
    assert choices == same_choices == stored
    assert (head.cuts is not None) == any(step.name == "threshold" for step in method.steps)
    for one in (head, same, apply_posthoc(method, _head(), stored, made.seen, lambda: (features, known))):
        assert np.isfinite(one.logits(inputs)).all()
        if head.cuts is not None:
            assert one.cuts is not None and one.cuts.shape == (K,) and one.cuts.dtype == np.float32
            assert ((one.cuts >= 0) & (one.cuts <= 1)).all()
            np.testing.assert_array_equal(one.cuts, head.cuts)
            assert one.cuts[NEVER] == one.cuts[ALWAYS] == 0.5, "nothing can be chosen there"
