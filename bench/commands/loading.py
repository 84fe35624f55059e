"""Loading of stored cells for commands: checks of names, messages about unreadable cells."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.commands.notices import say
from bench.core.errors import BenchError, StoreError, unknown
from bench.store.write import Store, Stored, slug

if TYPE_CHECKING:
    from bench.runs.cell_data import ColumnValues, DataLocation


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
    from bench.store.places import first_answer_folder

    folder = further[0]
    first = first_answer_folder(folder)
    here = "run here" if first.exists() else "missing"
    one, other = (f"{at.name.partition('-')[2]} ({origin_of(at) or here})" for at in (first, folder))
    more = f" and {len(further) - 1} more" if len(further) > 1 else ""
    return [f"the first answer of a cell counts: {one}, not {other}{more}; `bench results` lists all"]


def results_root(results: str | None) -> Path:
    """Return the results folder, which need not exist. Raises StoreError if it is a file."""
    from bench.core.paths import results_dir

    root = results_dir(results)
    if root.exists() and not root.is_dir():
        raise StoreError(f"results folder {str(root)!r}: is a file; choose another with --results DIR")
    return root


def stored_cell(cell: str, results: str | None) -> Stored:
    """Return a cell of the results folder, see `find`. Raises BenchError."""
    return find(Store(results_root(results)), cell)


def find(store: Store, text: str) -> Stored:
    """Return the stored cell of this name. Raises BenchError if none, an unreadable one or several match.

    A number after the id, "3fa9c1d2.2", names a further answer of the cell.
    """
    wanted, _, number = text.rstrip("/").rsplit("-", 1)[-1].lower().partition(".")
    cells, problems = store.further() if number else store.load()
    named = [stored for stored in cells if str(stored.answer) == (number or "1")]
    found = [stored for stored in named if wanted and stored.id.startswith(wanted)]
    if not found:
        folder = re.compile(rf"/s[^/]*-{re.escape(wanted[:8])}[^/]*/[^/]*: ")
        for problem in problems:
            if wanted and folder.search(problem):
                raise StoreError(problem)
        if "/" in text:
            raise BenchError(f"no cell of {str(store.root)!r} is in {text!r}: name its --results folder")
        raise BenchError(f"no stored cell begins with {text!r} in {store.root} (bench results lists them)")
    if len(found) > 1:
        names = ", ".join(stored.id[: len(wanted) + 4] for stored in found[:5])
        raise BenchError(f"{text!r} matches {len(found)} cells ({names}, ...): give more of the id")
    return found[0]


def place_of(
    results: str | None, data: str | None, follow_links: bool, tasks: str | None, cache: str | None
) -> DataLocation:
    """Return the location of the data of stored cells. Raises BenchError for an empty name."""
    from bench.commands.option_values import data_folder
    from bench.core.paths import cache_dir, search_path
    from bench.runs.cell_data import DataLocation

    folder, cards = data_folder(data, None), search_path("tasks", tasks)
    return DataLocation(folder, cards, cache_dir(cache).resolve(), results_root(results), follow_links)


def values_by(by: str | None, results: str | None, **where: Any) -> ColumnValues | None:
    """Return the column of `--by`, None without it. where: of the data, see `place_of`.

    Raises BenchError for data options without --by.
    """
    from bench.runs.cell_data import ColumnValues

    if by is None and where["data"] is None:
        return None
    if by is None:
        raise BenchError("--data is for --by COLUMN: leave it out, or name the column of the subgroups")
    if not by.strip():
        raise BenchError("--by is empty: name a column of the data")
    return ColumnValues(by, place_of(results, **where))


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
    """Make NumPy's matrix products single-threaded; call before it is imported.

    A bootstrap has many small ones, which several threads would slow down.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def report_problems(problems: Sequence[str]) -> None:
    """Write each message to standard error."""
    for problem in problems:
        say(problem)
