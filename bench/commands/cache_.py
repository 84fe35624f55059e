"""`bench cache`: list, verify and prune the cache."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import cache_option, format_option
from bench.commands.output import show_table
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError
from bench.core.table import Column, Table

if TYPE_CHECKING:
    from bench.runs.cache_entries import Entry

COLUMNS = (
    Column("kind", "kind"),
    Column("task", "task"),
    Column("source", "source"),
    Column("backbone", "backbone"),
    Column("image", "image size"),
    Column("images", "images", "int"),
    Column("size", "size", "bytes"),
    Column("used", "last used"),
    Column("state", "state"),
    Column("name", "name"),
)


@click.group()
def command() -> None:
    """List, verify or prune the cache: pixels, features, hashes of files, training checkpoints.

    Missing or damaged entries are computed again. Results are not part of the cache.
    """


@command.command("list")
@cache_option
@format_option
def list_(cache: str | None, fmt: str) -> None:
    """List the entries of the cache, least recently used first."""
    place, entries = _found(cache)
    rows = []
    for entry in entries:
        with entry.exclusive() as free:
            rows.append(_row(entry, entry.state if free else "in use"))
    show_table(Table(f"Cache {place}", COLUMNS, rows, (_total(entries),)), fmt)


@command.command()
@cache_option
@format_option
def verify(cache: str | None, fmt: str) -> int:
    """Compare every entry with its digests. Exit code 4: an entry is damaged."""
    from bench.commands.progress import Progress
    from bench.runs.cache_upkeep import verify as fault_of

    place, entries = _found(cache)
    rows, total, verified = [], sum(entry.size for entry in entries), 0
    with Progress(0) as progress:

        def show(before: int, done: int) -> None:
            progress.step(before + done, total, "bytes verified")

        for entry in entries:
            why = fault_of(entry, partial(show, verified))
            verified += entry.size
            state = "damaged" if why else "unfinished" if entry.state == "unfinished" else "good"
            rows.append({**_row(entry, state), "why": why or None})
    damaged = sum(row["state"] == "damaged" for row in rows)
    note = f"{damaged} of {len(rows)} are damaged; they are built again when next used."
    notes = (_total(entries), note if damaged else "No entry is damaged.")
    columns = (*COLUMNS, Column("why", "problem"))
    show_table(Table(f"Cache {place}", columns, rows, notes), fmt)
    return EXIT_SOME_FAILED if damaged else EXIT_DONE


@command.command()
@click.option("--max-size", metavar="SIZE", help="Shrink the cache to this size: 500MB, 20GB, 1.5GiB.")
@click.option("--older-than", metavar="AGE", help="Remove entries unused for this long: 12h, 30d, 4w.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@cache_option
@format_option
def prune(max_size: str | None, older_than: str | None, dry_run: bool, cache: str | None, fmt: str) -> None:
    """Remove the least recently used entries, never one in use.

    With both options, old entries are removed first, then as many more as the size requires.
    """
    from bench.report.render import human_size
    from bench.runs.cache_upkeep import parse_age, parse_size
    from bench.runs.cache_upkeep import prune as pruned

    if max_size is None and older_than is None:
        raise BenchError("give --max-size (such as 20GB), --older-than (such as 30d), or both")
    size = None if max_size is None else parse_size(max_size)
    before = None if older_than is None else time.time() - parse_age(older_than)
    place, entries = _found(cache)
    done = pruned(entries, size, before, dry_run)
    rows = [_row(entry, "would be removed" if dry_run else "removed") for entry in done.removed]
    rows += [_row(entry, "in use") for entry in done.in_use]
    freed = human_size(sum(entry.size for entry in done.removed))
    left = len(entries) - len(done.removed)
    note = f"{'Would remove' if dry_run else 'Removed'} {len(done.removed)} ({freed}); {left} stay"
    notes = [f"{note} ({human_size(done.stays)})."]
    if done.in_use:
        notes.append(f"{len(done.in_use)} more are in use by another process and stay.")
    show_table(Table(f"Cache {place}", COLUMNS, rows, notes), fmt)


def _found(cache: str | None) -> tuple[Path, list[Entry]]:
    """Return the cache's folder and its entries. Raises BenchError if the path is not a folder."""
    from bench.core.paths import cache_dir
    from bench.runs.cache_entries import find_entries

    place = cache_dir(cache)
    if place.exists() and not place.is_dir():
        raise BenchError(f"cache {place}: not a folder; name another with --cache DIR")
    try:
        return place, find_entries(place)
    except OSError as error:
        raise BenchError(f"cache {place}: cannot be read ({error.strerror or error})") from None


def _row(entry: Entry, state: str) -> Mapping[str, Any]:
    return {
        "kind": entry.contents,
        "task": entry.task or None,
        "source": entry.source or None,
        "backbone": entry.backbone or None,
        "image": entry.image or None,
        "images": entry.count,
        "size": entry.size,
        "used": time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)),
        "state": state,
        "name": entry.path.name,
    }


def _total(entries: Sequence[Entry]) -> str:
    from bench.report.render import human_size

    return f"{len(entries)} in all, {human_size(sum(entry.size for entry in entries))}."
