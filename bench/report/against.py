"""What a report says first: leaks, labels without signal, methods no better than chance, filled-in labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.honesty import warnings
from bench.metrics.registry import METRICS
from bench.report.imputation import imputation_table
from bench.report.page import Block, Points, Section, Words
from bench.report.settings import kind_of
from bench.store import Stored

TITLE = "What the data says against itself"

LEAKS = "test images that are also in train, byte for byte"
CHANCE = "methods that do no better than chance"

CHECKS = {
    "duplicates": "pictures that are there more than once, or nearly so",
    "signal": "labels that images tell no better than permuted labels",
}
"""What is looked for where the check of this name is stored."""


def against_section(by_task: Mapping[str, Sequence[Stored]]) -> Section:
    """Return what stored cells say against themselves, by task; in a section each if there are several."""
    said = {task: _blocks(cells) for task, cells in by_task.items() if any(stored.ok for stored in cells)}
    if len(said) == 1:
        return Section(TITLE, said.popitem()[1])
    return Section(TITLE, (), [Section(task, blocks) for task, blocks in said.items()])


def _blocks(cells: Sequence[Stored]) -> list[Block]:
    records = [stored.record for stored in cells]
    done = {name for record in records for name in record.get("checks", {})}
    chance = METRICS[kind_of(records[0]).selection].chance is not None
    what = [LEAKS, *(text for name, text in CHECKS.items() if name in done), *([CHANCE] if chance else [])]
    blocks: list[Block] = [Words(f"Looked for: {'; '.join(what)}.")]
    lines = warnings(cells)
    blocks.append(Points(lines) if lines else Words("Nothing of this was found."))
    # The test is for labels of the kind that chance has a value for.
    if chance and "signal" not in done:
        blocks.append(Words("No cell has a permutation test of its labels stored."))
    if (imputed := imputation_table(records)) is not None:
        blocks.append(imputed)
    return blocks
