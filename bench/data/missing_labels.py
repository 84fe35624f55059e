"""Hiding of known labels, to measure methods for missing labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.core.errors import DataError, unknown

RULES = ("none", "random", "column")

SPREAD = 4.0
"""Largest weight of hiding by a column's values; the smallest is its inverse."""


def hide(
    table: np.ndarray, rows: np.ndarray, rule: str, rate: float, seed: int, by: Sequence[str] | None
) -> np.ndarray:
    """Return the table with round(rate * m) of each attribute's m known labels in `rows` hidden.

    table: (n, k) int8 of 1 yes, 0 no, -1 unknown. rows: positions whose labels may be hidden. by: n cells of
    the column for the rule `column`. One yes and one no of each attribute always stay known, so fewer are
    hidden if the rate would include them.

    Labels are sampled without replacement: with equal probabilities (`random`), or weighted by their row's
    value in the column (`column`). The v values of the column among the rows (including "") get the weights
    SPREAD ** p, for v evenly spaced p from -1 to 1 in an order given by the seed; a single value has p = 0.
    About a share 1 - q ** weight of a value's labels is hidden, with q set by the overall rate. All
    attributes have the same weights.

    For the same rows, rule, seed and column, a higher rate hides a superset. Method: Efraimidis and Spirakis
    2006, Weighted random sampling with a reservoir. Raises BenchError for an unknown rule, DataError for
    `column` without a column.
    """
    if rule not in RULES:
        raise unknown("value of hide", rule, RULES, f"one of {', '.join(RULES)}")
    out = np.array(table, np.int8)
    if rule == "none":
        return out
    rows = np.unique(rows)
    weights = np.ones(len(rows))
    if rule == "column":
        if by is None:
            raise DataError("hide=column needs a column: for example --set hide_by=season")
        weights = value_weights([by[row] for row in rows.tolist()], seed)
    for place in range(out.shape[1]):
        cells = out[rows, place]
        known = np.flatnonzero(cells >= 0)
        # The draws do not depend on the rate: a higher one goes further along the same order.
        draws = np.random.default_rng([seed, place]).exponential(size=len(known))
        order = known[np.argsort(draws / weights[known], kind="stable")]
        last = [np.flatnonzero(cells[order] == value)[-1:] for value in (0, 1)]
        order = np.delete(order, np.concatenate(last))
        out[rows[order[: round(rate * len(known))]], place] = -1
    return out


def value_weights(values: Sequence[str], seed: int) -> np.ndarray:
    """Return the weights of hiding of m cells by their values, (m,) float64, from 1 / SPREAD to SPREAD."""
    names = sorted(set(values))
    steps = np.linspace(-1.0, 1.0, len(names)) if len(names) > 1 else np.zeros(len(names))
    shuffled = np.random.default_rng([seed]).permutation(len(names))
    weight = {names[number]: SPREAD**step for number, step in zip(shuffled.tolist(), steps, strict=True)}
    return np.array([weight[value] for value in values], np.float64)
