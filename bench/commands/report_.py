"""`bench report`: one page with tables and plots of everything stored."""

from __future__ import annotations

import click

from bench.commands.options import baselines_option, cache_option, results_option, tasks_option
from bench.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED, BenchError


@click.command()
@click.option("--out", required=True, metavar="DIR", help="Folder that index.html and plots/ are written to.")
@click.option("--task", help="Only this task.")
@click.option("--data", metavar="DIR", help="Folder with the task's data, for pictures of the hardest items.")
@results_option
@baselines_option
@tasks_option
@cache_option
def command(
    out: str,
    task: str | None,
    data: str | None,
    results: str | None,
    baselines: str | None,
    tasks: str | None,
    cache: str | None,
) -> int:
    """Write one page with tables and plots of all stored results.

    DIR/index.html needs no network and nothing beside it; DIR/plots holds each plot as PNG and SVG.
    """
    from pathlib import Path

    from bench.baselines import published_for
    from bench.commands.loading import in_one_thread, load_cells
    from bench.paths import cache_dir, search_path
    from bench.report.html import write_page
    from bench.report.summary import make_page
    from bench.report.thumbnails import Thumbnails
    from bench.stored import sound

    in_one_thread()
    root, cells, problems = load_cells(results, task)
    cells, faulty = sound(cells, epochs=True)
    problems += faulty
    found = list(dict.fromkeys(str(stored.record["cell"]["task"]) for stored in cells))
    if data is not None and len(found) > 1:
        raise BenchError("--data is one task's folder: name the task with --task")
    folders, cards = search_path("baselines", baselines), search_path("tasks", tasks)
    folder = None if data is None else Path(data).expanduser().resolve()
    page, unreadable = make_page(
        cells,
        problems,
        {name: published_for(name, folders, problems) for name in found},
        {name: Thumbnails(folder, name, cards, cache_dir(cache)) for name in found},
    )
    problems += unreadable
    for problem in problems:
        click.echo(f"bench: {problem}", err=True)
    if page is None:
        what = f"no measured cell of {task}" if task else "no measured cell"
        click.echo(f"bench: {what} in {root}; `bench run --task {task or 'fashion'}` makes some", err=True)
        return EXIT_NOTHING_MEASURED
    click.echo(f"wrote {write_page(page, Path(out).expanduser())}")
    return EXIT_SOME_FAILED if problems else EXIT_DONE
