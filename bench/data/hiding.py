"""Known labels taken for unknown on purpose, so that what copes with missing labels can be measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.errors import DataError, unknown

RULES = ("none", "random", "column")

SPREAD = 4.0
"""How much likelier, or less likely, a cell is hidden at the two ends of a column's values."""


def hide(
    table: np.ndarray, rows: np.ndarray, rule: str, rate: float, seed: int, by: Sequence[str] | None
) -> np.ndarray:
    """Return the table with exactly round(rate * m) of each attribute's m known cells in `rows` unknown.

    table: (n, k) int8 of 1 yes, 0 no, -1 unknown. rows: positions that may be hit; all others stay whole.
    by: n cells of the column that `column` looks at. One yes and one no of each attribute always stay known
    where there were any, so fewer are hidden where the rate would take those too.

    Cells are drawn one after another without putting back. `random`: each is as likely as any other.
    `column`: a cell is as likely as its row's value has weight. The v values of the column among the rows
    ("" is one) get the weights SPREAD ** p, where p goes in v even steps from -1 to 1 and the seed says
    which value gets which; a single value has p = 0. About a share 1 - q ** weight of a value's cells is
    hidden, with the one q that gives the rate over all. Weights are the same for all attributes.

    What is hidden at one rate is hidden at every higher one too, for the same rows, rule, seed and column.
    Keys of Efraimidis and Spirakis 2006, Weighted random sampling with a reservoir. Raises BenchError for an
    unknown rule, DataError for `column` without a column.
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
        # The same draws whatever the rate: a higher one only goes further along the same order.
        draws = np.random.default_rng([seed, place]).exponential(size=len(known))
        order = known[np.argsort(draws / weights[known], kind="stable")]
        last = [np.flatnonzero(cells[order] == value)[-1:] for value in (0, 1)]
        order = np.delete(order, np.concatenate(last))
        out[rows[order[: round(rate * len(known))]], place] = -1
    return out


def value_weights(values: Sequence[str], seed: int) -> np.ndarray:
    """Return how likely each of m cells is hidden, (m,) float64: from 1 / SPREAD to SPREAD, by its value."""
    names = sorted(set(values))
    steps = np.linspace(-1.0, 1.0, len(names)) if len(names) > 1 else np.zeros(len(names))
    shuffled = np.random.default_rng([seed]).permutation(len(names))
    weight = {names[number]: SPREAD**step for number, step in zip(shuffled.tolist(), steps, strict=True)}
    return np.array([weight[value] for value in values], np.float64)
