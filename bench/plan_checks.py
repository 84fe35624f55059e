"""What a plan refuses: protocol values without effect where they are set, and columns that are not there."""

from __future__ import annotations

from collections.abc import Mapping

from bench.cards import TaskCard
from bench.data.examples import Examples
from bench.data.pair_files import which_pairs
from bench.errors import BenchError, DataError, nearest, unknown
from bench.protocol import KEYS
from bench.spec import MethodSpec, Value

FINETUNE = frozenset({"train_from", "norms", "backbone_rate", "staged", "unfreeze"})
"""Protocol keys that no other regime looks at."""

FROZEN = frozenset({"layers", "pool", "unit_fields", "mirror"})
"""Likewise, of the frozen regime."""

PAIRS = ("pairs", "train_pairs", "test_pairs", "pair_balance")
"""Protocol keys that tasks of pairs alone look at."""

MADE = ("train_pairs", "test_pairs", "pair_balance", "test_fraction", "split_seed")
"""Likewise, where pairs are made: lists of pairs say themselves who and what is paired."""

NOT_PAIRS = ("noise", "hide", "labels", "duplicates", "split", "split_column", "staged", "unfreeze")
"""Protocol keys that mean nothing to tasks of pairs."""


def check_regime(name: str, regime: str, named: Mapping[str, Value], given: Mapping[str, Value]) -> None:
    """Raise BenchError for a value that the regime would not look at.

    named: those of a set of values that a user names; given: as users write them, which go before these.
    """
    told = [(key.rpartition(".")[2], value) for key, value in {**named, **given}.items()]
    for only, keys in (("finetune", FINETUNE), ("frozen", FROZEN)):
        idle = sorted(key for key, value in told if key in keys and value != KEYS[key].default)
        if regime != only and idle:
            [first, *_] = idle
            theirs = first in named and first not in given
            whose = f" (the set of values you named has {first}={named[first]})" if theirs else ""
            raise BenchError(f"--set {first} is for --regime {only}; {name} would run {regime}{whose}")


def check_kind(card: TaskCard, setting: Mapping[str, Value], examples: Examples, regime: str) -> None:
    """Raise BenchError for values that the kind does not know, DataError for a missing column or list."""
    many, of_pairs = not card.label, card.kind == "verification"
    for key in NOT_PAIRS if of_pairs else PAIRS:
        if setting[key] != KEYS[key].default:
            raise BenchError(
                f"--set {key}={setting[key]} means nothing to {card.kind} tasks like {card.name}"
            )
    for key in ("hide",) if not many else ("noise",):
        if setting[key] != "none":
            what = "hides cells of tasks with many labels" if key == "hide" else "plants wrong classes"
            raise BenchError(f"--set {key}={setting[key]} {what}; {card.name} is {card.kind}")
    # Frozen pairs are judged by their order, as a score has no cut yet; a net answers one of two classes.
    scores = (
        ("val_f1", "val_auc") if many else ("val_auc",) if of_pairs and regime == "frozen" else ("val_top1",)
    )
    if setting["stop_by"] not in ("auto", "last", "val_loss", *scores):
        raise BenchError(f"--set stop_by={setting['stop_by']} is not known to {card.kind} tasks, {regime}")
    if of_pairs:
        which_pairs(examples, str(setting["pairs"]))
    by = str(setting["hide_by"])
    if by and by not in examples.columns:
        guess = nearest(by, examples.columns)
        raise DataError(f"the data has no column {by!r}, which hide_by names{guess}")


def check_rehearsal(card: TaskCard, stage: str, setting: Mapping[str, Value], examples: Examples) -> None:
    """Raise BenchError where a stage cannot rehearse another one, DataError for a missing column."""
    other, by = str(setting["rehearse"]), str(setting["rehearse_by"])
    if not other:
        return
    if card.kind != "multiclass":
        raise BenchError(f"--set rehearse={other} counts images of classes; {card.name} is {card.kind}")
    names = [one.name for one in card.stages]
    if other not in names:
        raise unknown("stage", other, names, f"--set rehearse: {card.name} has {', '.join(names)}")
    if other == stage:
        rest = ", ".join(name for name in names if name != other)
        hint = f"add --stage {rest}" if rest else f"{card.name} has no other"
        raise BenchError(f"--set rehearse={other}: a stage does not rehearse itself; {hint}")
    if by and by not in examples.columns:
        raise DataError(
            f"the data has no column {by!r}, which rehearse_by names{nearest(by, examples.columns)}"
        )


def check_made(protocol: Mapping[str, Value], usual: Mapping[str, Value], examples: Examples) -> None:
    """Raise BenchError for a value that lists of pairs leave without effect. usual: the card's own values."""
    view = which_pairs(examples, str(protocol["pairs"]))
    idle = [key for key in MADE if protocol[key] != usual[key]]
    if view != "made" and idle:
        raise BenchError(
            f"--set {idle[0]} is for pairs that are made; pairs={view} are the data's own lists: "
            "leave it out, or add --set pairs=made"
        )


def no_auxiliary(method: MethodSpec, card: TaskCard, examples: Examples) -> str | None:
    """Return why a method has no auxiliary columns to train on, or None where it has, or needs none."""
    if all(step.name != "multitask" for step in method.steps):
        return None
    if not card.auxiliary:
        return f"multitask trains on auxiliary columns; the card of {card.name} names none (auxiliary = [])"
    missing = [column for column in card.auxiliary if column not in examples.columns]
    return f"multitask: the data has no column {missing[0]!r}, which the card names" if missing else None
