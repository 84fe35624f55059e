"""Comparison of any two sides: stored settings, pinned or published baselines, trivial answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bench.compare.baselines.types import Number, PublishedResult, forbidding
from bench.compare.conditions import disagreement
from bench.compare.paired import OTHER_ITEMS, compare_runs
from bench.compare.published import compare_published, published_of
from bench.compare.resolve import Candidate
from bench.compare.side import Side
from bench.compare.verdict import (
    BETTER,
    INCOMPARABLE,
    MISSING,
    WORSE,
    Comparison,
    Difference,
    Measurement,
    Sides,
    judge,
)
from bench.core.errors import BenchError
from bench.metrics import intervals

UNPAIRED = "other test items: not paired"

_SWAPPED: Mapping[str | None, str] = {BETTER: WORSE, WORSE: BETTER}


def compare_candidates(
    ours: Sequence[Candidate],
    theirs: Sequence[Candidate],
    draws: int | None = None,
    seed: int = 0,
    problems: list[str] | None = None,
    metrics: Collection[str] = (),
) -> list[Comparison]:
    """Compare the sides that two texts name, equal stages with each other.

    For two pinned baselines, or a pinned one and a setting in it, equal settings are compared; otherwise all
    of a stage. For the other parameters see `bench.compare.against_baseline.compare`. Raises BenchError if
    the sides have no stage in common.
    """
    pairs = paired_candidates(ours, theirs)
    return [row for a, b in pairs for row in _compared(a, b, draws, seed, problems, metrics)]


def paired_candidates(
    ours: Sequence[Candidate], theirs: Sequence[Candidate]
) -> list[tuple[Candidate, Candidate]]:
    """Return the pairs of candidates to compare; see `compare_candidates`."""
    pairs = [(a, b) for a in ours for b in theirs if a.stage == b.stage]
    if not pairs:
        sides = [", ".join(dict.fromkeys(e.stage for e in side)) or "nothing" for side in (ours, theirs)]
        raise BenchError(f"nothing to compare: one side is of stage {sides[0]}, the other of {sides[1]}")
    for same in (_same_setting, _same_data):
        pairs = [pair for pair in pairs if same(*pair)] or pairs
    return pairs


def left_out(ours: Sequence[Candidate], theirs: Sequence[Candidate]) -> list[str]:
    """Return a note on the stages, and on the seeds, of one side that have no counterpart on the other.

    Stages beyond that of a single cell are none: they were not asked for.
    """
    notes = []
    for side, other in ((ours, theirs), (theirs, ours)):
        stages = dict.fromkeys(one.stage for one in side)
        alone = [stage for stage in stages if stage not in {one.stage for one in other}]
        if alone and not any(one.one_cell for one in other):
            notes.append(f"Not compared: {', '.join(alone)}, which only {side[0].name} has.")
    for a, b in paired_candidates(ours, theirs):
        if a.setting is None or b.setting is None:
            continue
        for one, kept in zip((a, b), paired_seeds(a.setting, b.setting), strict=True):
            assert one.setting is not None
            if seeds := [str(seed) for seed in one.setting.seeds if seed not in kept.cells]:
                which = f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)} of {one.name}"
                notes.append(f"{one.stage}: {which} left out, without a counterpart on the other side.")
    return notes


def _same_setting(ours: Candidate, theirs: Candidate) -> bool:
    a, b = ours.setting, theirs.setting
    if a is None or b is None or not (ours.baseline or theirs.baseline):
        return True
    keys = ("regime", "backbone", "weights", "method")
    return all(getattr(a, key) == getattr(b, key) for key in keys)


def _same_data(ours: Candidate, theirs: Candidate) -> bool:
    a, b = ours.setting, theirs.setting
    return a is None or b is None or a.fingerprint == b.fingerprint


def _compared(
    ours: Candidate,
    theirs: Candidate,
    draws: int | None,
    seed: int,
    problems: list[str] | None,
    metrics: Collection[str],
) -> list[Comparison]:
    if ours.setting is not None and theirs.setting is not None:
        return _two_sides(ours.setting, theirs.setting, theirs, draws, seed, problems, metrics)
    if ours.setting is not None:
        assert theirs.published is not None and theirs.baseline is not None
        return compare_published(ours.setting, theirs.baseline, theirs.published, theirs.name)
    assert ours.published is not None and ours.baseline is not None
    if theirs.setting is not None:
        rows = compare_published(theirs.setting, ours.baseline, ours.published)
        sides = _sides(ours, theirs, theirs.setting.kind)
        return [swapped(row, sides) for row in rows]
    return _two_published(ours, theirs)


def _two_sides(
    ours: Side,
    theirs: Side,
    their: Candidate,
    draws: int | None,
    seed: int,
    problems: list[str] | None,
    metrics: Collection[str],
) -> list[Comparison]:
    sides = ours.beside(their.name, their.name)
    if ours.kind != theirs.kind:
        why = f"kind: {ours.kind} and {theirs.kind}"
        return judge(sides, [Measurement(ours.headline, None, Difference(), INCOMPARABLE, why)])
    obstacle = ""
    for what, a, b in (
        ("task", f"version {ours.task_version}", f"version {theirs.task_version}"),
        ("data", ours.source, theirs.source),
        ("data", ours.fingerprint[:8], theirs.fingerprint[:8]),
        ("test", _tested(ours), _tested(theirs)),
    ):
        obstacle = obstacle or (f"{what}: {a}, theirs {b}" if a != b else "")
    paired = paired_seeds(ours, theirs)
    rows = compare_runs(*paired, their.name, their.name, draws, seed, obstacle, problems, metrics)
    if obstacle or not any(row.verdict.why == OTHER_ITEMS for row in rows):
        return rows
    # Other items of the same data: a difference of two samples.
    return [_noted(row) for row in judge(sides, published_of(ours.kind).unpaired(ours, theirs, metrics))]


def _noted(row: Comparison) -> Comparison:
    """Add to a row that it is not paired."""
    if row.verdict.name == MISSING:
        return row
    why = f"{UNPAIRED}; {row.verdict.why}" if row.verdict.why else UNPAIRED
    return replace(row, verdict=replace(row.verdict, why=why))


def _tested(setting: Side) -> str:
    """Return the name of a setting's test images."""
    return "training images of a rehearsal" if setting.protocol.get("rehearse") else "the test set"


def paired_seeds(ours: Side, theirs: Side) -> tuple[Side, Side]:
    """Return both sides with the same number of seeds: the shared ones, or, without any, the first ones."""
    shared = [seed for seed in ours.seeds if seed in theirs.cells]
    count = min(len(ours.seeds), len(theirs.seeds))
    mine, other = (shared, shared) if shared else (ours.seeds[:count], theirs.seeds[:count])
    return (
        replace(ours, cells={seed: ours.cells[seed] for seed in mine}),
        replace(theirs, cells={seed: theirs.cells[seed] for seed in other}),
    )


def swapped(row: Comparison, sides: Sides) -> Comparison:
    """Return the row with its sides exchanged. sides: in the new order."""
    verdict = replace(row.verdict, name=_SWAPPED.get(row.verdict.name, row.verdict.name))
    return Comparison(sides, row.metric, row.class_name, row.difference.swapped, verdict)


def _sides(ours: Candidate, theirs: Candidate, kind: str) -> Sides:
    """Return a published side and another."""
    assert ours.published is not None and ours.baseline is not None
    return Sides(
        task=ours.baseline.task,
        kind=kind,
        baseline=theirs.name,
        stage=ours.stage,
        backbone=ours.published.backbone,
        method=ours.published.method,
        regime=ours.published.regime,
        setting=ours.name,
        against=theirs.name,
    )


def _two_published(ours: Candidate, theirs: Candidate) -> list[Comparison]:
    a, b = ours.published, theirs.published
    assert a is not None and b is not None and ours.baseline is not None and theirs.baseline is not None
    obstacle = forbidding((*ours.baseline.flags, *a.flags, *theirs.baseline.flags, *b.flags))
    # A condition that only one side states is unknown for the other.
    shared = {name: value for name, value in b.conditions.items() if name in a.conditions}
    obstacle = obstacle or disagreement(shared, a.conditions, "theirs")
    if not obstacle and (not a.support or a.support != b.support):
        obstacle = "data: they are not about the same test items"
    whole = [_numbers(name, None, a, b, obstacle) for name in a.metrics if name in b.metrics]
    classes = [
        _numbers(key, name, a, b, obstacle)
        for name in a.classes
        for key in a.classes[name]
        if key in b.classes.get(name, {})
    ]
    return judge(_sides(ours, theirs, a.kind), whole + classes)


def _numbers(
    metric: str, name: str | None, a: PublishedResult, b: PublishedResult, obstacle: str
) -> Measurement:
    ours, theirs = (side.metrics[metric] if name is None else side.classes[name][metric] for side in (a, b))
    n_ours, n_theirs = (
        number.n if name is None else side.support.get(name, number.n)
        for number, side in ((ours, a), (theirs, b))
    )
    if reason := forbidding((*ours.flags, *theirs.flags)) or obstacle:
        gap = Difference(ours.value, theirs.value, n_ours, n_theirs)
        return Measurement(metric, name, gap, INCOMPARABLE, reason)
    tests = _newcombe(ours, n_ours, theirs, n_theirs)
    return Measurement(metric, name, Difference(ours.value, theirs.value, n_ours, n_theirs, **tests))


def _newcombe(ours: Number, n_ours: int | None, theirs: Number, n_theirs: int | None) -> dict[str, float]:
    """Return Newcombe's interval and the score test's p if the hits of both sides are known."""
    if ours.hits is None or theirs.hits is None or not n_ours or not n_theirs:
        return {}
    low, high = intervals.newcombe(ours.hits, n_ours, theirs.hits, n_theirs)
    return {"low": low, "high": high, "p": intervals.score_test(ours.hits, n_ours, theirs.hits, n_theirs)}
