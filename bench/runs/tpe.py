"""Trials chosen by Optuna's tree-structured Parzen estimator, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from bench.core.cell import Cell, Value
from bench.core.kind import get_kind
from bench.core.search import Search, rounded
from bench.metrics.registry import get_metric
from bench.runs.trials import TPE, Space, Trial, name_of, stream, trial_count, trials_of, tune_seed

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ROUND = 8
"""Trials of a cell that are chosen, and train, at a time; those of the first round are random."""


class TpeTuner:
    """Trials of one cell (Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization).

    The first round is the default setting and trials of the random search, the same for all methods and
    seeds; the model of the others is fitted to the scores of this cell alone. The default setting is not
    among what it is fitted to: its decay can be a word. Scores of pruned trials count below all others, as
    in Optuna's sampler.
    """

    def __init__(self, cell: Cell) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._left, self._space, self._cell = trial_count(cell.setting), Space.of(cell), cell
        higher = get_metric(get_kind(cell.kind).selection).direction == "higher"
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=ROUND - 1, constant_liar=True, seed=stream(tune_seed(cell.setting), "tpe")
        )
        self._study = optuna.create_study(direction="maximize" if higher else "minimize", sampler=sampler)
        self._searched = [
            *((name, search, name == "batch_size") for name, search in self._space.shared.items()),
            *((name_of(one), one.search, one.whole) for one in self._space.arguments),
        ]
        self._axes = {name: _axis(search, whole) for name, search, whole in self._searched}
        self._asked: list[Any] = []

    def ask(self) -> list[Trial]:
        """Return the trials of the next round; none after the last one."""
        count = min(ROUND, self._left)
        if not count:
            return []
        if self._left == trial_count(self._cell.setting):
            trials = trials_of(self._cell, count)
            self._asked = [None, *(self._random(trial) for trial in trials[1:])]
        else:
            self._asked = [self._study.ask(self._axes) for _ in range(count)]
            trials = [self._trial(one.params) for one in self._asked]
        self._left -= count
        return trials

    def tell(self, scores: Sequence[float | None], pruned: Sequence[tuple[int, float] | None]) -> None:
        """Take the scores of the round. pruned: epochs and score at which a trial was stopped."""
        from optuna.trial import TrialState

        for asked, score, early in zip(self._asked, scores, pruned, strict=True):
            if asked is None:
                continue
            if early is not None:
                asked.report(early[1], early[0])
                self._study.tell(asked, state=TrialState.PRUNED)
            elif score is None:
                self._study.tell(asked, state=TrialState.FAIL)
            else:
                self._study.tell(asked, score)

    def record(self) -> dict[str, str]:
        """Return its name and Optuna's version, on which the trials after the first round depend."""
        return {"tuner": TPE, "optuna": metadata.version("optuna")}

    def _random(self, trial: Trial) -> Any:
        """Return Optuna's trial of values that it has not chosen itself."""
        self._study.enqueue_trial(
            {name: _inside(axis, trial.values[name]) for name, axis in self._axes.items()}
        )
        return self._study.ask(self._axes)

    def _trial(self, params: dict[str, Any]) -> Trial:
        values = [rounded(float(params[name]), whole) for name, _, whole in self._searched]
        shared = len(self._space.shared)
        return self._space.trial(values[:shared], values[shared:])


def _axis(search: Search, whole: bool) -> BaseDistribution:
    from optuna import distributions

    if search.choices:
        return distributions.CategoricalDistribution(search.choices)
    if whole:
        return distributions.IntDistribution(round(search.low), round(search.high), search.log)
    return distributions.FloatDistribution(search.low, search.high, search.log)


def _inside(axis: BaseDistribution, value: Value) -> Any:
    """Return a value that was rounded, within the ends of its range."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis, FloatDistribution | IntDistribution):
        return min(max(type(axis.low)(str(value)), axis.low), axis.high)
    assert isinstance(axis, CategoricalDistribution)
    return next(one for one in axis.choices if one == value)
