"""Checks of a plan of tasks with many attributes for each image."""

from __future__ import annotations

from collections.abc import Mapping

from bench.core.cell import Value
from bench.data.examples import Examples
from bench.data.labels import Parts
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
    check_other_kind(card, setting, "noise", "plants wrong classes")
    check_stop_by(card, setting, ("val_f1", "val_auc"), regime)
    check_hide_by(setting, examples)


def no_class(card: TaskCard, stage: str, parts: Parts) -> str | None:
    """Return None: the columns of the data are the attributes, whoever has one."""
    return None
