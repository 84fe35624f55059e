"""`bench merge DIR... --into DIR`: merge the results of several machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import format_option
from bench.commands.output import show_tables
from bench.core.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_REGRESSION, EXIT_SOME_FAILED, BenchError
from bench.core.paths import user_path

if TYPE_CHECKING:
    from bench.core.table import Table
    from bench.store.merge import Merged, StoredAnswer

SHOWN = {"from": 40, "answer from": 20, "setting": 20}
"""Maximum length of folder names and settings in a terminal table."""


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("--into", required=True, metavar="DIR", help="Folder for the merged results.")
@format_option
def command(folders: tuple[str, ...], into: str, fmt: str) -> int:
    """Merge the results of several machines into one folder, which may have results already.

    DIR is a results folder; it is only read. A cell with the same predictions is stored once. If predictions
    differ, both are stored and shown; the first one counts. A failed cell never replaces a measured one. Exit
    codes: 3, a cell has several answers; 4, a cell could not be read and was left out.
    """
    from bench.commands.loading import report_problems
    from bench.store.merge import answers, merge

    if not into.strip():
        raise BenchError("--into is empty: name the folder for all results")
    target = user_path(into)
    waiting = f"a run or another merge is writing to {target}; waiting for it to end"
    done = merge([user_path(text) for text in folders], target, lambda: report_problems([waiting]))
    problems = [line for lines in done.problems.values() for line in lines]
    report_problems(problems)
    report_problems(
        [f"{source}: has no results" for source, counts in done.counts.items() if not counts.total()]
    )
    whole = fmt in ("csv", "json")
    tables = [_counts_table(done, target, whole)]
    by_task: dict[str, list[list[StoredAnswer]]] = {}
    for first in sorted(done.disagreeing):
        if found := answers(first):
            by_task.setdefault(found[0].stored.record["cell"]["task"], []).append(found)
    tables += [_answers_table(task, cells, whole) for task, cells in by_task.items()]
    show_tables(tables, fmt)
    if done.disagreeing:
        return EXIT_REGRESSION
    if problems:
        return EXIT_SOME_FAILED
    return EXIT_DONE if any(counts.total() for counts in done.counts.values()) else EXIT_NOTHING_MEASURED


def _counts_table(done: Merged, into: Path, whole: bool) -> Table:
    """Return a row for each source with the outcomes of its cells."""
    from bench.core.table import Column, Table
    from bench.store.merge import DAMAGED, EQUAL, LEFT, NEW, OTHER
    from bench.store.write import Store

    titles = {
        NEW: "new",
        EQUAL: "already stored",
        OTHER: "other answer",
        LEFT: "left out",
        DAMAGED: "not readable",
    }
    columns = [Column("from", "from"), Column("cells", "cells", "int")]
    columns += [Column(key, title, "int") for key, title in titles.items()]
    rows = [
        {
            "from": str(source) if whole else _end(str(source), SHOWN["from"]),
            "cells": counts.total(),
            **{key: counts[key] for key in titles},
        }
        for source, counts in done.counts.items()
    ]
    cells, _ = Store(into).load()
    failed = sum(not stored.ok for stored in cells)
    notes = [f"{_end(str(into), SHOWN['from'])} now has {len(cells)} cells; {failed} of them failed."]
    if any(counts[LEFT] for counts in done.counts.values()):
        notes.append(
            "left out: failed while a measured one is stored, or the stored one must not be replaced."
        )
    return Table("", columns, rows, notes)


def _answers_table(task: str, cells: Sequence[Sequence[StoredAnswer]], whole: bool) -> Table:
    """Return a row for each answer of the cells that have several."""
    from bench.core.kind import get_kind
    from bench.core.table import Column, Table
    from bench.report.result_tables import metric_column

    metric = get_kind(cells[0][0].stored.record["cell"]["kind"]).headline[0]
    columns = [
        Column("cell", "cell"),
        Column("setting", "setting"),
        Column("seed", "seed", "int"),
        Column("from", "from"),
        metric_column(metric),
        Column("largest", "largest difference", "number"),
        Column("changed", "changed answers", "int"),
        *([Column("items", "items", "int")] if whole else []),
    ]
    rows = [_answer_row(answer, metric, whole) for found in cells for answer in found]
    notes = [
        "The first answer counts; the others are stored beside it. `bench reproduce CELL` runs it again.",
        *_processor_notes([answer for found in cells for answer in found]),
    ]
    return Table(f"Cells of {task} with several answers", columns, rows, notes)


def _answer_row(answer: StoredAnswer, metric: str, whole: bool) -> dict[str, Any]:
    cell, difference = answer.stored.record["cell"], answer.difference
    setting = f"{cell['backbone']} {cell['method_text']}"
    origin = answer.origin or "a run here"
    return {
        "cell": answer.stored.name,
        "setting": setting if whole else _start(setting, SHOWN["setting"]),
        "seed": cell["seed"],
        "from": origin if whole else _end(origin, SHOWN["answer from"]),
        metric: answer.stored.record["metrics"].get("test", {}).get(metric),
        "largest": None if difference is None else difference.largest,
        "changed": None if difference is None or difference.largest is None else difference.changed,
        "items": None if difference is None else difference.items or None,
    }


def _processor_notes(answers: Sequence[StoredAnswer]) -> list[str]:
    """Return notes on whether the processors explain the differences."""
    from bench.core.processor import same_processor

    records = [answer.stored.record.get("environment", {}) for answer in answers]
    names = sorted({str(record.get("processor", "unknown"))[:80] for record in records})
    if all(same_processor(records[0], record) for record in records):
        return ["All ran on one kind of processor, where each cell should be bit-identical every time."]
    return [
        "Nets trained end to end give slightly different scores on other processors. These ran on:",
        *(f"  {name}" for name in names),
    ]


def _end(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"…{text[1 - limit :]}"


def _start(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
