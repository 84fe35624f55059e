"""Tables and plots of the page on an equal tuning budget, from stored results.

Usage: python docs/hooks/tuned.py RESULTS

Renews what lies between the marks of docs/results-tuned.md, and docs/tuned-TASK.svg. The page says which
commands fill the folder RESULTS.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.compare.effects import Effect, effects
from bench.compare.leaderboard import boards
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.stored_cells import read_bootstraps
from bench.compare.tuning import (
    HOLDS,
    NEW,
    REVERSED,
    UNDECIDED,
    Budget,
    Ordering,
    Tuned,
    budget_of,
    fate,
    orderings,
    tuned_settings,
)
from bench.compare.verdict import BETTER, WORSE
from bench.core.kind import get_kind
from bench.core.plotting import LIGHT, rendered
from bench.metrics.registry import get_metric
from bench.report.tuning_section import Point, by_trials
from bench.store.read import Stored
from bench.store.write import Store

DOCS = Path(__file__).resolve().parents[1]
PAGE = DOCS / "results-tuned.md"
TASKS = {"fashion": "top1_micro", "marketplace": "top1_micro", "multilabel": "f1_macro", "faces": "accuracy"}
"""Tasks, and the metric to show beside the one that trials are chosen by."""

PLAIN = ("none", "cosine", "pair_logistic")
"""Methods without a remedy; of pairs, without and with training."""

BLOCK = re.compile(r"(<!-- (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Measured:
    """Cells of one task, all on the same test items. metric: the selection metric; other: a second one."""

    task: str
    cells: Sequence[Stored]
    metric: str
    other: str
    bootstrap: PairedBootstrap

    @classmethod
    def of(cls, results: Path, task: str, other: str) -> Measured:
        """Read the cells of a task. Raises SystemExit where they are not one complete grid."""
        cells, problems = Store(results).load(task)
        failed = [f"{stored.id}: {stored.record['reason']}" for stored in cells if not stored.ok]
        if problems or failed or not cells:
            sys.exit(f"{task}: {[*problems, *failed] or 'no cells'}")
        metric = get_kind(cells[0].record["cell"]["kind"]).selection
        found, unreadable = read_bootstraps(cells, [metric, other])
        if len(found) != 1 or unreadable:
            sys.exit(f"{task}: cells on {len(found)} sets of test items, unreadable: {unreadable}")
        return cls(task, cells, metric, other, found[0])

    @property
    def title(self) -> str:
        """Name of the metric."""
        return get_metric(self.metric).title

    @cached_property
    def budgets(self) -> list[Budget]:
        """All budgets, the untuned one first."""
        return sorted({budget_of(stored.record["cell"]) for stored in self.cells})

    @cached_property
    def effects(self) -> list[Effect]:
        """Effects of methods by both metrics."""
        return effects([stored.record for stored in self.cells], self.bootstrap, [self.metric, self.other])

    @cached_property
    def tuned(self) -> list[Tuned]:
        """Tuned settings."""
        return tuned_settings(self.cells, [self.bootstrap], self.metric)[0]

    def orderings(self, metric: str) -> list[Ordering]:
        """Return the difference of every two methods at every budget."""
        return orderings([stored.record for stored in self.cells], self.bootstrap, metric)

    def points(self) -> dict[str, list[Point]]:
        """Return the test score of each method at each budget."""
        [board] = boards([stored.record for stored in self.cells], [self.bootstrap], self.metric)
        points: dict[str, list[Point]] = {}
        for row in board.rows:
            if row.value is not None:
                cell = row.setting.cell
                point = Point(budget_of(cell).trials, row.value, row.low, row.high)
                points.setdefault(cell["method_text"], []).append(point)
        order = dict.fromkeys(stored.record["cell"]["method_text"] for stored in self.cells)
        plain = [name for name in PLAIN if name in order]
        names = [*plain, *sorted(set(order) - set(plain))]
        return {name: sorted(points[name], key=lambda one: one.trials) for name in names}


def number(value: float | None, signed: bool = False, digits: int = 3) -> str:
    """Return a number as the pages show it, without the zero before the point."""
    if value is None:
        return "–"
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return re.sub(r"^([+-]?)0\.", r"\1.", text)


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a signed number with its interval."""
    if low is None or high is None:
        return number(value, signed=True)
    return f"{number(value, True)} [{number(low, True)}, {number(high, True)}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table; the first columns are words."""
    marks = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, marks, *rows]) + "\n"


def name_of(budget: Budget) -> str:
    """Return a budget as a heading."""
    return "untuned" if budget.trials == 1 else f"{budget.trials} trials"


def none_table(tasks: Sequence[Measured]) -> str:
    """Return what tuning moves of methods without a remedy, by task and budget."""
    rows = []
    for one in tasks:
        for own in sorted(one.tuned, key=lambda own: (own.cell["method_text"], own.budget)):
            if own.cell["method_text"] in PLAIN:
                moved = own.moved
                untuned = own.test - moved.value if moved is not None and own.test is not None else None
                change = "–" if moved is None else interval(moved.value, moved.low, moved.high)
                found = [number(untuned), number(own.test), change]
                method = f"`{own.cell['method_text']}`"
                rows.append([one.task, one.title, method, str(own.budget.trials), *found])
    return table(["task", "metric", "method", "trials", "untuned", "tuned", "difference"], rows, 3)


def gap_table(tasks: Sequence[Measured]) -> str:
    """Return validation minus test, the mean over the methods of a task, by number of trials."""
    budgets = sorted({budget for one in tasks for budget in one.budgets})
    rows = []
    for one in tasks:
        gaps = {Budget(): [own.gap_untuned for own in one.tuned if own.budget == one.budgets[-1]]}
        gaps |= {budget: [own.gap for own in one.tuned if own.budget == budget] for budget in one.budgets[1:]}
        size, splits = (min(getattr(own, key) for own in one.tuned) for key in ("validated", "splits"))
        items = f"{size:,}" + (f", {splits} splits" if splits > 1 else "")
        rows.append([one.task, items, *(number(_mean(gaps.get(budget, [])), True) for budget in budgets)])
    return table(["task", "validation items", *map(name_of, budgets)], rows, 2)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def effects_of(one: Measured) -> str:
    """Return the effect of each method relative to equally tuned `none`, with a verdict in bold."""
    by_place = {(effect.metric, effect.method, effect.budget): effect for effect in one.effects}
    rows = []
    for metric, method in dict.fromkeys((effect.metric, effect.method) for effect in one.effects):
        row = [get_metric(metric).title, f"`{method}`"]
        for budget in one.budgets:
            effect = by_place.get((metric, method, budget))
            text = "–" if effect is None else interval(effect.value, effect.low, effect.high)
            row.append(f"**{text}**" if effect is not None and effect.verdict in (BETTER, WORSE) else text)
        rows.append(row)
    return table(["metric", f"against `{one.effects[0].base}`", *map(name_of, one.budgets)], rows, 2)


def fates_table(tasks: Sequence[Measured]) -> str:
    """Return what becomes of the orderings of methods at the largest budget, by task."""
    rows = []
    for one, metric in [(task, metric) for task in tasks for metric in (task.metric, task.other)]:
        first, last = one.budgets[0], one.budgets[-1]
        pairs: dict[tuple[str, str], dict[Budget, Ordering]] = {}
        for own in one.orderings(metric):
            pairs.setdefault((own.ours, own.theirs), {})[own.budget] = own
        found = [fate(own[first], own[last]) for own in pairs.values() if first in own and last in own]
        counts = [found.count(name) for name in (HOLDS, UNDECIDED, REVERSED, NEW)]
        numbers = [last.trials, len(pairs), sum(counts[:3]), *counts]
        rows.append([one.task, get_metric(metric).title, *map(str, numbers)])
    head = ["task", "metric", "trials", "pairs of methods", "with a verdict untuned"]
    return table([*head, "hold", "no longer", "reversed", "new"], rows, 2)


def main(results: Path) -> None:
    """Renew tables and plots."""
    tasks = [Measured.of(results, task, other) for task, other in TASKS.items()]
    whole: dict[str, Callable[[Sequence[Measured]], str]] = {
        "none": none_table,
        "gap": gap_table,
        "fates": fates_table,
    }
    blocks = {name: make(tasks) for name, make in whole.items()}
    for one in tasks:
        blocks[one.task] = effects_of(one)
        drawing = by_trials(one.points(), f"{one.title} on test")
        svg = rendered(drawing, LIGHT, ("svg",))["svg"]
        (DOCS / f"tuned-{one.task}.svg").write_bytes(svg)
    text = PAGE.read_text(encoding="utf-8")
    unknown = {found[2] for found in BLOCK.finditer(text)} ^ set(blocks)
    if unknown:
        sys.exit(f"{PAGE.name}: marks without a table, or tables without a mark: {sorted(unknown)}")
    PAGE.write_text(
        BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]]}{found[4]}", text), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
