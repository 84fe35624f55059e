"""Compares any two sides: stored settings, pinned or published baselines, answers that look at no image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench import stats
from bench.baselines import INCOMPARABLE as FORBIDDING
from bench.baselines import Flag, Number, PublishedResult
from bench.compare_published import as_published, beside, compare_published
from bench.compare_runs import OTHER_ITEMS, compare_runs
from bench.comparison import (
    BETTER,
    INCOMPARABLE,
    MISSING,
    WORSE,
    Comparison,
    Setting,
    difference,
    judged,
    judged_classes,
)
from bench.duels import shown_metrics
from bench.entrants import Entrant
from bench.errors import BenchError
from bench.kinds.base import PAIRS

UNPAIRED = "other test items: not paired"

_SWAPPED = {BETTER: WORSE, WORSE: BETTER}


def versus(
    ours: Sequence[Entrant],
    theirs: Sequence[Entrant],
    draws: int | None = None,
    seed: int = 0,
    problems: list[str] | None = None,
) -> list[Comparison]:
    """Return every comparison of what two texts name: equal stages with each other.

    Of two pinned baselines, or a pinned one and a setting it has, equal settings stand beside each other;
    else all of a stage. draws, seed, problems: see `bench.compare.compare`. Raises BenchError where nothing
    of one side has the stage of anything of the other.
    """
    pairs = [(a, b) for a in ours for b in theirs if a.stage == b.stage]
    if not pairs:
        sides = [", ".join(dict.fromkeys(e.stage for e in side)) or "nothing" for side in (ours, theirs)]
        raise BenchError(f"nothing to compare: one side is of stage {sides[0]}, the other of {sides[1]}")
    for same in (_same_setting, _same_data):
        pairs = [pair for pair in pairs if same(*pair)] or pairs
    return [row for a, b in pairs for row in _compared(a, b, draws, seed, problems)]


def _same_setting(ours: Entrant, theirs: Entrant) -> bool:
    a, b = ours.setting, theirs.setting
    if a is None or b is None or not (ours.baseline or theirs.baseline):
        return True
    keys = ("regime", "backbone", "weights", "method")
    return all(getattr(a, key) == getattr(b, key) for key in keys)


def _same_data(ours: Entrant, theirs: Entrant) -> bool:
    a, b = ours.setting, theirs.setting
    return a is None or b is None or a.fingerprint == b.fingerprint


def _compared(
    ours: Entrant, theirs: Entrant, draws: int | None, seed: int, problems: list[str] | None
) -> list[Comparison]:
    if ours.setting is not None and theirs.setting is not None:
        return _two_settings(ours.setting, theirs.setting, theirs, draws, seed, problems)
    if ours.setting is not None:
        assert theirs.published is not None and theirs.baseline is not None
        rows = compare_published(ours.setting, theirs.baseline, theirs.published)
        return [replace(row, against=theirs.name) for row in rows]
    assert ours.published is not None and ours.baseline is not None
    if theirs.setting is not None:
        rows = compare_published(theirs.setting, ours.baseline, ours.published)
        blank = replace(_blank(ours, theirs), kind=theirs.setting.kind)
        return [_named(swapped(row), blank) for row in rows]
    return _two_published(ours, theirs)


def _two_settings(
    ours: Setting,
    theirs: Setting,
    their: Entrant,
    draws: int | None,
    seed: int,
    problems: list[str] | None,
) -> list[Comparison]:
    template = replace(ours.row(their.name), against=their.name)
    if ours.kind != theirs.kind:
        return [replace(template, verdict=INCOMPARABLE, why=f"kind: {ours.kind} and {theirs.kind}")]
    obstacle = ""
    for what, a, b in (
        ("task", f"version {ours.task_version}", f"version {theirs.task_version}"),
        ("data", ours.source, theirs.source),
        ("data", ours.fingerprint[:8], theirs.fingerprint[:8]),
        ("test", _tested(ours), _tested(theirs)),
    ):
        obstacle = obstacle or (f"{what}: {a}, theirs {b}" if a != b else "")
    sides = _paired_seeds(ours, theirs)
    rows = compare_runs(*sides, replace(template, seeds=sides[0].seeds), draws, seed, obstacle, problems)
    if obstacle or not any(row.why == OTHER_ITEMS for row in rows):
        return rows
    # Other items of the same data: a difference of two samples.
    if ours.kind == PAIRS:
        from bench.published_pairs import unpaired_rows

        return unpaired_rows(replace(template, seeds=ours.seeds), ours, theirs, UNPAIRED)
    theirs_numbers = as_published(theirs, shown_metrics(theirs.kind))
    rows = beside(ours, replace(template, seeds=ours.seeds), theirs_numbers, "")
    return [row if row.verdict == MISSING else replace(row, why=_said(row.why)) for row in rows]


def _tested(setting: Setting) -> str:
    """Say what a setting's test images are."""
    return "training images of a rehearsal" if setting.protocol.get("rehearse") else "the test part"


def _said(why: str) -> str:
    return f"{UNPAIRED}; {why}" if why else UNPAIRED


def _paired_seeds(ours: Setting, theirs: Setting) -> tuple[Setting, Setting]:
    """Return both sides with as many seeds: those they share; without any, as many as both have, in order."""
    shared = [seed for seed in ours.seeds if seed in theirs.cells]
    count = min(len(ours.seeds), len(theirs.seeds))
    mine, other = (shared, shared) if shared else (ours.seeds[:count], theirs.seeds[:count])
    return (
        replace(ours, cells={seed: ours.cells[seed] for seed in mine}),
        replace(theirs, cells={seed: theirs.cells[seed] for seed in other}),
    )


def swapped(row: Comparison) -> Comparison:
    """Return the row as the other side sees it; whose interval `theirs_low` was is gone.

    >>> row = Comparison("t", "b", "s", "top1_micro", "", "", BETTER, ours=0.5, theirs=0.25, difference=0.25)
    >>> swapped(row).verdict, swapped(row).ours, swapped(row).difference
    ('worse', 0.25, -0.25)
    """
    return replace(
        row,
        ours=row.theirs,
        theirs=row.ours,
        difference=None if row.difference is None else -row.difference,
        low=None if row.high is None else -row.high,
        high=None if row.low is None else -row.low,
        theirs_low=None,
        theirs_high=None,
        n_ours=row.n_theirs,
        n_theirs=row.n_ours,
        verdict=None if row.verdict is None else _SWAPPED.get(row.verdict, row.verdict),
    )


def _blank(ours: Entrant, theirs: Entrant) -> Comparison:
    """Return a row that names a published side and another, without numbers."""
    assert ours.published is not None and ours.baseline is not None
    return Comparison(
        task=ours.baseline.task,
        baseline=theirs.name,
        against=theirs.name,
        stage=ours.stage,
        metric="",
        backbone=ours.published.backbone,
        method=ours.published.method,
        regime=ours.published.regime,
        setting=ours.name,
        verdict=None,
    )


def _named(row: Comparison, names: Comparison) -> Comparison:
    keys = ("baseline", "against", "backbone", "method", "regime", "setting", "seeds")
    return replace(row, **{key: getattr(names, key) for key in keys})


def _two_published(ours: Entrant, theirs: Entrant) -> list[Comparison]:
    a, b = ours.published, theirs.published
    assert a is not None and b is not None and ours.baseline is not None and theirs.baseline is not None
    flags = (*ours.baseline.flags, *a.flags, *theirs.baseline.flags, *b.flags)
    obstacle = _forbidding(flags)
    if not obstacle and (not a.support or a.support != b.support):
        obstacle = "data: they do not tell of the same test items"
    single = {"top1", "top5"} & {key for numbers in a.classes.values() for key in numbers}
    kind = "multiclass" if single or not a.classes else "multilabel"
    template = replace(_blank(ours, theirs), kind=kind)
    rows = [_numbers(template, name, None, a, b, obstacle) for name in a.metrics if name in b.metrics]
    whole = [judged(row) for row in rows]
    classes = [
        _numbers(template, key, name, a, b, obstacle)
        for name in a.classes
        for key in a.classes[name]
        if key in b.classes.get(name, {})
    ]
    return whole + judged_classes(classes)


def _numbers(
    template: Comparison,
    metric: str,
    name: str | None,
    a: PublishedResult,
    b: PublishedResult,
    obstacle: str,
) -> Comparison:
    ours, theirs = (side.metrics[metric] if name is None else side.classes[name][metric] for side in (a, b))
    counts = [
        number.n if name is None else side.support.get(name, number.n)
        for number, side in ((ours, a), (theirs, b))
    ]
    row = replace(template, metric=metric, class_name=name, ours=ours.value, theirs=theirs.value)
    row = replace(row, n_ours=counts[0], n_theirs=counts[1], difference=difference(ours.value, theirs.value))
    if reason := _forbidding((*ours.flags, *theirs.flags)) or obstacle:
        return replace(row, verdict=INCOMPARABLE, why=reason)
    return _with_newcombe(row, ours, theirs)


def _with_newcombe(row: Comparison, ours: Number, theirs: Number) -> Comparison:
    """Add Newcombe's interval and the score test's p where both sides are known as hits."""
    if None in (ours.hits, theirs.hits) or not row.n_ours or not row.n_theirs:
        return row
    hits, other = float(ours.hits or 0), float(theirs.hits or 0)
    low, high = stats.newcombe(hits, row.n_ours, other, row.n_theirs)
    return replace(row, low=low, high=high, p=stats.score_test(hits, row.n_ours, other, row.n_theirs))


def _forbidding(flags: Sequence[Flag]) -> str:
    return ", ".join(dict.fromkeys(flag.name for flag in flags if flag.name in FORBIDDING))
