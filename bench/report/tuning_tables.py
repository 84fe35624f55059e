"""Tables of tuning: chosen values and their gain, effects by budget, orderings of methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.compare.effects import Effect
from bench.compare.tuning import HOLDS, NEW, REVERSED, UNDECIDED, Budget, Ordering, Tuned, fate
from bench.core.table import Column, Table
from bench.metrics.registry import get_metric


def tuning_table(tuned: Sequence[Tuned], full: bool = False) -> Table:
    """Return a row for each tuned setting. full: every column, for machines."""
    counts = sorted({n for one in tuned for n in one.curve})
    title = get_metric(tuned[0].metric).title if tuned else "the selection metric"
    columns = [
        Column("stage", "stage"),
        Column("backbone", "backbone"),
        Column("method", "method"),
        Column("trials", "trials", "int"),
        Column("tuner", "tuner"),
        Column("seeds", "seeds", "int"),
        Column("validated", "val items", "int"),
        Column("splits", "splits", "int"),
        Column("val_untuned", "val of default", "ratio"),
        Column("val", "val of chosen", "ratio"),
        *(Column(f"best_of_{n}", f"best of {n}", "ratio") for n in counts),
        Column("test", "test", "ratio"),
        Column("moved", "moved", "signed"),
        Column("moved_low", "low", "signed"),
        Column("moved_high", "high", "signed"),
        Column("gap_untuned", "val - test of default", "signed"),
        Column("gap", "val - test", "signed"),
        Column("chosen", "chosen values by seed"),
    ]
    rows = [_tuned_row(one) for one in tuned]
    if not full:
        few = {key for key in ("stage", "backbone", "splits", "tuner") if len({row[key] for row in rows}) < 2}
        columns = [column for column in columns if column.key not in few]
    notes = (
        f"All numbers are {title}, means over seeds. best of n: the expected best of n trials on validation "
        "(Dodge et al. 2019), from all trials of a cell; only where they are random.",
        "moved: test of the chosen trial minus test of the default setting, with a 95% interval by a paired "
        "bootstrap; empty where the untuned cells are not stored.",
        "val - test: optimism of the validation score of the chosen setting.",
    )
    return Table("Tuning", columns, rows, notes if tuned else ("No measured cell was tuned: --tune N does.",))


def _tuned_row(one: Tuned) -> dict[str, Any]:
    moved = one.moved
    return {
        **{key: one.cell[key] for key in ("stage", "backbone")},
        "method": one.cell["method_text"],
        **one.budget._asdict(),
        **{key: getattr(one, key) for key in ("seeds", "validated", "splits", "val_untuned", "val")},
        **{f"best_of_{n}": value for n, value in one.curve.items()},
        "test": one.test,
        "moved": None if moved is None else moved.value,
        "moved_low": None if moved is None else moved.low,
        "moved_high": None if moved is None else moved.high,
        "gap_untuned": one.gap_untuned,
        "gap": one.gap,
        "chosen": "; ".join(f"{seed}: {_values(values)}" for seed, values in sorted(one.chosen.items())),
    }


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def with_budgets(effects: Sequence[Effect]) -> list[Effect]:
    """Return the effects with the budget in the names of tuned methods."""
    return [
        replace(effect, method=f"{effect.method}, {budget(effect.budget)}")
        if effect.budget.trials > 1
        else effect
        for effect in effects
    ]


def side_by_side(effects: Sequence[Effect]) -> list[dict[str, Any]]:
    """Return a row for each metric and method, with the effects at each budget side by side."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for effect in effects:
        key = effect.stage, effect.metric, effect.method
        row = rows.setdefault(
            key, {"stage": effect.stage, "what": get_metric(effect.metric).title, "method": effect.method}
        )
        for name in ("value", "low", "high", "verdict"):
            row[f"{name}_{key_of(effect.budget)}"] = getattr(effect, name)
    return list(rows.values())


def side_by_side_columns(effects: Sequence[Effect]) -> list[Column]:
    """Return the columns of `side_by_side`."""
    columns = [Column("what", "what"), Column("method", "method")]
    if len({effect.stage for effect in effects}) > 1:
        columns.insert(0, Column("stage", "stage"))
    return [*columns, *_budget_columns({effect.budget for effect in effects})]


def budget(of: Budget) -> str:
    """Return a budget as a heading."""
    return "untuned" if of.trials == 1 else f"{of.trials} trials{f', {of.tuner}' if of.tuner else ''}"


def key_of(of: Budget) -> str:
    """Return a budget as a part of a column's key: `16`, `16_tpe`."""
    return f"{of.trials}{f'_{of.tuner}' if of.tuner else ''}"


def _budget_columns(budgets: Iterable[Budget]) -> list[Column]:
    columns = []
    for one in sorted(budgets):
        key = key_of(one)
        columns += [
            Column(f"value_{key}", budget(one), "signed", spread=(f"low_{key}", f"high_{key}")),
            Column(f"low_{key}", "low", "signed"),
            Column(f"high_{key}", "high", "signed"),
            Column(f"verdict_{key}", f"{budget(one)} verdict"),
        ]
    return columns


def orderings_table(found: Sequence[Ordering], metric: str) -> Table:
    """Return a row for each pair of methods with a verdict at the first or last budget, and its fate."""
    budgets = sorted({one.budget for one in found})
    pairs: dict[tuple[str, str], dict[Budget, Ordering]] = {}
    for one in found:
        pairs.setdefault((one.ours, one.theirs), {})[one.budget] = one
    rows = []
    for (ours, theirs), by_budget in pairs.items():
        first, last = by_budget.get(budgets[0]), by_budget.get(budgets[-1])
        if first is None or last is None or (outcome := fate(first, last)) is None:
            continue
        row: dict[str, Any] = {"ours": ours, "theirs": theirs, "fate": outcome}
        for own, one in by_budget.items():
            names = ("value", "low", "high", "verdict")
            row |= {f"{name}_{key_of(own)}": getattr(one, name) for name in names}
        rows.append(row)
    columns = [Column("ours", "method"), Column("theirs", "against"), *_budget_columns(budgets)]
    columns.append(Column("fate", "ordering"))
    title = f"Orderings of methods by {get_metric(metric).title} on test"
    return Table(title, columns, rows, (_summary(rows, len(pairs), budgets),))


def _summary(rows: Iterable[Mapping[str, Any]], pairs: int, budgets: Sequence[Budget]) -> str:
    fates = [row["fate"] for row in rows]
    count = {name: fates.count(name) for name in (HOLDS, UNDECIDED, REVERSED, NEW)}
    had = len(fates) - count[NEW]
    last = budget(budgets[-1])
    return (
        f"Of {pairs} pairs of methods {had} have a verdict {budget(budgets[0])}; with {last} {count[HOLDS]} "
        f"hold, {count[UNDECIDED]} no longer have one, {count[REVERSED]} are reversed; {count[NEW]} are new."
    )
