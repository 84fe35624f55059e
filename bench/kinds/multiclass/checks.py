"""Checks of a plan of tasks with one class for each image."""

from __future__ import annotations

from collections.abc import Mapping

from bench.core.cell import Value
from bench.data.examples import Examples
from bench.data.labels import Parts
from bench.data.split_rules import sides_read
from bench.data.task_card import TaskCard
from bench.runs.plan_checks import PAIR_KEYS, check_hide_by, check_other_kind, check_stop_by, check_unused
from bench.runs.plan_checks import saved_model_problem as saved_model_problem


def check_setting(
    card: TaskCard,
    setting: Mapping[str, Value],
    usual: Mapping[str, Value],
    examples: Examples,
    regime: str,
) -> None:
    """Raise BenchError for values that mean nothing here, DataError for a missing column."""
    check_unused(card, setting, PAIR_KEYS)
    check_other_kind(card, setting, "hide", "hides cells of tasks with many labels")
    check_stop_by(card, setting, ("val_top1",), regime)
    check_hide_by(setting, examples)


def no_class(card: TaskCard, stage: str, parts: Parts) -> str | None:
    """Return why a stage has no class to train, as far as known before images are read, or None.

    Which rows train is known where a column says it; elsewhere all labels of the data count.
    """
    first = next(one.first for one in card.stages if one.name == stage)
    labels, trains = parts.given, sides_read(parts.examples, parts.plan)
    known = {label for row, label in enumerate(labels) if label and (trains is None or trains[row])}
    if len(known) > first:
        return None
    whose = "the data has" if trains is None else "train knows"
    return f"stage {stage!r} begins at class {first + 1}, but {whose} only {len(known)}"
