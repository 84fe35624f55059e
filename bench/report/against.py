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

LOOKED_FOR = (
    "Looked for: test images that are also in train, byte for byte; labels that images tell no better than "
    "permuted labels; methods that do no better than chance."
)


def against_section(by_task: Mapping[str, Sequence[Stored]]) -> Section:
    """Return what stored cells say against themselves, by task; in a section each if there are several."""
    said = {task: _blocks(cells) for task, cells in by_task.items() if any(stored.ok for stored in cells)}
    if len(said) == 1:
        return Section(TITLE, (Words(LOOKED_FOR), *said.popitem()[1]))
    return Section(TITLE, (Words(LOOKED_FOR),), [Section(task, blocks) for task, blocks in said.items()])


def _blocks(cells: Sequence[Stored]) -> list[Block]:
    records = [stored.record for stored in cells]
    lines = warnings(cells)
    blocks: list[Block] = [Points(lines)] if lines else [Words("Nothing of this was found.")]
    tested = any("signal" in record.get("checks", {}) for record in records)
    # Where chance has a value, labels are of the kind that the permutation test is made for.
    if not tested and METRICS[kind_of(records[0]).selection].chance is not None:
        blocks.append(Words("No cell has a permutation test of its labels stored."))
    if (imputed := imputation_table(records)) is not None:
        blocks.append(imputed)
    return blocks
