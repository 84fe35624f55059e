"""The rules by which examples are parted into train and test, as far as planning has to know them."""

from __future__ import annotations

from dataclasses import dataclass

from bench.data.examples import Examples
from bench.errors import DataError, nearest, unknown

RULES = ("even_year", "stratified", "grouped")
"""The split rules; `bench.data.splits` has what they do."""


@dataclass(frozen=True)
class SplitPlan:
    """How examples are parted into train and test.

    rule: one of RULES. column: what the rule looks at (`even_year`: years; `grouped`: what must not be
    parted; `stratified`: nothing). fraction: share of the labelled examples that tests, and seed: which,
    for the rules that draw.
    """

    rule: str
    column: str
    fraction: float = 0.2
    seed: int = 0


def check_plan(examples: Examples, plan: SplitPlan) -> None:
    """Raise BenchError for an unknown rule, and DataError where the data lacks the column it looks at."""
    rule, column = plan.rule, plan.column
    if rule not in RULES:
        raise unknown("split rule", rule, RULES, f"there are: {', '.join(RULES)}")
    if column not in examples.columns and rule != "stratified":
        guess = nearest(column, examples.columns)
        raise DataError(f"the data has no column {column!r}, which the split rule {rule} needs{guess}")
