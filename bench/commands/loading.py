"""Loading of stored cells for commands: checks of names, messages about unreadable cells."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.notices import say
from bench.core.errors import BenchError, StoreError, unknown
from bench.store.write import Store, Stored, slug

if TYPE_CHECKING:
    from bench.runs.cell_data import ColumnValues, DataPlace


def load_cells(results: str | None, task: str | None) -> tuple[Path, list[Stored], list[str]]:
    """Return the results folder, its cells of the task (None: all), and a message for each unreadable one.

    The messages are not yet shown. Raises StoreError for a folder that is a file, BenchError for a task
    without a card and without stored cells.
    """
    root = results_root(results)
    check_task(root, task)
    store = Store(root)
    cells, problems = store.load(task)
    report_problems(_several(store.further_folders(task)))
    return root, cells, problems


def _several(further: Sequence[Path]) -> list[str]:
    """Return a message if cells have further answers, which do not count; it names the first one."""
    if not further:
        return []
    from bench.store.origin import origin_of
    from bench.store.places import first_place

    folder = further[0]
    first = first_place(folder)
    here = "run here" if first.exists() else "missing"
    one, other = (f"{at.name.partition('-')[2]} ({origin_of(at) or here})" for at in (first, folder))
    more = f" and {len(further) - 1} more" if len(further) > 1 else ""
    return [f"the first answer of a cell counts: {one}, not {other}{more}; `bench results` has all"]


def results_root(results: str | None) -> Path:
    """Return the results folder, which need not exist. Raises StoreError if it is a file."""
    from bench.core.paths import results_dir

    root = results_dir(results)
    if root.exists() and not root.is_dir():
        raise StoreError(f"results folder {str(root)!r}: is a file; choose another with --results DIR")
    return root


def place_of(
    data: str | None, follow_links: bool, results: str | None, tasks: str | None, cache: str | None
) -> DataPlace:
    """Return where the data of stored cells is looked for. Raises BenchError for an empty name."""
    from bench.commands.options import data_folder
    from bench.core.paths import cache_dir, search_path
    from bench.runs.cell_data import DataPlace

    folder, cards = data_folder(data, None), search_path("tasks", tasks)
    return DataPlace(folder, cards, cache_dir(cache).resolve(), results_root(results), follow_links)


def values_by(by: str | None, place: DataPlace) -> ColumnValues:
    """Return the column of `--by`. Raises BenchError without one: its data is for nothing else."""
    from bench.runs.cell_data import ColumnValues

    if by is None:
        raise BenchError("--data is for --by COLUMN: leave it out, or name the column of the subgroups")
    if not by.strip():
        raise BenchError("--by is empty: name a column of the data")
    return ColumnValues(by, place)


def check_task(root: Path, task: str | None) -> None:
    """Raise BenchError, with the nearest name, for a task without a card and without results."""
    from bench.core.paths import search_path
    from bench.data.task_card import find_cards

    if task is None:
        return
    stored = {path.name for path in root.glob("[!.]*") if path.is_dir()}
    known = sorted({*find_cards(search_path("tasks")), *stored})
    if task not in known and slug(task) not in stored:
        hint = "BENCH_TASKS names a folder with cards of your own"
        raise unknown("task", task, known, f"known: {', '.join(known)}; {hint}")


def in_one_thread() -> None:
    """Make numpy's matrix products single-threaded, if it is not yet imported.

    Those of a bootstrap are many and small; several threads would slow them down.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def report_problems(problems: Sequence[str]) -> None:
    """Write each message to standard error."""
    for problem in problems:
        say(problem)
