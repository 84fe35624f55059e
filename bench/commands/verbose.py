"""Explanations of `bench run --verbose`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.metrics.registry import get_metric
from bench.runs.grid import is_done
from bench.store.write import Store, Stored

if TYPE_CHECKING:
    from bench.data.examples import Examples
    from bench.runs.grid import GridRun
    from bench.runs.plan import Plan


class Explanation:
    """Lines about a run; `of_plan` comes first."""

    def __init__(self, say: Callable[[str], None], grid: GridRun, options: Mapping[str, Any]) -> None:
        self.say, self.grid, self.options = say, grid, options
        self.cells: dict[str, Cell] = {}
        self.store = Store(grid.results)

    def of_plan(self, plan: Plan, examples: Examples) -> None:
        """Log the grid, the origin of each choice, and why each cell is trained or not."""
        self.cells = {cell.id: cell for cell in plan.cells}
        for line in _of_grid(plan, examples, self.options):
            self.say(line)
        for cell in plan.cells:
            self.say(f"{_named(cell)}: {self._why(cell)}")

    def of_cell(self, id_: str) -> str:
        """Return the outcome of a cell that was just trained, "" if it cannot be read."""
        cell = self.cells.get(id_)
        stored = None if cell is None else self.store.find(cell)
        return "" if cell is None or stored is None else _of_answer(cell, stored)

    def _why(self, cell: Cell) -> str:
        stored = self.store.find(cell)
        if stored is None:
            return "is trained because it is not stored"
        if not stored.ok:
            return f"is trained again because it {stored.record['status']}: {stored.record['reason']}"
        if self.grid.rerun:
            return "is trained again because of --rerun"
        if stored.damage(self.grid.keep_model):
            return "is trained again because one of its files was changed or cannot be read"
        if not is_done(self.store, cell, self.grid.keep_model):
            return "is trained again because its model is not stored"
        return f"is not trained because it is stored in {stored.folder}"


def _of_grid(plan: Plan, examples: Examples, options: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines about a run's data and grid, and where each choice comes from."""
    card, nouns = plan.card, get_kind(plan.card.kind).nouns
    yield (
        f"task {card.name}, version {card.version} ({card.kind}): {len(examples):,} images of "
        f"{examples.source}, fingerprint {examples.fingerprint[:8]}; split by {card.split_rule}"
    )
    axes = {
        "backbone": (job.backbone for job in plan.jobs),
        "method": (cell.method.text for cell in plan.cells),
        "seed": (str(cell.seed) for cell in plan.cells),
        "stage": (cell.stage for cell in plan.cells),
    }
    for axis, values in axes.items():
        whence = "as asked for" if options[axis] else "the card's"
        yield f"{axis}s {', '.join(dict.fromkeys(values))} ({whence})"
    for (backbone, regime, weights), cells in _jobs(plan).items():
        what = {
            "frozen": "its features are computed once, and heads are trained on them",
            "finetune": "the whole net is fine-tuned from its weights",
            "scratch": "the whole net is trained from random weights",
        }[regime]
        yield f"{backbone}: regime {regime}, weights {weights}: {what}, for {cells} cells"
    if "rehearsal" in get_kind(card.kind).supports and any(cell.setting["rehearse"] for cell in plan.cells):
        yield f"a rehearsal: test {nouns.item}s are held out of training, and the real ones are not read"


def _jobs(plan: Plan) -> Counter[tuple[str, str, str]]:
    return Counter({(job.backbone, job.regime, job.weights): len(job.cells) for job in plan.jobs})


def _of_answer(cell: Cell, stored: Stored) -> str:
    """Return the outcome of a cell that was just trained."""
    record, selection = stored.record, get_kind(cell.kind).selection
    facts = []
    if (best := record["choices"].get("best_epoch")) is not None:
        facts.append(f"best epoch {best}")
    if (value := record["metrics"].get("val", {}).get(selection)) is not None:
        facts.append(f"{get_metric(selection).title} {value:.3f} on validation")
    facts.append(f"{record['timings']['seconds']:.1f} s")
    return f"{_named(cell)}: {', '.join(facts)}"


def _named(cell: Cell) -> str:
    """Return the name of a cell in these lines."""
    return f"cell {cell.id8}, {cell.stage} {cell.backbone} {cell.method.text}, seed {cell.seed}"
