"""From a method's steps to what a lane trains on, and from a trained head to the head that scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from bench.methods.grammar import functions_of
from bench.methods.registry import LinearHead, LossSpec, Resampled
from bench.methods.sampling import all_rows
from bench.spec import MethodSpec


@dataclass(frozen=True)
class Resolved:
    """What a method makes of n training rows of k classes.

    resampled: the rows to train on. weights: (k,) float32, or None for all ones.
    loss: the loss. seen: (k,) int64, rows per class that the loss sees, after resampling.
    """

    resampled: Resampled
    weights: np.ndarray | None
    loss: LossSpec
    seen: np.ndarray


def resolve(method: MethodSpec, y: np.ndarray, features: np.ndarray | None, k: int, seed: int) -> Resolved:
    """Run a method's sampling, weight and loss steps on the training rows.

    y: (n,) int32 classes below k. features: (n, d) float32, or None outside the frozen regime.
    Weights are made of the counts before resampling, the loss of those after it. The seed decides
    which rows are drawn.
    """
    counts = np.bincount(y, minlength=k)
    resampled, weights, loss, seen = all_rows(y, features), None, LossSpec(), counts
    for _, function, args in _functions(method, "sampling"):
        resampled = function(args, y, features, seed)
        seen = np.bincount(np.concatenate([y, resampled.labels])[resampled.rows], minlength=k)
    for _, function, args in _functions(method, "weight"):
        weights = function(args, counts)
    for _, function, args in _functions(method, "loss"):
        loss = function(args, seen)
    return Resolved(resampled, weights, loss, seen)


def fit_posthoc(
    method: MethodSpec, head: LinearHead, features: np.ndarray, y: np.ndarray, seen: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Run a method's posthoc steps on a trained head; return the new head and what each step chose.

    features: (v, d) validation features as the head sees them. y: (v,) their classes. seen: (k,) rows
    per class that the head was trained on (`Resolved.seen`). The choices are {step: {"tau": ...,
    "val_top1_macro": ...}}, empty where nothing was chosen. Raises BenchError where a choice is due
    and there is no validation row.
    """
    choices: dict[str, Any] = {}
    for name, function, args in _functions(method, "posthoc"):
        head, chosen = function(args, head, features, y, seen)
        if chosen:
            choices[name] = chosen
    return head, choices


def apply_posthoc(
    method: MethodSpec, head: LinearHead, choices: Mapping[str, Mapping[str, Any]], seen: np.ndarray
) -> LinearHead:
    """Run posthoc steps on another head with what `fit_posthoc` chose before: no validation is looked at.

    This is for a head trained again on training and validation rows, whose `seen` is its own.
    """
    nothing = np.empty((0, head.kernel.shape[0]), np.float32), np.empty(0, np.int32)
    for name, function, args in _functions(method, "posthoc"):
        known = {key: value for key, value in choices.get(name, {}).items() if key in args}
        head, _ = function({**args, **known}, head, *nothing, seen)
    return head


def _functions(method: MethodSpec, stage: str) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Yield name, function and arguments of the method's steps in one stage."""
    for step in method.steps:
        place = functions_of(step).get(stage)
        if place is not None:
            module, _, name = place.partition(":")
            yield step.name, getattr(import_module(module), name), dict(step.args)
