"""Of several seeds every figure and table of a stage shows means, or says which seed it is of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from bench.core.plotting import LIGHT
from bench.core.predictions import Predictions
from bench.core.table import Table
from bench.report.page import Block, Figure, Gallery, Highlights, Page, Section, Words
from bench.report.results_page import make_page
from bench.store.write import Store
from tests.grids import answers, attributes, faces, put

SEED = re.compile(r"\bseed 0\b")
NUMBER = re.compile(r"-?\d*\.?\d+")
MOVED = 0.05

BEST = {"multiclass": "focal", "multilabel": "asl", "verification": "lda"}
NONE = {"multiclass": "none", "multilabel": "none", "verification": "cosine"}


@cache
def _cells(kind: str) -> dict[tuple[str, int], Predictions]:
    """Return two methods' answers of two seeds, which differ much; the second method's are better."""
    make: dict[str, Any] = {
        "multiclass": lambda good, seed, like: answers(150, 5, (0.3, 0.5)[good] + 0.3 * seed, seed, like),
        "multilabel": lambda good, seed, like: attributes(150, 5, (0.2, 1.0)[good] + seed, seed, like),
        "verification": lambda good, seed, like: faces(200, 40, (0.3, 1.0)[good] + seed, seed, like, folds=2),
    }
    like = make[kind](0, 0, None)
    return {
        (method, seed): make[kind](good, seed, like)
        for good, method in enumerate((NONE[kind], BEST[kind]))
        for seed in (0, 1)
    }


def _page(root: Path, kind: str, swapped: bool) -> Page:
    """Return the report of these cells. swapped: with the answers of each seed stored as the other's."""
    for (method, seed), pred in _cells(kind).items():
        own = 1 - seed if swapped else seed
        put(root, pred, own, method=method, kind=kind, task="t", stage="all")
    page, problems = make_page(Store(root).load()[0], [], {"t": None}, {"t": lambda stored, item: None})
    assert page is not None and not problems
    return page


@dataclass(frozen=True)
class Shown:
    """A block of a section: what a reader sees of its name, and what it shows."""

    section: str
    block: Block
    label: str
    content: Any


def _shown(sections: Any) -> Iterator[Shown]:
    """Yield the blocks of all sections that show numbers."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                label, content = _drawn(block)
                yield Shown(section.title, block, label, content)
            elif isinstance(block, Table):
                yield Shown(section.title, block, block.title, [dict(row) for row in block.rows])
            elif isinstance(block, Highlights):
                label, content = _drawn(block.figure)
                yield Shown(section.title, block, label, (content, block.lines))
            elif isinstance(block, Words):
                yield Shown(section.title, block, block.text, block.text)
            elif isinstance(block, Gallery):
                said = " ".join(one.text for one in section.blocks if isinstance(one, Words))
                yield Shown(section.title, block, said, [tuple(one.lines) for one in block.pictures])
        yield from _shown(section.sections)


def _drawn(figure: Figure) -> tuple[str, Any]:
    """Return what a figure says of itself, and the numbers that it draws."""
    drawing = figure.draw(LIGHT)
    marks: list[Any] = []
    for axes in drawing.axes:
        marks += [np.ravel(line.get_xydata()).tolist() for line in axes.lines]
        marks += [list(one.get_bbox().extents) for one in axes.patches if isinstance(one, Rectangle)]
        marks += [np.nan_to_num(np.ravel(one.get_array()), nan=-1).tolist() for one in axes.images]
    legends = [*drawing.legends, *(axes.get_legend() for axes in drawing.axes)]
    texts = [text.get_text() for legend in legends if legend is not None for text in legend.get_texts()]
    return " ".join([figure.caption, *texts]), marks


def _flat(content: Any) -> Iterator[float | str]:
    """Yield the numbers in a content, those in its texts too, and the texts without them."""
    if isinstance(content, str):
        yield NUMBER.sub("", content)
        yield from map(float, NUMBER.findall(content))
    elif isinstance(content, Mapping):
        yield from _flat([*content.items()])
    elif isinstance(content, list | tuple):
        for part in content:
            yield from _flat(part)
    elif content is not None:
        yield float(content)


def _same(one: Any, other: Any) -> bool:
    """Return whether two contents are alike but for what resampling moves: ends of intervals, a little."""
    a, b = [*_flat(one)], [*_flat(other)]
    return len(a) == len(b) and all(
        x == y if isinstance(x, str) or isinstance(y, str) else abs(x - y) <= MOVED
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("kind", BEST)
def test_what_depends_on_which_seed_is_the_first_says_so(kind: str, tmp_path: Path) -> None:
    """Seeds 0 and 1 exchange their answers: means stay, and what changes is labelled seed 0."""
    one, other = (list(_shown(_page(tmp_path / str(swap), kind, swap).sections)) for swap in (False, True))
    assert [shown.section for shown in one] == [shown.section for shown in other]
    changed = [
        a
        for a, b in zip(one, other, strict=True)
        if not _same(a.content, b.content) and a.section not in RECORDS
    ]
    for shown in changed:
        assert SEED.search(shown.label), f"{shown.section}: {shown.label}"
    assert changed and {type(shown.block) for shown in one} >= {Figure, Table, Highlights}
    assert {shown.section for shown in changed} == OF_ONE_SEED[kind]


RECORDS = ("Data", "Where the numbers come from")

CURVES = "ROC and precision-recall"

OF_ONE_SEED = {
    "multiclass": {"Confusions", "Calibration", CURVES, "Hardest items"},
    "multilabel": {"Calibration", CURVES, "Hardest items"},
    "verification": {"People", "ROC", "Scores", "Hardest pairs"},
}
"""Sections of answers, which have no mean."""


@pytest.mark.parametrize(
    ("kind", "section", "places"),
    [("multiclass", "Classes", {0: "top1"}), ("multilabel", "Attributes", {0: "auc", 1: "f1"})],
)
def test_bars_are_as_long_as_the_table_below_says(
    kind: str, section: str, places: dict[int, str], tmp_path: Path
) -> None:
    page = _page(tmp_path, kind, False)
    [own] = [one for one in _sections(page.sections) if one.title == section]
    figures = [block for block in own.blocks if isinstance(block, Figure)]
    table = [block for block in own.blocks if isinstance(block, Table)][-1]
    assert "mean of seeds 0, 1" in table.title and len(figures) == len(places)
    for place, key in places.items():
        [axes] = figures[place].draw(LIGHT).axes
        bars = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
        names = [label.get_text() for label in axes.get_yticklabels()]
        rows = {
            row["class"]: row[key] for row in table.rows if row["row"] == "class" and row[key] is not None
        }
        assert dict(zip(names, bars, strict=False)) == pytest.approx(rows)


def _sections(sections: Any) -> Iterator[Section]:
    for section in sections:
        yield section
        yield from _sections(section.sections)
