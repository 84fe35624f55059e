"""What commands that read stored cells do first: look at the names given, load, tell what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from bench.errors import StoreError, unknown
from bench.store import Store, Stored, slug


def load_cells(results: str | None, task: str | None) -> tuple[Path, list[Stored], list[str]]:
    """Return the results folder, its cells of the task (None: of all), and a line per unreadable cell.

    The lines are not yet told. Raises StoreError for a folder that is a file, BenchError for a task that has
    neither a card nor a stored cell.
    """
    root = results_root(results)
    check_task(root, task)
    cells, problems = Store(root).load(task)
    return root, cells, problems


def results_root(results: str | None) -> Path:
    """Return the results folder, which need not be there. Raises StoreError if it is a file."""
    from bench.paths import results_dir

    root = results_dir(results)
    if root.exists() and not root.is_dir():
        raise StoreError(f"results folder {str(root)!r}: it is a file; choose another with --results DIR")
    return root


def check_task(root: Path, task: str | None) -> None:
    """Raise BenchError, with the nearest name, for a task that has neither a card nor a folder of results."""
    from bench.cards import find_cards
    from bench.paths import search_path

    if task is None:
        return
    stored = {path.name for path in root.glob("[!.]*") if path.is_dir()}
    known = sorted({*find_cards(search_path("tasks")), *stored})
    if task not in known and slug(task) not in stored:
        raise unknown("task", task, known, f"there are: {', '.join(known)}")


def in_one_thread() -> None:
    """Keep numpy's products of matrices in the thread they are asked for, if it is not yet imported.

    Those of a bootstrap are many and small: its threads would wait for each other longer than they work.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def tell(problems: Sequence[str]) -> None:
    """Write a line for each problem to standard error."""
    for problem in problems:
        click.echo(f"bench: {problem}", err=True)
