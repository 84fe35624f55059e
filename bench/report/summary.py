"""Makes the page of a results folder: what was measured, stage by stage, and where it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import bench
from bench.baselines import Baseline
from bench.effects import effect_metrics
from bench.leaderboard import Board, boards
from bench.outcomes import contests
from bench.report.account import data_section, origin_section
from bench.report.against import against_section
from bench.report.contents import stage_section
from bench.report.page import Page
from bench.report.settings import kind_of
from bench.report.stage import Stage, Thumbnail
from bench.store import Stored


def make_page(
    cells: Sequence[Stored],
    problems: Sequence[str],
    published: Mapping[str, Baseline | None],
    thumbnails: Mapping[str, Thumbnail],
) -> tuple[Page | None, list[str]]:
    """Return the page of these stored cells, and a line per cell that cannot be read.

    problems: lines about files that could not be read. published, thumbnails: by task, for every task among
    the cells. Without a measured cell that can be read there is no page.
    """
    found, unreadable = [], []
    by_task: dict[str, list[Stored]] = {}
    for stored in cells:
        by_task.setdefault(stored.record["cell"]["task"], []).append(stored)
    for own in by_task.values():
        ranked, lines = _ranked(own)
        found += ranked
        unreadable += lines
    if not found:
        return None, unreadable
    by_id = {stored.id: stored for stored in cells}
    names = Counter((board.cell["task"], board.cell["stage"]) for board in found)
    stages = [
        Stage(
            board,
            by_id,
            published[board.cell["task"]],
            thumbnails[board.cell["task"]],
            names[board.cell["task"], board.cell["stage"]] > 1,
        )
        for board in found
    ]
    records = [stored.record for stored in cells]
    sections = [
        against_section(by_task),
        *map(stage_section, stages),
        data_section(records, found, [*problems, *unreadable]),
        origin_section(records),
    ]
    tasks = ", ".join(by_task)
    return Page(f"messybench: {tasks}", _lead(records, len(problems) + len(unreadable)), sections), unreadable


def _ranked(cells: Sequence[Stored]) -> tuple[list[Board], list[str]]:
    """Return the boards of one task's cells."""
    measured = [stored for stored in cells if stored.ok]
    if not measured:
        return [], []
    kind = kind_of(measured[0].record)
    metric = kind.headline[0]
    found, unreadable = contests(cells, effect_metrics(kind.name, metric))
    return boards([stored.record for stored in cells], found, metric), unreadable


def _lead(records: Sequence[Mapping[str, Any]], unread: int) -> str:
    measured = sum(record["status"] == "ok" for record in records)
    parts = [f"{measured} measured cells", f"{len(records) - measured} failed"]
    if unread:
        parts.append(f"{unread} files that could not be read")
    return f"{', '.join(parts)}. Written by messybench {bench.__version__}."
