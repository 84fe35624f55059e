"""Execution of a grid, from its request to its stored cells, for `bench run` and `bench.run`."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from bench.backbones.names import cli_name
from bench.core.cell import Cell
from bench.core.errors import (
    EXIT_DONE,
    EXIT_NOTHING_MEASURED,
    EXIT_SOME_FAILED,
    BenchError,
    NothingMeasured,
)
from bench.core.kind import get_kind
from bench.core.plural import counted
from bench.data.examples import Examples
from bench.runs.cluster_address import Cluster, check_cluster
from bench.runs.open_task import open_task
from bench.runs.plan import Plan, Request, make_plan
from bench.runs.shards import Shard, select_shard
from bench.store.experiment_file import store_experiment
from bench.store.read import MODEL, Stored
from bench.store.write import Store


class Display(Protocol):
    """Display of the events of a run's workers, as a context manager."""

    def __enter__(self) -> Display:
        """Begin the display."""
        ...

    def __exit__(self, *error: object) -> None:
        """End the display, also after an error."""
        ...

    def on_event(self, event: dict[str, Any]) -> None:
        """Show an event, see `bench.runs.worker`."""
        ...


@dataclass(frozen=True)
class Reporter:
    """Receiver of messages and progress.

    display: makes the display for a number of cells. planned: called with the plan and the data before
    training.
    """

    say: Callable[[str], None]
    display: Callable[[int], Display]
    planned: Callable[[Plan, Examples], None] | None = None


@dataclass(frozen=True)
class GridRun:
    """A request and its execution options.

    tasks: folders of task cards. command: its command line, stored with each cell. experiment: its
    options by key, stored beside the cells. rerun: train stored cells again. keep_model: store models.
    logs: a folder for TensorBoard logs. cluster: a cluster to run on, None for this machine.
    """

    request: Request
    tasks: Sequence[Path]
    cache: Path
    results: Path
    command: str
    experiment: Mapping[str, Any] = field(default_factory=dict)
    shard: Shard | None = None
    rerun: bool = False
    keep_model: bool = False
    logs: Path | None = None
    cluster: Cluster | None = None


@dataclass(frozen=True)
class Outcome:
    """Result of a run.

    plan: of this run, or of its shard. kept: cells that failed this time and keep an older result.
    """

    plan: Plan
    store: Store
    kept: tuple[Cell, ...] = ()

    def cells(self) -> list[Stored]:
        """Read the stored cells in the order of the plan, without missing and unreadable ones."""
        found = (self.store.find(cell) for cell in self.plan.cells)
        return [stored for stored in found if stored is not None]

    def failed(self) -> list[Cell]:
        """Return the cells of the plan without a measurement."""
        ok = {stored.id for stored in self.cells() if stored.ok}
        return [cell for cell in self.plan.cells if cell.id not in ok]

    def failures(self) -> str:
        """Return a line on failed cells with the most frequent reason, "" if none failed."""
        if not (failed := {cell.id for cell in self.failed()}):
            return ""
        reasons = Counter(
            str(stored.record.get("reason"))
            for stored in self.cells()
            if stored.id in failed and not stored.ok
        )
        line = f"{len(failed)} of {counted(len(self.plan.cells), 'cell')} failed"
        if not reasons:
            return line
        [(reason, count)] = reasons.most_common(1)
        if count == len(failed):
            return f"{line}: {reason}"
        return (
            f"{line}, {count} of them: {reason} (bench results --task {self.plan.card.name} has all reasons)"
        )

    def exit_code(self) -> int:
        """Return the exit code of the command."""
        failed = self.failed()
        if failed and len(failed) == len(self.plan.cells):
            return EXIT_NOTHING_MEASURED
        return EXIT_SOME_FAILED if failed or self.kept else EXIT_DONE


def run_grid(grid: GridRun, reporter: Reporter) -> Outcome:
    """Plan a grid, train its missing cells and store each, measured or failed.

    Raises BenchError for a request that cannot be planned, NothingMeasured if no combination can run.
    """
    say = reporter.say
    if grid.cluster is not None:
        check_cluster(grid.cluster)
    card, examples = open_task(grid.request, grid.tasks, grid.cache, say)
    if grid.request.data is None:
        say(
            f"no --data given: using the synthetic sample of {len(examples)} images; for photographs: "
            f"bench run --task {card.name} --data DIR (tasks/{card.name}/README.md)"
        )
    plan = make_plan(card, grid.request, examples)
    for skip in plan.skipped:
        say(f"cannot run {skip.backbone} x {skip.method}: {skip.reason}")
    if grid.keep_model:
        _check_saved_models(plan)
    if not plan.cells:
        raise NothingMeasured("none of these combinations can run (bench plan shows why)")
    store, experiment = Store(grid.results), resolved_experiment(grid.experiment, plan)
    if grid.shard is not None:
        plan = select_shard(plan, grid.shard, say)
        if not plan.cells:
            return Outcome(plan, store)
    if reporter.planned is not None:
        reporter.planned(plan, examples)
    kept = _train(replace(grid, experiment=experiment), plan, store, reporter)
    if grid.logs is not None:
        _write_logs(store, plan.cells, grid.logs, say)
    return Outcome(plan, store, kept)


def resolved_experiment(experiment: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return an experiment with the backbones, methods, seeds and stages of the plan."""
    cells = plan.cells
    return {
        **experiment,
        "backbones": [cli_name(job.parts) for job in plan.jobs],
        "methods": list(dict.fromkeys(cell.method.text for cell in cells)),
        "seeds": list(dict.fromkeys(cell.seed for cell in cells)),
        "stages": list(dict.fromkeys(cell.stage for cell in cells)),
    }


def _train(grid: GridRun, plan: Plan, store: Store, reporter: Reporter) -> tuple[Cell, ...]:
    """Train the missing cells; return those that failed and keep an older result."""
    from bench.runs import launch

    say, task = reporter.say, plan.card.name
    missing = [cell for cell in plan.cells if grid.rerun or not is_done(store, cell, grid.keep_model)]
    if not missing:
        store.sweep_if_free(task)
        say(f"nothing to do: all {len(plan.cells)} cells are stored in {store.root}")
        return ()
    with store.lock(task, lambda: say(f"another run is writing to {store.root}; waiting for it to end")):
        store.sweep(task)
        missing = [cell for cell in missing if grid.rerun or not is_done(store, cell, grid.keep_model)]
        for fault in store.faults(missing, grid.keep_model):
            say(fault)
        of, backbones = counted(len(plan.cells), "cell"), counted(len(plan.jobs), "backbone")
        say(f"{len(missing)} of {of} to train, {backbones}")
        store_experiment(store.root, task, grid.experiment)
        order = launch.WorkOrder(
            grid.request,
            grid.tasks,
            grid.cache,
            store.root,
            grid.command,
            grid.keep_model,
            cluster=grid.cluster,
        )
        began, failed = time.monotonic(), set[str]()
        with reporter.display(len(missing)) as display:

            def on_event(event: dict[str, Any]) -> None:
                if event["event"] == "cell" and event["status"] != "ok":
                    failed.add(event["id"])
                display.on_event(event)

            launch.execute(plan, missing, order, on_event)
        kept = tuple(cell for cell in missing if cell.id in failed and _measured(store, cell))
        if kept:
            say(f"{len(kept)} cells failed this time; their stored results are kept")
        say(f"done in {time.monotonic() - began:.1f} s; stored in {store.root}")
    return kept


def _check_saved_models(plan: Plan) -> None:
    """Raise BenchError for cells without a single model to save."""
    checks = get_kind(plan.card.kind).checks
    for job in plan.jobs:
        if why := checks.saved_model_problem(job.parts, job.cells[0].setting):
            raise BenchError(f"--keep-model: {why}")


def is_done(store: Store, cell: Cell, keep_model: bool) -> bool:
    """Return whether a cell is measured and, if wanted, its model saved; one that was damaged is not."""
    stored = store.find(cell)
    if stored is None or not stored.ok or (keep_model and not stored.has(MODEL)):
        return False
    return not stored.damage(keep_model)


def _measured(store: Store, cell: Cell) -> bool:
    """Return whether an older measurement of the cell was kept."""
    stored = store.find(cell)
    return stored is None or stored.ok


def _write_logs(store: Store, cells: Sequence[Cell], logs: Path, say: Callable[[str], None]) -> None:
    """Write the logs of measured cells; report and skip unreadable ones."""
    from bench.store.read import readable_cells
    from bench.store.tensorboard_export import write_logs

    found = [stored for cell in cells if (stored := store.find(cell)) is not None and stored.ok]
    readable, damaged = readable_cells(found, epochs=True)
    for problem in damaged:
        say(problem)
    count = write_logs(readable, logs)
    say(f"{count} cells logged in {logs}; tensorboard --logdir {shlex.quote(str(logs))} shows them")
