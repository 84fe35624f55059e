"""What every registered step must do; a new step is covered by being registered."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from bench.methods.apply import Resolved, apply_posthoc, fit_posthoc, resolve
from bench.methods.grammar import functions_of, parse_method, problems_for, stage_of
from bench.methods.losses import FAMILIES, PARAMETERS
from bench.methods.registry import STAGES, STEPS, LinearHead, Param, StepInfo
from bench.spec import MethodSpec

K, D = 5, 6
COUNTS = [9, 6, 3, 0, 1]
"""A tiny problem with an empty class and one with a single row."""


def _edges(param: Param) -> list[Any]:
    """Return legal values that a step has to stand: every word and both ends of its range."""
    return [*param.choices, *(end for end in (param.low, param.high) if end is not None)]


def _spellings(info: StepInfo) -> list[str]:
    """Return the step with its defaults and with every edge of every argument that is legal alone."""
    texts = [info.name]
    for param in info.params:
        for value in _edges(param):
            args = {p.name: p.default for p in info.params} | {param.name: value}
            if info.check is None or info.check(args) is None:
                shown = int(value) if param.type is int else value
                texts.append(f"{info.name}({param.name}={shown})")
    return texts


INFOS = list(STEPS.values())
TEXTS = [text for info in INFOS for text in _spellings(info)]
by_name = pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
by_text = pytest.mark.parametrize("method", [parse_method(text) for text in TEXTS], ids=TEXTS)


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
    assert info.kinds and set(info.regimes) <= {"frozen", "scratch"}
    for param in info.params:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", param.name)
        assert param.help and "\n" not in param.help


@by_name
def test_defaults_are_legal_and_left_out_of_the_text(info: StepInfo) -> None:
    spelled = ",".join(f"{param.name}={param.default}" for param in info.params)
    spec = parse_method(f"{info.name}({spelled})")
    assert spec == parse_method(info.name)
    assert spec.text == info.name


@by_name
def test_its_functions_exist_and_tell_their_source(info: StepInfo) -> None:
    for stage, place in {**info.run, **info.also}.items():
        assert stage in STAGES
        module, _, name = place.partition(":")
        assert getattr(import_module(module), name).__doc__


@by_name
def test_kinds_and_regimes_are_honoured(info: StepInfo) -> None:
    method = parse_method(info.name)
    for regime in ("frozen", "scratch"):
        problem = problems_for(method, "multiclass", regime)
        assert (problem is None) == ("multiclass" in info.kinds and regime in info.regimes)
    assert info.name in str(problems_for(method, "no such kind", "frozen"))


@by_text
def test_round_trip(method: MethodSpec) -> None:
    assert parse_method(method.text) == method
    assert stage_of(method.steps[0]) in functions_of(method.steps[0])


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
    assert loss.family in FAMILIES and set(loss.params) <= set(PARAMETERS[loss.family])
    assert loss.link in ("softmax", "sigmoid") and np.isfinite(loss.bias)
    if loss.offset is not None:
        assert (
            loss.offset.shape == (K,) and loss.offset.dtype == np.float32 and np.isfinite(loss.offset).all()
        )


@by_text
def test_a_tiny_problem_runs_without_nan_and_the_same_twice(method: MethodSpec) -> None:
    y, features = _tiny()
    first, again = (resolve(method, y, features, K, seed=5) for _ in range(2))
    _check(first, len(y))
    np.testing.assert_array_equal(first.resampled.rows, again.resampled.rows)
    np.testing.assert_array_equal(first.resampled.synthetic, again.resampled.synthetic)
    head, choices = fit_posthoc(method, _head(), features, y, first.seen)
    same, same_choices = fit_posthoc(method, _head(), features, y, first.seen)
    assert choices == same_choices
    for one in (head, same, apply_posthoc(method, _head(), choices, first.seen)):
        assert one.kernel.dtype == one.bias.dtype == np.float32
        np.testing.assert_array_equal(one.kernel, head.kernel)
        np.testing.assert_array_equal(one.bias, head.bias)
    assert np.isfinite(head.logits(features)).all()


@by_text
def test_its_loss_and_slope_are_finite(method: MethodSpec) -> None:
    y, features = _tiny()
    resolved = resolve(method, y, features, K, seed=5)
    logits = _head().logits(features)
    if resolved.loss.offset is not None:
        logits += resolved.loss.offset
    loss, slope = FAMILIES[resolved.loss.family](logits, y, resolved.loss.params)
    assert loss.shape == (len(y),) and slope.shape == (len(y), K)
    assert np.isfinite(loss).all() and (loss >= 0).all()
    assert np.isfinite(slope).all()
