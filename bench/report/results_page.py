"""Page of a results folder: conclusions, stages, evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import bench
from bench.compare.baselines.types import Baseline
from bench.compare.leaderboard import Board, boards
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.stored_cells import read_bootstraps
from bench.core.plural import counted
from bench.report.caveats import TITLE as WARNINGS
from bench.report.caveats import warnings_section
from bench.report.page import Page, Section
from bench.report.provenance import data_section, origin_section
from bench.report.stage import StageReport, Thumbnail, shown_metrics
from bench.report.stage_sections import answer_blocks, stage_section
from bench.runs.cell_data import ColumnValues
from bench.store.settings import kind_of
from bench.store.write import Stored


def make_page(
    cells: Sequence[Stored],
    problems: Sequence[str],
    published: Mapping[str, Baseline | None],
    thumbnails: Mapping[str, Thumbnail],
    values: ColumnValues | None = None,
) -> tuple[Page | None, list[str]]:
    """Return the page of these stored cells, and a message for each unreadable one.

    problems: messages about unreadable files. values: of a column, by which stages are divided. published,
    thumbnails: by task, for every task of the cells. The page is None without a readable measured cell.
    """
    found, unreadable = [], []
    by_task: dict[str, list[Stored]] = {}
    for stored in cells:
        by_task.setdefault(stored.record["cell"]["task"], []).append(stored)
    bootstraps: dict[str, list[PairedBootstrap]] = {}
    for task, own in by_task.items():
        ranked, bootstraps[task], lines = _ranked(own)
        found += ranked
        unreadable += lines
    if not found:
        return None, unreadable
    by_id = {stored.id: stored for stored in cells}
    names = Counter((board.cell["task"], board.cell["stage"]) for board in found)
    stages = [
        StageReport(
            board,
            by_id,
            published[board.cell["task"]],
            thumbnails[board.cell["task"]],
            names[board.cell["task"], board.cell["stage"]] > 1,
            values,
        )
        for board in found
    ]
    records = [stored.record for stored in cells]
    warned, count = warnings_section(by_task, bootstraps)
    data = data_section(records, found, [*problems, *unreadable])
    sections = [
        _conclusions(stages),
        *map(stage_section, stages),
        Section("Evidence", (), (warned, data, origin_section(records))),
    ]
    tasks = ", ".join(by_task)
    lead = _lead(records, len(problems) + len(unreadable))
    links = {f"{counted(count, 'data warning')}.": WARNINGS} if count else {}
    return Page(f"messybench: {tasks}", lead, sections, links), unreadable


def _conclusions(stages: Sequence[StageReport]) -> Section:
    """Return what the boards show."""
    if len(stages) == 1:
        return Section("Conclusions", answer_blocks(stages[0]))
    return Section("Conclusions", (), [Section(stage.title, answer_blocks(stage)) for stage in stages])


def _ranked(cells: Sequence[Stored]) -> tuple[list[Board], list[PairedBootstrap], list[str]]:
    """Return the boards of one task's cells, their bootstraps, and a message for each unreadable cell."""
    measured = [stored for stored in cells if stored.ok]
    if not measured:
        return [], [], []
    kind = kind_of(measured[0].record)
    found, unreadable = read_bootstraps(cells, shown_metrics(kind.name))
    return boards([stored.record for stored in cells], found, kind.selection), found, unreadable


def _lead(records: Sequence[Mapping[str, Any]], unread: int) -> str:
    measured = sum(record["status"] == "ok" for record in records)
    parts = [f"{measured} measured cells", f"{len(records) - measured} failed"]
    if unread:
        parts.append(f"{unread} files that could not be read")
    return f"{', '.join(parts)}. Written by messybench {bench.__version__}."
