"""`bench report`: one page with tables and plots of all stored results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.notices import say
from bench.commands.options import (
    baselines_option,
    by_option,
    cache_option,
    follow_links_option,
    results_option,
    tasks_option,
)
from bench.core.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED, BenchError
from bench.core.paths import user_path
from bench.core.safe_text import visible

if TYPE_CHECKING:
    from bench.runs.cell_data import ColumnValues
    from bench.store.write import Stored


@click.command()
@click.option("--out", required=True, metavar="DIR", help="Folder for index.html and plots/.")
@click.option("--task", help="Only this task.")
@click.option(
    "--data",
    metavar="DIR",
    help="Folder with the task's data, for pictures of the hardest items and for --by.",
)
@by_option
@follow_links_option
@results_option
@baselines_option
@tasks_option
@cache_option
def command(
    out: str,
    task: str | None,
    by: str | None,
    results: str | None,
    baselines: str | None,
    **where: Any,
) -> int:
    """Write one page with tables and plots of all stored results.

    DIR/index.html is self-contained; DIR/plots has each plot as PNG and SVG.
    """
    from bench.commands.loading import in_one_thread, load_cells, values_by
    from bench.core.paths import cache_dir, search_path

    in_one_thread()
    root, cells, problems = load_cells(results, task)
    data = None if where["data"] is None else user_path(where["data"]).resolve()
    cards = search_path("tasks", where["tasks"])
    sources = Sources(data, cards, cache_dir(where["cache"]), where["follow_links"])
    values = None if by is None else values_by(by, results, **where)
    path = written(cells, problems, search_path("baselines", baselines), sources, user_path(out), values)
    for problem in problems:
        say(problem)
    if path is None:
        what = f"no measured cell of {task}" if task else "no measured cell"
        say(f"{what} in {root}; start with `bench run --task {task or 'fashion'}`")
        return EXIT_NOTHING_MEASURED
    click.echo(visible(f"wrote {path}"))
    return EXIT_SOME_FAILED if problems else EXIT_DONE


@dataclass(frozen=True)
class Sources:
    """Sources of pictures: a data folder (None: synthetic samples only), task cards, a cache."""

    data: Path | None
    tasks: Sequence[Path]
    cache: Path
    follow_links: bool = False


def written(
    cells: Sequence[Stored],
    problems: list[str],
    baselines: Sequence[Path],
    sources: Sources,
    out: Path,
    values: ColumnValues | None = None,
) -> Path | None:
    """Write the page of some cells; return its path, None if none of them is measured.

    problems: a message for each file that cannot be read is appended. values: of a column, for a section on
    the subgroups of each stage. Raises BenchError for a data folder with cells of several tasks, StoreError
    for a folder that cannot be written.
    """
    from bench.compare.baselines.find import published_for
    from bench.report.html import write_page
    from bench.report.results_page import make_page
    from bench.report.thumbnails import Thumbnails
    from bench.store.read import readable_cells

    readable, faulty = readable_cells(cells, epochs=True, trials=True)
    problems += faulty
    found = list(dict.fromkeys(str(stored.record["cell"]["task"]) for stored in readable))
    if sources.data is not None and len(found) > 1:
        raise BenchError("--data is the folder of one task: name the task with --task")
    places = sources.tasks, sources.cache, sources.follow_links
    page, unreadable = make_page(
        readable,
        problems,
        {name: published_for(name, baselines, problems) for name in found},
        {name: Thumbnails(sources.data, name, *places) for name in found},
        values,
    )
    problems += unreadable
    return None if page is None else write_page(page, out)
