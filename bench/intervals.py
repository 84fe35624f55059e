"""The intervals of one set of predictions, drawn as a leaderboard draws those of a cell with one seed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench import stats
from bench.contests import DRAWS, MEANS, Contest, Items
from bench.metrics.multiclass import hits
from bench.spec import Predictions
from bench.stats import UNDEFINED, Interval

_OWN = "own"


def intervals(
    pred: Predictions, metrics: Iterable[str], draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """Return the 95% bootstrap interval of each metric, `stats.UNDEFINED` where a bootstrap cannot draw it.

    pred: of one class per item; whole groups are drawn where there are groups. metrics: those that counts
    of answers give (`multiclass.weighted_summary`). Means over classes are spread as `stats.completed` says.
    Equal arguments give equal bits. Raises ValueError if a score is NaN.
    """
    asked = list(metrics)
    if not pred.items:
        return dict.fromkeys(asked, UNDEFINED)
    # By class, then by id: the order in which a contest keeps its items.
    names = np.array(pred.items, dtype=object)
    own = pred.take(np.lexsort((np.unique(names, return_inverse=True)[1], pred.truth)))
    contest = Contest("multiclass", Items(own.items, own.groups, own.truth, own.classes), draws, seed)
    contest.add(_OWN, {"top1": hits(own)[0].astype(np.float32)}, own.train_support)
    contest.add_drawn(_OWN, own, [name for name in asked if MEANS.get(name, ("",))[0] != "top1"])
    return {
        name: stats.percentile_interval(contest.spread(name, [_OWN])[0])
        if _OWN in contest.drawn(name)
        else UNDEFINED
        for name in asked
    }
