"""Application of a method's steps: to training rows before training, to the trained head after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.core.cell import MethodSpec
from bench.core.errors import BenchError
from bench.methods.grammar import functions_of
from bench.methods.minority import MINORITY, facts, minority_classes, rows_with
from bench.methods.registry import STEPS, Filled, Labelled, Resampled
from bench.methods.sampling import all_rows
from bench.training.linear_head import LinearHead, LossSpec
from bench.training.losses.families import class_family


@dataclass(frozen=True)
class Resolved:
    """Result of a method's steps on n training rows of k classes.

    resampled: the m rows to train on; a relabelled row counts as synthetic.
    weights: (k,) float32 by class, or None for all ones. loss: the loss. seen: (k,) int64, rows per class
    that the loss sees, after cleaning and resampling. row_weights: (m,) float32, or None for all ones.
    found: for the record, the findings of each labels step, and minority counts by the step that needs
    them. minority: (m,) bool, rows of minority classes, or None if no step needs it. targets: (m, k) float32
    what the attributes of each row are trained as, None with one class per row; fills: (n, k) estimates
    of unknown cells, see `Filled`, or None. Weights and seen are (2, k) there. stop_by: the
    criterion of the best epoch: validation `loss`, or `top1` for methods against wrong labels (cleaning, elr,
    co_teaching): validation labels are wrong too, and cross entropy would punish a correct, sure head.
    """

    resampled: Resampled
    weights: np.ndarray | None
    loss: LossSpec
    seen: np.ndarray
    row_weights: np.ndarray | None = None
    found: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    stop_by: str = "loss"
    targets: np.ndarray | None = None
    fills: np.ndarray | None = None
    minority: np.ndarray | None = None


def resolve(
    method: MethodSpec,
    y: np.ndarray,
    features: np.ndarray | None,
    k: int,
    seed: int,
    groups: Sequence[str] | None = None,
    prices: Sequence[str] | None = None,
) -> Resolved:
    """Run a method's labels, sampling, weight and loss steps on the training rows.

    y: (n,) int32 classes below k. features: (n, d) float32, or None outside the frozen regime. groups:
    n ids of what belongs together, or None. prices: n numbers as text, "" for unknown, or None where the data
    has none. Sampling and weights go by the labels after cleaning; weights are made of the counts before
    resampling, and so is what counts as a minority; the loss of those after it. The seed decides the
    folds and the sampled rows.
    """
    labelled = Labelled(np.arange(len(y)), y)
    found: dict[str, Mapping[str, float]] = {}
    for name, function, args in _functions(method, "labels"):
        labelled = function(args, y, features, groups, k, seed, prices)
        found[name] = labelled.found
    labels = labelled.labels[labelled.rows]
    inputs = features if features is None or len(labels) == len(y) else features[labelled.rows]
    counts = np.bincount(labels, minlength=k)
    resampled, weights, loss, seen = all_rows(labels, inputs), None, LossSpec(), counts
    for _, function, args in _functions(method, "sampling"):
        resampled = function(args, labels, inputs, seed)
        seen = np.bincount(np.concatenate([labels, resampled.labels])[resampled.rows], minlength=k)
    for _, function, args in _functions(method, "weight"):
        weights = function(args, counts)
    for _, function, args in _functions(method, "loss"):
        loss = function(args, seen)
    row_weights, family = None, class_family(loss.family)
    if labelled.weights is not None:
        row_weights = _row_weights(labelled.weights[labelled.rows], labels, resampled)
    placed, stop_by = (
        _placed(resampled, labelled, y, features),
        "top1" if found or family.memory or family.paired else "loss",
    )
    small, trained = minority_classes(counts), np.concatenate([labels, resampled.labels])[resampled.rows]
    asking = _asking(method)
    found |= dict.fromkeys(asking, facts(small, small[labels]))
    minority = small[trained] if asking else None
    return Resolved(placed, weights, loss, seen, row_weights, found, stop_by, minority=minority)


def resolve_attributes(
    method: MethodSpec, known: np.ndarray, features: np.ndarray | None, seed: int
) -> Resolved:
    """Run a method's labels, sampling, weight and loss steps on training rows with many attributes.

    known: (n, k) float32 of 1, 0 and NaN for unknown. features, seed: as in `resolve`. Sampling takes what a
    row is known as, in all its attributes, for its class (unknown being a value like yes and no); weights are
    made of the known cells before resampling and before anything was filled in, the loss of those after it.
    """
    targets, fills, rows = known, None, np.arange(len(known))
    found: dict[str, Mapping[str, float]] = {}
    for name, function, args in _functions(method, "labels"):
        filled: Filled = function(args, known, features, seed)
        targets, fills, rows, found[name] = filled.targets, filled.fills, filled.rows, filled.found
    combinations = _combinations(known[rows])
    resampled, weights, loss = all_rows(combinations, None), None, LossSpec(family="bce", link="sigmoid")
    for _, function, args in _functions(method, "sampling"):
        resampled = function(args, combinations, None, seed)
    for _, function, args in _functions(method, "weight"):
        weights = function(args, _no_and_yes(known[rows]))
    seen = _no_and_yes(known[rows][resampled.rows])
    for _, function, args in _functions(method, "loss"):
        loss = replace(function(args, seen), link="sigmoid")
    chosen = rows[resampled.rows]
    placed = Resampled(chosen, resampled.synthetic, resampled.labels)
    asking, small = _asking(method), minority_classes(_no_and_yes(known[rows])[1])
    found |= dict.fromkeys(asking, facts(small, rows_with(known[rows], small)))
    minority = rows_with(known[chosen], small) if asking else None
    return Resolved(
        placed,
        weights,
        loss,
        seen,
        found=found,
        targets=targets[chosen],
        fills=fills,
        minority=minority,
    )


def _asking(method: MethodSpec) -> list[str]:
    """Return the names of the steps that apply to rows of minority classes only."""
    return [step.name for step in method.steps if dict(step.args).get("classes") == MINORITY]


def _combinations(known: np.ndarray) -> np.ndarray:
    """Return each row's combination of yes, no and unknown as a number, (n,) int32, in lexical order."""
    codes = np.where(np.isnan(known), 2, known).astype(np.int8)
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)


def _no_and_yes(known: np.ndarray) -> np.ndarray:
    """Return the number of known no and of known yes of each attribute: (2, k) int64."""
    return np.stack([(known == value).sum(axis=0) for value in (0, 1)])


def _placed(
    resampled: Resampled, labelled: Labelled, y: np.ndarray, features: np.ndarray | None
) -> Resampled:
    """Return the same in terms of the n rows before cleaning, relabelled rows as synthetic ones.

    So a row can have different labels in heads that train side by side. Raises BenchError for a new
    label without features.
    """
    kept = labelled.rows
    changed = kept[labelled.labels[kept] != y[kept]]
    if len(kept) == len(y) and not len(changed):
        return resampled
    home = np.arange(len(y))
    home[changed] = len(y) + np.arange(len(changed))
    added = len(y) + len(changed) + np.arange(len(resampled.labels))
    synthetic, labels = resampled.synthetic, resampled.labels
    if len(changed):
        if features is None:
            raise BenchError("rows get another label only where there are features; this regime has none")
        synthetic = np.concatenate([np.asarray(features[changed], np.float32), synthetic])
        labels = np.concatenate([labelled.labels[changed], labels])
    return Resampled(np.concatenate([home[kept], added])[resampled.rows], synthetic, labels)


def _row_weights(weights: np.ndarray, y: np.ndarray, resampled: Resampled) -> np.ndarray:
    """Return (m,) float32 weights of resampled rows; a synthetic one has the mean of its class.

    weights: (n,) float32 of the real rows. y: (n,) their classes.
    """
    size = int(max(y.max(initial=0), resampled.labels.max(initial=0))) + 1
    means = np.bincount(y, weights, size) / np.maximum(np.bincount(y, minlength=size), 1)
    both = np.concatenate([weights, means[resampled.labels].astype(np.float32)])
    out: np.ndarray = both[resampled.rows]
    return out


TrainRows = Callable[[], tuple[np.ndarray, np.ndarray]]
"""Returns features (n, d), as the head sees them, and classes (n,) of rows of the training set."""


def fit_posthoc(
    method: MethodSpec,
    head: LinearHead,
    features: np.ndarray,
    y: np.ndarray,
    seen: np.ndarray,
    train: TrainRows,
    calibration: Mapping[str, TrainRows] = MappingProxyType({}),
) -> tuple[LinearHead, dict[str, Any]]:
    """Run a method's posthoc steps on a trained head; return the new head and what each step chose.

    features: (v, d) validation features as the head sees them. y: (v,) their classes. seen: (k,) rows per
    class that the head was trained on (`Resolved.seen`). train: called by steps that replace the head.
    calibration: by step, the rows of its calibration part. The choices are
    {step: {"tau": ..., "val_top1_macro": ...}}, empty where nothing was chosen. Raises BenchError if a choice
    needs validation or calibration rows and there are none.
    """
    choices: dict[str, Any] = {}
    for name, function, args in _functions(method, "posthoc"):
        rows = _posthoc_rows(name, args, train, calibration) or (features, y)
        changed, chosen = function(args, head, *rows, seen)
        head = replace(changed, link=head.link)
        if chosen:
            choices[name] = chosen
    return head, choices


def apply_posthoc(
    method: MethodSpec,
    head: LinearHead,
    choices: Mapping[str, Mapping[str, Any]],
    seen: np.ndarray,
    train: TrainRows,
    calibration: Mapping[str, TrainRows] = MappingProxyType({}),
) -> tuple[LinearHead, dict[str, Any]]:
    """Run posthoc steps on another head with the choices of `fit_posthoc`, without validation.

    This is for a head trained again on training and validation rows, whose `seen` and `train` are its own.
    Steps with a calibration part are fitted on it again, as this head has not seen it either: the choices
    returned are the given ones, with theirs in place of those of the other head.
    """
    nothing = np.empty((0, head.kernel.shape[0]), np.float32), np.empty(0, np.int32)
    final = dict(choices)
    for name, function, args in _functions(method, "posthoc"):
        calibrated = STEPS[name].calibration_share(args) > 0
        rows = _posthoc_rows(name, args, train, calibration) or nothing
        given = args if calibrated else {**args, **choices.get(name, {})}
        changed, chosen = function(given, head, *rows, seen)
        head = replace(changed, link=head.link)
        if calibrated:
            final[name] = chosen
    return head, final


def _posthoc_rows(
    name: str, args: Mapping[str, Any], train: TrainRows, calibration: Mapping[str, TrainRows]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the rows that a posthoc step is fitted on, None for those of validation."""
    if STEPS[name].replaces_head:
        return train()
    return calibration[name]() if STEPS[name].calibration_share(args) > 0 else None


def makes_anew(method: MethodSpec) -> bool:
    """Return whether a posthoc step replaces the trained head without using it."""
    return any(STEPS[step.name].replaces_head for step in method.steps)


def _functions(method: MethodSpec, stage: str) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Yield name, function and arguments of the method's steps in one stage."""
    for step in method.steps:
        place = functions_of(step).get(stage)
        if place:
            module, _, name = place.partition(":")
            yield step.name, getattr(import_module(module), name), dict(step.args)
