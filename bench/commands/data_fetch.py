"""`bench data fetch`: download a public data set and lay it out as a data folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import format_option
from bench.commands.output import lines_of, show_table
from bench.core.errors import BenchError
from bench.core.paths import user_path

if TYPE_CHECKING:
    from bench.core.table import Table
    from bench.data.fetch.records import Records
    from bench.data.fetch.table import DataSet, RemoteFile

yes_option = click.option("--yes", is_flag=True, help="Download without asking.")


@click.command()
@click.argument("name", required=False, metavar="TASK|SET")
@click.option("--out", metavar="DIR", help="A new folder [data/SET].")
@click.option("--list", "listing", is_flag=True, help="List the sets; nothing is downloaded.")
@yes_option
@format_option
def fetch(name: str | None, out: str | None, listing: bool, yes: bool, fmt: str) -> None:
    """Download a public data set in the layout that --data reads.

    A task's name stands for its first set. Size, licence and checksum are shown before anything is
    downloaded. After an interruption the same command resumes. A file whose checksum is not the
    published one is deleted, and nothing is laid out.
    """
    from bench.commands.progress import Progress
    from bench.core.paths import cache_dir, kagglehub_cache
    from bench.data.fetch.lay_out import check_out, check_room
    from bench.data.fetch.lay_out import fetch as fetch_set
    from bench.data.fetch.records import Records
    from bench.data.fetch.table import SETS, find_sets

    if listing:
        show_table(set_table(find_sets(name) if name else list(SETS.values())), fmt)
        return
    if not name:
        raise BenchError("name a task or a data set; bench data fetch --list shows all")
    data = find_sets(name)[0]
    place = user_path(out if out is not None else f"data/{data.name}")
    if out is not None and not out.strip():
        raise BenchError("--out is empty: give it a value or leave it out")
    check_out(place)
    records = Records(cache_dir())
    lines, size, version = describe(data, place, records)
    click.echo(lines_of(lines))
    if size is not None:
        check_room(kagglehub_cache() if data.kaggle else place, size)
    agree(yes)
    with Progress(0) as progress:
        fetch_set(data, place, records, progress.say, version, progress.step)
    click.echo(lines_of([f"wrote {place}", "next:", *_next(data, name, place)]))


def agree(yes: bool) -> None:
    """Ask whether to download. Raises BenchError after a no, and without a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BenchError("nothing was downloaded: add --yes, or answer the question at a terminal")
    if not click.confirm("Download?"):
        raise BenchError("nothing was downloaded")


def describe(data: DataSet, place: Path, records: Records) -> tuple[list[str], int | None, int | None]:
    """Describe a download: lines of text, the size in bytes if known, and the version of a Kaggle data set.

    Facts that the table lacks are requested from the server. Raises DataError if Kaggle cannot be reached.
    """
    from bench.report.render import human_size

    lines = [f"{data.name}: {data.title}", f"  from     {data.page}"]
    if data.kaggle:
        from bench.data.fetch.kaggle_sets import ask_kaggle

        facts = ask_kaggle(data.kaggle)
        recorded = records.of(data.page).get("version")
        version = recorded if isinstance(recorded, int) else facts.version
        lines += [f"  licence  {facts.licence or 'see its page'}", f"  to       {place}"]
        lines.append(
            f"  archive  {human_size(facts.size)}, version {version}; kagglehub checks Kaggle's checksum"
        )
        return lines, facts.size, version
    lines += [f"  licence  {data.licence}", f"  to       {place}"]
    sizes = [_size(file) if file.size is None else file.size for file in data.files]
    for file, size in zip(data.files, sizes, strict=True):
        digest = file.sha256 or records.sha256(file.url)
        known = f"SHA-256 {digest}" if digest else "checksum not known"
        lines.append(f"  {file.name}  {human_size(size)}, {known}")
    return lines, None if None in sizes else sum(size or 0 for size in sizes), None


def _size(file: RemoteFile) -> int | None:
    """Return the size that the server reports, or None; the download reports an unreachable server."""
    from bench.core.download import size_of

    try:
        return size_of(file.url)
    except OSError:
        return None


def set_table(sets: Sequence[DataSet]) -> Table:
    """Return the sets as a table, without network access."""
    from bench.core.table import Column, Table
    from bench.data.fetch.table import tasks_of

    rows = [
        {
            "set": data.name,
            "tasks": ", ".join(tasks_of(data)),
            "size": data.size,
            "licence": data.licence or "see its page",
            "checksum": _checksum(data),
            "title": data.title,
            "page": data.page,
        }
        for data in sets
    ]
    ranks = {"set": 0, "size": 0, "page": 3}
    columns = [
        Column(name, name, "bytes" if name == "size" else "text", rank=ranks.get(name, 1)) for name in rows[0]
    ]
    notes = (
        "Missing sizes are looked up before the download.",
        "An unknown checksum is recorded on the first download and compared from then on.",
    )
    return Table("Data sets", columns, rows, notes)


def _checksum(data: DataSet) -> str:
    if data.kaggle:
        return "Kaggle's"
    return "SHA-256" if all(file.sha256 for file in data.files) else "not known"


def _next(data: DataSet, name: str, place: Path) -> list[str]:
    from bench.data.fetch.table import tasks_of

    tasks = tasks_of(data)
    task = name if name in tasks else next(iter(tasks))
    typed = ["--task", task, "--data", str(place), *tasks[task]]
    return [f"  {shlex.join(['bench', *words, *typed])}" for words in (["data", "check"], ["run"])]
