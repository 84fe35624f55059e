"""What every registered step must do, for every kind and regime; a new step is covered by being there."""

from __future__ import annotations

import re
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
    TrainRows,
    apply_posthoc,
    fit_posthoc,
    makes_anew,
    resolve,
)
from bench.methods.grammar import functions_of, needs_features, parse_method, problems_for, stage_of
from bench.methods.registry import STAGES, STEPS, Param, StepInfo
from bench.methods.shape import Shape, calibration_shares, shape_of
from bench.testing.graph import class_loss
from bench.testing.subjects import is_own, subjects
from bench.training.linear_head import LinearHead
from bench.training.losses.families import class_family

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


def tiny_head(seed: int = 1) -> LinearHead:
    """Return a head with read-only arrays, as trained ones are."""
    rng = np.random.default_rng(seed)
    kernel, bias = rng.normal(size=(D, K)).astype(np.float32), rng.normal(size=K).astype(np.float32)
    kernel.flags.writeable = bias.flags.writeable = False
    return LinearHead(kernel, bias)


def calibrated_on(features: np.ndarray, y: np.ndarray) -> dict[str, TrainRows]:
    """Return these rows as the calibration part of every step."""
    return dict.fromkeys(STEPS, lambda: (features, y))


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
def test_a_calibration_part_is_a_share_of_training_and_of_steps_after_it(method: MethodSpec) -> None:
    for step, share in calibration_shares(method):
        assert stage_of(next(one for one in method.steps if one.name == step)) == "posthoc"
        assert 0 < share < 1 and not STEPS[step].replaces_head


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
    rows = calibrated_on(features, y)
    fitted = method, tiny_head(), features, y, first.seen, lambda: (features, y), rows
    (head, choices), (same, same_choices) = fit_posthoc(*fitted), fit_posthoc(*fitted)
    second, kept = apply_posthoc(method, tiny_head(), choices, first.seen, lambda: (features, y), rows)
    assert choices == same_choices == kept
    for one in (head, same, second):
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
    rows = calibrated_on(features, y)
    one, other = (
        fit_posthoc(method, tiny_head(seed), features, y, np.array(COUNTS), lambda: (features, y), rows)[0]
        for seed in (1, 2)
    )
    assert np.array_equal(one.kernel, other.kernel) == makes_anew(method)


@of_kind("multiclass")
def test_its_loss_and_slope_are_finite(method: MethodSpec) -> None:
    y, features = _tiny()
    resolved = resolve(method, y, features, K, seed=5, prices=PRICES)
    logits = tiny_head().logits(features)
    if resolved.loss.offset is not None:
        logits += resolved.loss.offset
    loss, slope = class_loss(resolved.loss.family, logits, y, resolved.loss.params)
    assert loss.shape == (len(y),) and slope.shape == (len(y), K)
    assert np.isfinite(loss).all() and (loss >= 0).all()
    assert np.isfinite(slope).all()
