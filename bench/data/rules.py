"""The rules by which examples are parted into train and test, as far as planning has to know them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.data.examples import Examples
from bench.errors import DataError, nearest, unknown

RULES = ("even_year", "stratified", "grouped", "random")
"""The split rules; `bench.data.splits` has what they do."""

PEOPLE = "people"
"""The rule of tasks of pairs, which `bench.data.pair_split` has: nobody is on two sides."""

ON_COLUMN = ("even_year", "grouped", PEOPLE)
"""Those of them that look at a column."""

_YEAR = re.compile(r"\s*([0-9]{1,9})(?:\.0*)?\s*")


@dataclass(frozen=True)
class SplitPlan:
    """How examples are parted into train and test.

    rule: one of RULES, or PEOPLE. column: what the rule looks at (`even_year`: years; `grouped`: what must
    not be parted; `people`: who is on a photo; the others: nothing). fraction: share of the labelled
    examples, or of the people, that tests, and seed: which, for the rules that draw.
    """

    rule: str
    column: str
    fraction: float = 0.2
    seed: int = 0


def check_column(examples: Examples, plan: SplitPlan) -> None:
    """Raise BenchError for an unknown rule, DataError where the data lacks the column it looks at."""
    rule, column = plan.rule, plan.column
    if rule not in (*RULES, PEOPLE):
        raise unknown("split rule", rule, RULES, f"there are: {', '.join(RULES)}")
    if column not in examples.columns and rule in ON_COLUMN:
        guess = nearest(column, examples.columns)
        raise DataError(f"the data has no column {column!r}, which the split rule {rule} needs{guess}")


def check_plan(examples: Examples, plan: SplitPlan) -> None:
    """Say of a split, before anything is computed, that it cannot be.

    Raises BenchError for an unknown rule, DataError where the data lacks the column it looks at, and where
    `even_year` leaves one side empty (what the other rules leave is known once they have drawn).
    """
    check_column(examples, plan)
    if plan.rule == "even_year":
        check_sides(plan, even_years(examples.columns[plan.column]))


def check_sides(plan: SplitPlan, train: Sequence[bool]) -> None:
    """Raise DataError where train or test has no row."""
    looked = f" on column {plan.column!r}" if plan.rule in ON_COLUMN else ""
    for side, found in (("train", any(train)), ("test", not all(train))):
        if not found:
            raise DataError(f"the split rule {plan.rule}{looked} leaves no {side} row; add data")


def even_years(values: Sequence[str]) -> list[bool]:
    """Return whether each cell is an even year; a missing or unreadable one is not."""
    years = (_YEAR.fullmatch(value) for value in values)
    return [year is not None and int(year[1]) % 2 == 0 for year in years]
