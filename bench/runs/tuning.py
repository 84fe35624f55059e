"""Tuning of cells: all trials are scored on validation, and the best one alone is tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.metrics.registry import get_metric
from bench.runs.commit import Answer
from bench.runs.stage_work import StageRun, Validated
from bench.runs.trials import SHARED, Trial, trial_count, trials_of


def tuned_answers(run: StageRun, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Answer | str]]:
    """Train a group of cells and yield each with its answer, as `StageRun.answers` does.

    The trials of all tuned cells are trained together and scored on validation by the kind's selection
    metric; the best trial of each cell, the first of equals, is then trained and tested as a cell of its own
    is. Its answer is bit for bit that of this other cell, with the trials beside it.
    """
    plain = [cell for cell in cells if trial_count(cell.setting) == 1]
    if plain:
        yield from run.answers(plain)
    if len(plain) == len(cells):
        return
    tuned = {cell.id: cell for cell in cells if trial_count(cell.setting) > 1}
    trials = {key: trials_of(cell) for key, cell in tuned.items()}
    # Nets are compiled for a batch size: neighbours share one.
    each = {one.cell.id: one.cell for own in trials.values() for one in own}
    order = sorted(each.values(), key=lambda cell: int(cell.setting["batch_size"] or 1))
    scores = {cell.id: score for cell, score in run.validate(order)}
    chosen: dict[str, list[tuple[str, int]]] = {}
    for key, own in trials.items():
        selection = get_metric(get_kind(tuned[key].kind).selection)
        best = selection.best_place([scores[one.cell.id].score for one in own])
        if best is None:
            reason = scores[own[0].cell.id].reason or "it has no score on validation"
            yield tuned[key], f"none of {len(own)} trials could be scored; the first: {reason}"
        else:
            chosen.setdefault(own[best].cell.id, []).append((key, best))
    winners = sorted((each[key] for key in chosen), key=lambda cell: int(cell.setting["batch_size"] or 1))
    for winner, answer in run.answers(winners):
        for key, best in chosen[winner.id]:
            if isinstance(answer, str):
                yield tuned[key], answer
            else:
                found = [scores[one.cell.id] for one in trials[key]]
                yield tuned[key], _with_trials(answer, tuned[key], trials[key], found, best)
    for cell in each.values():
        run.forget(cell)


def _with_trials(
    answer: Answer, cell: Cell, trials: Sequence[Trial], scores: Sequence[Validated], best: int
) -> Answer:
    metric = get_kind(cell.kind).selection
    rows = tuple(
        {
            "trial": number,
            "method": trial.cell.method.text,
            **{name: trial.cell.setting[name] for name in SHARED},
            f"val_{metric}": score.score,
            "chosen": int(number == best + 1),
            "reason": score.reason,
        }
        for number, (trial, score) in enumerate(zip(trials, scores, strict=True), 1)
    )
    found = {
        "trials": len(trials),
        "chosen": best + 1,
        "metric": metric,
        "val": scores[best].score,
        "val_untuned": scores[0].score,
        "splits": scores[best].splits,
        "values": dict(trials[best].values),
    }
    return replace(answer, choices={**answer.choices, "tuning": found}, trials=rows)
