"""Data warnings of a report: leaks, labels without signal, methods no better than chance, imputed labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.warnings import warnings
from bench.report.page import Block, Points, Section, Words
from bench.store.settings import kind_of
from bench.store.write import Stored

TITLE = "Data warnings"

LEAKS = "test images that are also in train (byte-identical or near duplicates)"
CHANCE = "methods no better than chance or a trivial answer"

CHECKS = {
    "duplicates": "duplicates and near duplicates with contradicting labels",
    "signal": "labels that are no easier to predict than permuted ones",
}
"""Description of each check that cells may store."""


def warnings_section(
    by_task: Mapping[str, Sequence[Stored]], found: Mapping[str, Sequence[PairedBootstrap]]
) -> tuple[Section, int]:
    """Return the data warnings, with a subsection for each task if there are several, and their number.

    found: bootstraps of each task's cells, see `bench.compare.warnings.warnings`.
    """
    blocks = {
        task: _blocks(cells, found[task])
        for task, cells in by_task.items()
        if any(stored.ok for stored in cells)
    }
    count = sum(len(block.lines) for own in blocks.values() for block in own if isinstance(block, Points))
    if len(blocks) == 1:
        return Section(TITLE, blocks.popitem()[1]), count
    return Section(TITLE, (), [Section(task, own) for task, own in blocks.items()]), count


def _blocks(cells: Sequence[Stored], found: Sequence[PairedBootstrap]) -> list[Block]:
    records = [stored.record for stored in cells]
    done = {name for record in records for name in record.get("checks", {})}
    checked = [LEAKS, *(text for name, text in CHECKS.items() if name in done), CHANCE]
    blocks: list[Block] = [Words(f"Checked for: {'; '.join(checked)}.")]
    lines = warnings(cells, found)
    blocks.append(Points(lines) if lines else Words("None found."))
    if "signal" not in done:
        blocks.append(Words("No cell has a stored permutation test of its labels."))
    return [*blocks, *kind_of(records[0]).tables.extra_tables(records)]
