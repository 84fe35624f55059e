"""Tuned cells: their trials are trained together, the best one on validation is tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.core.plural import counted
from bench.core.predictions import CellResult
from bench.metrics.info import MetricInfo
from bench.metrics.registry import get_metric
from bench.runs.commit import Answer
from bench.runs.halving import at_rung, going_on, shares
from bench.runs.stage_run import StageRun, Validated, failure
from bench.runs.tpe import TpeTuner
from bench.runs.trials import SHARED, TPE, Trial, trial_count, trials_of


class Tuner(Protocol):
    """Choice of a cell's trials, round by round."""

    def ask(self) -> list[Trial]:
        """Return the trials of the next round; none after the last one."""
        ...

    def tell(self, scores: Sequence[float | None], pruned: Sequence[tuple[int, float] | None]) -> None:
        """Take the scores of the round. pruned: epochs and score at which a trial was stopped."""
        ...

    def record(self) -> dict[str, str]:
        """Return what the result says about it; nothing about random search."""
        ...


class RandomTuner:
    """Random search: all trials in one round."""

    def __init__(self, cell: Cell) -> None:
        self._left = trials_of(cell)

    def ask(self) -> list[Trial]:
        """Return all trials, then none."""
        left, self._left = self._left, []
        return left

    def tell(self, scores: Sequence[float | None], pruned: Sequence[tuple[int, float] | None]) -> None:
        """Nothing depends on scores."""

    def record(self) -> dict[str, str]:
        """Return nothing."""
        return {}


@dataclass
class _Search:
    """Trials of one cell so far, and the scores of those that were trained to the end."""

    cell: Cell
    tuner: Tuner
    shares: list[int]
    trials: list[Trial] = field(default_factory=list)
    scores: list[Validated] = field(default_factory=list)
    rungs: dict[int, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, cell: Cell) -> _Search:
        tpe = cell.setting.get("tuner") == TPE
        return cls(cell, TpeTuner(cell) if tpe else RandomTuner(cell), shares(halving=tpe))

    @property
    def metric(self) -> MetricInfo:
        return get_metric(get_kind(self.cell.kind).selection)


def tuned_answers(run: StageRun, cells: Sequence[Cell]) -> Iterator[Answer]:
    """Train a group of cells and yield the answer of each, as `StageRun.answers` does.

    The trials of all tuned cells are trained together, round by round, and scored on validation by the kind's
    selection metric; the best trial of each cell, the first of equals, is then trained and tested as a cell
    of its own is. Its answer is bit for bit that of this other cell, with the trials beside it. What a cell
    tries depends on its own scores alone.
    """
    plain = [cell for cell in cells if trial_count(cell.setting) == 1]
    if plain:
        yield from run.answers(plain)
    if len(plain) == len(cells):
        return
    searches = {cell.id: _Search.of(cell) for cell in cells if trial_count(cell.setting) > 1}
    scored: dict[str, Validated] = {}
    used: dict[str, Cell] = {}
    while asked := {key: trials for key, one in searches.items() if (trials := one.tuner.ask())}:
        _train_round(run, searches, asked, scored, used)
    chosen: dict[str, list[tuple[str, int]]] = {}
    for key, one in searches.items():
        best = one.metric.best_place([score.score for score in one.scores])
        if best is None:
            reason = one.scores[0].reason or "it has no score on validation"
            why = f"none of {len(one.trials)} trials could be scored; the first: {reason}"
            yield failure(CellResult(one.cell, "failed"), why)
        else:
            chosen.setdefault(one.trials[best].cell.id, []).append((key, best))
    for result, parts, model in run.answers(_by_batch(used[key] for key in chosen)):
        for key, best in chosen[result.cell.id]:
            yield _with_trials(result, searches[key], best), parts, model
    for cell in used.values():
        run.forget(cell)


def _train_round(
    run: StageRun,
    searches: Mapping[str, _Search],
    asked: Mapping[str, Sequence[Trial]],
    scored: dict[str, Validated],
    used: dict[str, Cell],
) -> None:
    """Train the trials of a round, rung by rung those that go on, and tell every tuner.

    scored, used: scores and cells by id, of all rounds.
    """
    going = {key: list(range(len(trials))) for key, trials in asked.items()}
    pruned: dict[str, list[tuple[int, float] | None]] = {key: [None] * len(own) for key, own in asked.items()}
    scores: dict[str, list[Validated]] = {key: [Validated(None)] * len(own) for key, own in asked.items()}
    for rung in range(max(len(searches[key].shares) for key in asked)):
        cells = {
            (key, place): at_rung(asked[key][place].cell, searches[key].shares[rung])
            for key, places in going.items()
            for place in places
        }
        new = {cell.id: cell for cell in cells.values() if cell.id not in scored}
        used |= new
        scored |= {cell.id: score for cell, score in run.validate(_by_batch(new.values()))}
        for key, places in going.items():
            found = [scored[cells[key, place].id] for place in places]
            for place, one in zip(places, found, strict=True):
                scores[key][place] = one
            if rung + 1 < len(searches[key].shares):
                stopped = _stop(searches[key], asked[key], rung, places, found)
                for place, epochs in stopped.items():
                    value, name = scores[key][place].score, searches[key].metric.title
                    if value is not None:
                        pruned[key][place] = epochs, value
                        why = f"stopped after {counted(epochs, 'epoch')}, {name} {value:.3f}"
                        scores[key][place] = replace(scores[key][place], score=None, reason=why)
                going[key] = [place for place in places if place not in stopped]
    for key, trials in asked.items():
        searches[key].trials += trials
        searches[key].scores += scores[key]
        searches[key].tuner.tell([one.score for one in scores[key]], pruned[key])


def _stop(
    search: _Search, trials: Sequence[Trial], rung: int, places: Sequence[int], found: Sequence[Validated]
) -> dict[int, int]:
    """Return the trials that stop at a rung, by place, and their epochs. The default setting goes on."""
    share = search.shares[rung]
    if at_rung(search.cell, share) == search.cell:
        return {}
    values = [one.score for one in found]
    best = going_on(values, search.rungs.get(rung, ()), search.metric.direction == "higher")
    search.rungs.setdefault(rung, []).extend(value for value in values if value is not None)
    kept = {places[one] for one in best} | ({0} if not search.trials else set())
    return {
        place: int(at_rung(trials[place].cell, share).setting["epochs"] or 0)
        for place in places
        if place not in kept
    }


def _by_batch(cells: Iterable[Cell]) -> list[Cell]:
    """Return cells by their batch size: nets are compiled for one, which neighbours then share."""
    return sorted(cells, key=lambda cell: int(cell.setting["batch_size"] or 1))


def _with_trials(result: CellResult, search: _Search, best: int) -> CellResult:
    """Return the winner's result as the tuned cell's, with all trials."""
    metric = get_kind(search.cell.kind).selection
    rows = tuple(
        {
            "trial": number,
            "method": trial.cell.method.text,
            **{name: trial.cell.setting[name] for name in SHARED},
            f"val_{metric}": score.score,
            "chosen": int(number == best + 1),
            "reason": score.reason,
        }
        for number, (trial, score) in enumerate(zip(search.trials, search.scores, strict=True), 1)
    )
    found = {
        "trials": len(search.trials),
        "chosen": best + 1,
        "metric": metric,
        "val": search.scores[best].score,
        "val_untuned": search.scores[0].score,
        "splits": search.scores[best].splits,
        "values": dict(search.trials[best].values),
        **search.tuner.record(),
    }
    return replace(result, cell=search.cell, choices={**result.choices, "tuning": found}, trials=rows)
