"""Checks of a plan: protocol values without effect, and missing columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.backbones.info import BackboneInfo
from bench.backbones.registry import weights_of
from bench.core.cell import MethodSpec, Value
from bench.core.errors import BenchError, DataError, nearest, unknown
from bench.core.kind import get_kind
from bench.core.protocol import AUTO, KEYS, image_size
from bench.data.examples import Examples
from bench.data.task_card import TaskCard
from bench.methods.shape import step_with

FINETUNE = frozenset({"train_from", "norms", "backbone_rate", "staged", "unfreeze"})
"""Protocol keys of the finetune regime only."""

FROZEN = frozenset({"layers", "pool", "unit_fields", "mirror"})
"""Protocol keys of the frozen regime only."""

PAIR_KEYS = ("pairs", "train_pairs", "test_pairs", "pair_balance")
"""Protocol keys of tasks of pairs only."""


def check_regime(name: str, regime: str, named: Mapping[str, Value], given: Mapping[str, Value]) -> None:
    """Raise BenchError for a value that the regime ignores.

    named: of a named protocol; given: the user's, which take precedence.
    """
    values = [(key.rpartition(".")[2], value) for key, value in {**named, **given}.items()]
    for only, keys in (("finetune", FINETUNE), ("frozen", FROZEN)):
        idle = sorted(key for key, value in values if key in keys and value != KEYS[key].default)
        if regime != only and idle:
            [first, *_] = idle
            by_name = first in named and first not in given
            whose = f" (the named protocol has {first}={named[first]})" if by_name else ""
            raise BenchError(f"--set {first} is for --regime {only}; {name} would run {regime}{whose}")


def check_decay(setting: Mapping[str, Value], regime: str) -> None:
    """Raise BenchError if whole nets should choose a weight decay: each would be trained once per value."""
    if regime != "frozen" and setting["l2"] == AUTO:
        raise BenchError(f"l2={AUTO} is for heads on frozen features: give a number for --regime {regime}")


def check_unused(card: TaskCard, setting: Mapping[str, Value], keys: Iterable[str]) -> None:
    """Raise BenchError for a value of a key without effect on the kind."""
    for key in keys:
        if setting[key] != KEYS[key].default:
            raise BenchError(
                f"--set {key}={setting[key]} has no effect on {card.kind} tasks like {card.name}"
            )


def check_other_kind(card: TaskCard, setting: Mapping[str, Value], key: str, what: str) -> None:
    """Raise BenchError for a value of a key that affects tasks of another kind only."""
    if setting[key] != KEYS[key].default:
        raise BenchError(f"--set {key}={setting[key]} {what}; {card.name} is {card.kind}")


def check_stop_by(card: TaskCard, setting: Mapping[str, Value], scores: Iterable[str], regime: str) -> None:
    """Raise BenchError for an early-stopping score that the kind does not have."""
    if setting["stop_by"] not in ("auto", "last", "val_loss", *scores):
        raise BenchError(f"--set stop_by={setting['stop_by']} is not known to {card.kind} tasks, {regime}")


def check_hide_by(setting: Mapping[str, Value], examples: Examples) -> None:
    """Raise DataError if the data lacks the column of `hide_by`."""
    column = str(setting["hide_by"])
    if column and column not in examples.columns:
        guess = nearest(column, examples.columns)
        raise DataError(f"the data has no column {column!r}, which hide_by names{guess}")


def check_rehearsal(card: TaskCard, stage: str, setting: Mapping[str, Value], examples: Examples) -> None:
    """Raise BenchError if a stage cannot rehearse the other, DataError for a missing column."""
    other, column = str(setting["rehearse"]), str(setting["rehearse_by"])
    if not other:
        return
    if "rehearsal" not in get_kind(card.kind).supports:
        raise BenchError(f"--set rehearse={other} counts images of classes; {card.name} is {card.kind}")
    names = [one.name for one in card.stages]
    if other not in names:
        raise unknown("stage", other, names, f"--set rehearse: {card.name} has {', '.join(names)}")
    if other == stage:
        rest = ", ".join(name for name in names if name != other)
        hint = f"add --stage {rest}" if rest else f"{card.name} has no other"
        raise BenchError(f"--set rehearse={other}: a stage does not rehearse itself; {hint}")
    if column and column not in examples.columns:
        raise DataError(
            f"the data has no column {column!r}, which rehearse_by names{nearest(column, examples.columns)}"
        )


def auxiliary_problem(method: MethodSpec, card: TaskCard, examples: Examples) -> str | None:
    """Return why a method cannot train on auxiliary columns, or None."""
    step = step_with(method, ("shared",))
    if step is None:
        return None
    if not card.auxiliary:
        return f"{step} trains on auxiliary columns; the card of {card.name} names none (auxiliary = [])"
    missing = [column for column in card.auxiliary if column not in examples.columns]
    return f"{step}: the data has no column {missing[0]!r}, which the card names" if missing else None


def check_vectors(parts: Sequence[BackboneInfo], examples: Examples) -> None:
    """Raise BenchError if a file of features is invalid or lacks images of the data."""
    for info in parts:
        if info.reads == "vectors":
            from bench.backbones.vectors import rows_for

            rows_for(info, examples.items)


def check_weights(
    parts: Sequence[BackboneInfo], given: str | None, weights: str, setting: Mapping[str, Value]
) -> None:
    """Raise BenchError for weights of external nets, WeightsError for weights of another net.

    given: the user's text, or None. weights: the same, or the default.
    """
    nets = [info for info in parts if info.is_net]
    if given is not None and nets and all(info.origin is not None for info in nets):
        raise BenchError(f"--weights {given}: {nets[0].name} has weights of its own; leave it out")
    for info, text in zip(parts, weights_of(parts, weights), strict=True):
        sized = (
            info.family != "lenet" or image_size(setting["input_size"], info.input_size) == info.input_size
        )
        if text not in (*info.weights, "imagenet", "random") and info.parameters and sized:
            from bench.backbones.weights import check_count

            check_count(Path(text), info)


def saved_model_problem(parts: Sequence[BackboneInfo], setting: Mapping[str, Value]) -> str | None:
    """Return why a model on this backbone cannot predict image files, or None."""
    for info in parts:
        if info.reads != "pixels":
            return f"{info.name} reads {info.reads}, which image files do not have"
    sizes = {image_size(setting["input_size"], info.input_size): info.name for info in parts}
    if len(sizes) > 1:
        taken = " and ".join(f"{name} images of {high}x{wide}" for (high, wide), name in sizes.items())
        return f"{taken}, but a model reads images of one size: add --set input_size=N"
    return None
