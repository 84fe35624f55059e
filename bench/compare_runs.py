"""Compares two settings of which every answer is known: paired, item by item, where items are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.comparison import INCOMPARABLE, MISSING, Comparison, Setting, difference
from bench.duels import decided, duel, shown_metrics
from bench.errors import StoreError
from bench.sides import Answers, answers_of

OTHER_ITEMS = "data: other test images are scored"


def compare_runs(
    ours: Setting,
    theirs: Setting,
    template: Comparison,
    draws: int | None,
    seed: int,
    obstacle: str = "",
    problems: list[str] | None = None,
) -> list[Comparison]:
    """Return the metrics and the classes of one setting beside those of another, seeds paired in order.

    With one seed, top-1 has the exact p of McNemar's test; with several, the interval and p are of the nested
    seed + item bootstrap. Items of a group are drawn together. template: names both sides. obstacle: why the
    two cannot be judged; then, and where the items are others, there are differences and no verdict.
    problems: is given a line for each cell whose predictions cannot be read, and that pair of seeds is left
    out. Without it such a cell raises StoreError.
    """
    pairs = list(zip(ours.seeds, theirs.seeds, strict=True))
    answers: Mapping[tuple[int, int], tuple[Answers, Answers]] = {}
    if not obstacle:
        answers = _read(ours, theirs, pairs, problems)
        if not answers:
            why = "no predictions of it can be read"
            return [replace(template, ours=ours.mean(ours.headline), verdict=MISSING, why=why)]
        pairs = list(answers)
        ours = replace(ours, cells={mine: ours.cells[mine] for mine, _ in pairs})
        theirs = replace(theirs, cells={other: theirs.cells[other] for _, other in pairs})
        template = replace(template, seeds=ours.seeds)
        keys = {side.key for sides in answers.values() for side in sides}
        obstacle = OTHER_ITEMS if len(keys) > 1 else ""
    rows = stored_rows(template, ours, theirs)
    if obstacle:
        return [replace(row, verdict=INCOMPARABLE, why=obstacle) for row in rows]
    sides = [(mine.pred, other.pred) for mine, other in answers.values()]
    scored = all(side.scored for pair in answers.values() for side in pair)
    groups = next((side.groups for side in sides[0] if side.groups is not None), None)
    fight = duel(ours.kind, sides, scored, groups, draws, seed)
    return decided(fight, rows, template, len(sides), seed)


def stored_rows(template: Comparison, ours: Setting, theirs: Setting) -> list[Comparison]:
    """Return a row for each metric that either side has, the means over seeds, without interval."""
    n_ours, n_theirs = ours.size, theirs.size
    rows = []
    for metric in shown_metrics(ours.kind):
        mine, other = ours.mean(metric), theirs.mean(metric)
        if mine is not None or other is not None:
            row = replace(template, metric=metric, ours=mine, theirs=other, n_ours=n_ours, n_theirs=n_theirs)
            rows.append(replace(row, difference=difference(mine, other)))
    return rows


def _read(
    ours: Setting, theirs: Setting, pairs: Sequence[tuple[int, int]], problems: list[str] | None
) -> Mapping[tuple[int, int], tuple[Answers, Answers]]:
    """Return what both sides answered, of the pairs of seeds that can be read."""
    out = {}
    for mine, other in pairs:
        try:
            out[mine, other] = answers_of(ours.cells[mine]), answers_of(theirs.cells[other])
        except StoreError as error:
            if problems is None:
                raise
            problems.append(str(error))
    return out
