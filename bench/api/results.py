"""Results as Python objects: tables, data frames, comparisons and pages of stored cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.tables import ResultTable, html
from bench.commands.loading import find, load_cells, report_problems
from bench.core.errors import BenchError, NothingMeasured
from bench.core.kind import get_kind
from bench.core.paths import cache_dir, search_path, user_path
from bench.core.table import Table
from bench.report.result_tables import grid_table
from bench.runs.cell_data import ColumnValues, DataLocation
from bench.store.write import Store, Stored

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Results:
    """Stored cells of one grid (`bench.run`) or of a results folder (`bench.load`).

    folder: the results folder. stored: the cells, as they were read. data: the data folder, for pictures of
    items in `report`. skipped: the combinations that cannot run, each with the reason.
    """

    folder: Path
    stored: Sequence[Stored] = field(repr=False)
    data: Path | None = None
    skipped: Sequence[str] = ()
    cache: Path | None = None
    tasks: Sequence[Path] = ()
    baselines: Sequence[Path] = ()

    @property
    def cells(self) -> list[str]:
        """The ids of the cells, in the order of the grid."""
        return [stored.id for stored in self.stored]

    @property
    def failed(self) -> dict[str, str]:
        """The reason of each failed cell, by id."""
        return {stored.id: str(stored.record["reason"]) for stored in self.stored if not stored.ok}

    def table(self) -> ResultTable:
        """Return each setting's mean and standard deviation over seeds on test, as `bench run` prints it."""
        return ResultTable(self._grid())

    def frame(self) -> pd.DataFrame:
        """Return one row per cell: its identity, metrics, counts, seconds, reason of failure."""
        from bench.report.frames import results_frame

        return results_frame(self.stored)

    def classes(self) -> pd.DataFrame:
        """Return one row per class of every measured cell. Raises StoreError for an unreadable file."""
        from bench.report.frames import classes_frame

        return classes_frame(self.stored)

    def predictions(self, cell: str, split: str = "test") -> pd.DataFrame:
        """Return one row per item: the truth, the answer, the scores; see `bench show` for the cell.

        cell: the beginning of the id of one of these cells. split: `test`, `val` or `imputed`. Raises
        BenchError unless one cell matches, or if it was not measured, StoreError for an unreadable file.
        """
        from bench.report.frames import predictions_frame

        stored = self._find(cell)
        if not stored.ok:
            raise BenchError(f"cell {stored.name} was not measured: {stored.record['reason']}")
        return predictions_frame(stored, split)

    def compare(
        self,
        *sides: str,
        baseline: str | None = None,
        metrics: Sequence[str] = (),
        every_setting: bool = False,
        classes: bool = True,
        by: str | None = None,
    ) -> ResultTable:
        """Compare these cells with a baseline, one setting with it, or two with each other.

        sides: none, one or two of: the beginning of a cell's id, "BACKBONE/METHOD", the name of a baseline or
        of a trivial answer. baseline: by name; default: the task's published one. metrics: only these.
        every_setting: also those that are not the best of their stage on validation. classes: a row for each
        class, too. by: a column of the data: compare two sides on its subgroups. Raises
        BenchError for a name that nothing matches.
        """
        from bench.commands.comparing import baseline_of, compared, compared_by, comparison_of, metrics_of
        from bench.compare.resolve import Stock
        from bench.report.comparison_tables import narrowed
        from bench.store.read import readable_cells

        if len(sides) > 2:
            raise BenchError(f"{len(sides)} runs to compare: give two, or one and a baseline")
        if by is not None and len(sides) < 2:
            raise BenchError("by= compares two runs on their test items: name both")
        task, folders, problems = self._task(), self.baselines or search_path("baselines"), list[str]()
        against = baseline_of(task, baseline, folders, problems) if len(sides) < 2 else None
        measured, damaged = readable_cells(self._measured(), answers=by is not None)
        stock, asked = Stock(task, self.folder, measured, folders), metrics_of(metrics)
        if by is not None:
            report_problems([*problems, *damaged])
            return ResultTable(compared_by(stock, sides, self._values(by), asked)[0])
        found = compared(stock, sides, against, every_setting, asked)
        report_problems([*problems, *damaged, *found.problems])
        rows = narrowed(found.rows, (), asked, set(), 0)
        if not classes:
            rows = [row for row in rows if row.class_name is None]
        return ResultTable(comparison_of(replace(found, rows=rows)))

    def leaderboard(
        self, metric: str | None = None, top: int = 0, effects: bool = False, by: str | None = None
    ) -> ResultTable:
        """Rank the settings by a metric on test, with intervals and costs.

        metric: default: the first in the task's tables. top: number of settings per stage; 0: all. effects:
        show the effects of methods relative to `none` instead. by: a column of the data: show the metric on
        its subgroups, and the gap between the worst and the best one, instead. Raises BenchError for an
        unknown metric or column.
        """
        from bench.commands.leaderboard_ import by_subgroup, ranked

        self._task()
        if by is not None:
            tables, unreadable = by_subgroup(self._measured(), metric, self._values(by), top, full=True)
        else:
            tables, unreadable, _ = ranked(self._measured(), metric, effects, top, full=False)
        report_problems(unreadable)
        if not tables:
            raise NothingMeasured("none of these cells could be read")
        return ResultTable(tables[0])

    def report(self, folder: str | Path, by: str | None = None) -> Path:
        """Write one page with tables and plots into a folder; return the path of its index.html.

        by: a column of the data, for a section on its subgroups. Raises NothingMeasured without
        a measured cell, StoreError for a folder that cannot be written.
        """
        from bench.commands.report_ import Sources, written

        problems: list[str] = []
        places = self.tasks or search_path("tasks"), self.cache or cache_dir()
        sources = Sources(self.data, *places)
        baselines = self.baselines or search_path("baselines")
        values = None if by is None else self._values(by)
        path = written(self.stored, problems, baselines, sources, user_path(folder), values)
        report_problems(problems)
        if path is None:
            raise NothingMeasured(f"no measured cell in {self.folder}: there is nothing to report")
        return path

    def __repr__(self) -> str:
        count = f"{len(self.stored)} cells" if len(self.stored) != 1 else "1 cell"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"<Results: {count}{failed}, in {self.folder}>"

    def _repr_html_(self) -> str:
        """Return the table as HTML; every text in it is escaped."""
        return html(self._grid())

    def _grid(self) -> Table:
        from bench.compare.stored_cells import readable_answers
        from bench.compare.warnings import shown_metrics, warnings

        kind = get_kind(self._measured()[0].record["cell"]["kind"])
        cells, found, unreadable = readable_answers(self.stored, shown_metrics(kind))
        report_problems(unreadable)
        if not found:
            raise NothingMeasured("none of these cells could be read")
        table = grid_table([stored.record for stored in cells], kind.selection)
        return replace(table, notes=(*table.notes, *warnings(cells, found)))

    def _measured(self) -> list[Stored]:
        """Return the measured cells. Raises NothingMeasured if there are none."""
        measured = [stored for stored in self.stored if stored.ok]
        if not measured:
            why = next(iter(self.failed.values()), "")
            raise NothingMeasured(
                f"no measured cell in {self.folder}" + (f"; the first one failed: {why}" if why else "")
            )
        return measured

    def _task(self) -> str:
        """Return the task of the cells. Raises BenchError for several."""
        tasks = list(dict.fromkeys(str(stored.record["cell"]["task"]) for stored in self._measured()))
        if len(tasks) > 1:
            raise BenchError(f"cells of several tasks ({', '.join(tasks)}): name one, bench.load(task=...)")
        return tasks[0]

    def _values(self, column: str) -> ColumnValues:
        place = self.tasks or search_path("tasks"), self.cache or cache_dir()
        return ColumnValues(column, DataLocation(self.data, *place, self.folder))

    def _find(self, cell: str) -> Stored:
        stored = find(Store(self.folder), cell)
        if stored.id not in set(self.cells):
            raise BenchError(f"cell {stored.name} is in {self.folder}, but is not one of these results")
        return stored


def load(
    results: str | Path | None = None, task: str | None = None, data: str | Path | None = None
) -> Results:
    """Return the results of a folder; a file that cannot be read is one line on standard error.

    results: default: BENCH_RESULTS, or `results` in the current folder. task: only this one. data: the data
    folder, for pictures of items in `report`. Raises StoreError for a folder that is a file, BenchError for
    an unknown task.
    """
    root, cells, problems = load_cells(None if results is None else str(results), task)
    report_problems(problems)
    return Results(root, cells, None if data is None else user_path(data).resolve())
