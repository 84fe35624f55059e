"""Checks of a plan of tasks of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.backbones.info import BackboneInfo
from bench.core.cell import Value
from bench.core.errors import BenchError
from bench.data.examples import Examples
from bench.data.labels import Parts
from bench.data.pair_lists import which_pairs
from bench.data.task_card import TaskCard
from bench.runs import plan_checks
from bench.runs.plan_checks import check_hide_by, check_stop_by, check_unused

MADE = ("train_pairs", "test_pairs", "pair_balance", "test_fraction", "split_seed")
"""Protocol keys for made pairs only; lists of pairs fix them."""

VIEW2 = "pairs=view2 trains a model for each fold; run pairs=view1 or pairs=made for one to keep"

NOT_PAIRS = ("noise", "hide", "labels", "duplicates", "split", "split_column", "staged", "unfreeze")
"""Protocol keys that mean nothing to tasks of pairs."""


def check_setting(
    card: TaskCard,
    setting: Mapping[str, Value],
    usual: Mapping[str, Value],
    examples: Examples,
    regime: str,
) -> None:
    """Raise BenchError for values that mean nothing here, DataError for a missing column or list."""
    check_unused(card, setting, NOT_PAIRS)
    # Frozen pairs are judged by their order, as a score has no cut yet; a net answers one of two classes.
    check_stop_by(card, setting, ("val_auc",) if regime == "frozen" else ("val_top1",), regime)
    view = which_pairs(examples, str(setting["pairs"]))
    check_hide_by(setting, examples)
    idle = [key for key in MADE if setting[key] != usual[key]]
    if view != "made" and idle:
        raise BenchError(
            f"--set {idle[0]} is for pairs that are made; pairs={view} are the data's own lists: "
            "leave it out, or add --set pairs=made"
        )


def no_class(card: TaskCard, stage: str, parts: Parts) -> str | None:
    """Return None: the one stage has all people."""
    return None


def saved_model_problem(parts: Sequence[BackboneInfo], setting: Mapping[str, Value]) -> str | None:
    """Return why no model on this backbone could predict image files under a protocol, or None."""
    if setting.get("pairs") == "view2":
        return VIEW2
    return plan_checks.saved_model_problem(parts, setting)
