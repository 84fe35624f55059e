"""From a method's steps to what a lane trains on, and from a trained head to the head that scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.methods.grammar import functions_of
from bench.methods.losses import PAIRED, REMEMBERING
from bench.methods.minority import MINORITY, facts, minority_classes, rows_with
from bench.methods.registry import STEPS, Filled, Labelled, LinearHead, LossSpec, Resampled
from bench.methods.sampling import all_rows
from bench.models.augment import Recipe
from bench.models.mixing import WAYS, Mixing
from bench.spec import MethodSpec


@dataclass(frozen=True)
class Resolved:
    """What a method makes of n training rows of k classes.

    resampled: the rows to train on, of m; a row that got another label is among the synthetic ones.
    weights: (k,) float32 by class, or None for all ones. loss: the loss. seen: (k,) int64, rows per class
    that the loss sees, after cleaning and resampling. row_weights: (m,) float32, or None for all ones.
    found: what each labels step found, by step, for the record, and how many are in the minority, by the
    step that asks. minority: (m,) bool, which rows are, or None where no step asks. targets: (m, k) float32
    what the attributes of each row are trained as, None with one class per row; fills: (n, k) what a labels
    step takes unknown cells for, see `Filled`, or None. Weights and seen are (2, k) there. stop_by: how the
    best epoch is known, by validation `loss`, or by `top1` where labels were cleaned or held out against
    (elr, co_teaching): validation labels are as wrong as the others were, and cross entropy with them
    punishes a head that is right for being sure.
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
    resampling, and so is what counts as a minority; the loss of those after it. The seed decides how folds
    are cut and which rows are drawn.
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
    row_weights = None
    if labelled.weights is not None:
        row_weights = _row_weights(labelled.weights[labelled.rows], labels, resampled)
    placed, stop_by = (
        _placed(resampled, labelled, y, features),
        "top1" if found or loss.family in REMEMBERING or loss.family in PAIRED else "loss",
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
    """Return the names of the steps that are for rows of minority classes alone."""
    return [step.name for step in method.steps if dict(step.args).get("classes") == MINORITY]


def _combinations(known: np.ndarray) -> np.ndarray:
    """Return which combination of yes, no and unknown each row is: (n,) int32, in lexical order."""
    codes = np.where(np.isnan(known), 2, known).astype(np.int8)
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)


def _no_and_yes(known: np.ndarray) -> np.ndarray:
    """Return how often each attribute is known as no and as yes: (2, k) int64."""
    return np.stack([(known == value).sum(axis=0) for value in (0, 1)])


def _placed(
    resampled: Resampled, labelled: Labelled, y: np.ndarray, features: np.ndarray | None
) -> Resampled:
    """Say the same of the n rows before cleaning, where rows with a new label are synthetic ones.

    So a row can have one label for one lane and another for its neighbour. Raises BenchError for a new
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
"""Gives (n, d) features, as the head sees them, and (n,) classes of the rows that a head was trained on."""


def fit_posthoc(
    method: MethodSpec,
    head: LinearHead,
    features: np.ndarray,
    y: np.ndarray,
    seen: np.ndarray,
    train: TrainRows,
) -> tuple[LinearHead, dict[str, Any]]:
    """Run a method's posthoc steps on a trained head; return the new head and what each step chose.

    features: (v, d) validation features as the head sees them. y: (v,) their classes. seen: (k,) rows per
    class that the head was trained on (`Resolved.seen`). train: asked where a step makes the head anew. The
    choices are {step: {"tau": ..., "val_top1_macro": ...}}, empty where nothing was chosen. Raises BenchError
    where a choice is due and there is no validation row.
    """
    choices: dict[str, Any] = {}
    for name, function, args in _functions(method, "posthoc"):
        rows = train() if STEPS[name].anew else (features, y)
        head, chosen = function(args, head, *rows, seen)
        if chosen:
            choices[name] = chosen
    return head, choices


def apply_posthoc(
    method: MethodSpec,
    head: LinearHead,
    choices: Mapping[str, Mapping[str, Any]],
    seen: np.ndarray,
    train: TrainRows,
) -> LinearHead:
    """Run posthoc steps on another head with what `fit_posthoc` chose before: no validation is looked at.

    This is for a head trained again on training and validation rows, whose `seen` and `train` are its own.
    """
    nothing = np.empty((0, head.kernel.shape[0]), np.float32), np.empty(0, np.int32)
    for name, function, args in _functions(method, "posthoc"):
        rows = train() if STEPS[name].anew else nothing
        head, _ = function({**args, **choices.get(name, {})}, head, *rows, seen)
    return head


def makes_anew(method: MethodSpec) -> bool:
    """Tell whether a posthoc step makes the head anew, so that what the head learned is not used."""
    return any(STEPS[step.name].anew for step in method.steps)


def _functions(method: MethodSpec, stage: str) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Yield name, function and arguments of the method's steps in one stage."""
    for step in method.steps:
        place = functions_of(step).get(stage)
        if place:
            module, _, name = place.partition(":")
            yield step.name, getattr(import_module(module), name), dict(step.args)


@dataclass(frozen=True)
class Shape:
    """What a method builds on a frozen backbone, and what it is shown.

    units: of a hidden layer; filters: of convolutions on the backbone's unpooled map; views: how many changed
    views of each image, made by recipe; minority: of images of minority classes alone; mixing: how
    minibatches are mixed; shared: what the loss of the class, and that of each auxiliary column, is
    multiplied by. 0, empty and None for none.
    """

    units: int = 0
    filters: tuple[int, ...] = ()
    recipe: Recipe | None = None
    views: int = 0
    minority: bool = False
    mixing: Mixing | None = None
    shared: tuple[float, float] | None = None


def shape_of(method: MethodSpec) -> Shape:
    """Return what the method's head, augment and mix steps ask for."""
    shape = Shape()
    for step in method.steps:
        args = dict(step.args)
        if step.name == "mlp":
            shape = replace(shape, units=int(args["units"] or 0))
        elif step.name == "multitask":
            shape = replace(shape, shared=(float(args["main"] or 0.0), float(args["weight"] or 0.0)))
        elif step.name == "conv":
            from bench.models.conv import parse_filters

            shape = replace(shape, filters=parse_filters(str(args["filters"])))
        elif step.name in WAYS:
            numbers = {name: float(args[name] or 0.0) for name in ("alpha", "share", "power") if name in args}
            mixing = Mixing(step.name, **numbers, minority=args.get("classes") == MINORITY)
            shape = replace(shape, mixing=mixing)
        elif step.name == "augment":
            recipe = Recipe(str(args["recipe"]), float(args["strength"] or 0.0))
            only = args["classes"] == MINORITY
            shape = replace(shape, recipe=recipe, views=int(args["views"] or 0), minority=only)
    return shape
