"""Split rules for planning."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.core import plugins
from bench.core.errors import DataError, nearest, unknown
from bench.data.examples import Examples

REGISTERED = "split rule"
"""Sort of plug-in entries, see `bench.core.plugins`."""

COLUMN = "column"
"""The rule of a published split, in a column."""


@dataclass(frozen=True)
class SplitRule:
    """One rule.

    place: "module:function" of n labels, n cells of the column, and the plan, which returns (n,) bool, True
    for train; a leading dot: in `bench.data`. on_column: whether it reads a column.
    """

    place: str
    on_column: bool = False


RULES: dict[str, SplitRule] = {
    "even_year": SplitRule(".splits:by_year", on_column=True),
    "stratified": SplitRule(".splits:stratified"),
    "grouped": SplitRule(".splits:grouped", on_column=True),
    "random": SplitRule(".splits:at_random"),
    COLUMN: SplitRule(".splits:as_published", on_column=True),
}
"""The split rules by name."""

PEOPLE = "people"
"""The rule of tasks of pairs, see `bench.kinds.verification.pair_split`: people are in train or in test."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""The parts of a published split, with the words for each; case is ignored."""

_PART_OF = {word: part for part, words in PARTS.items() for word in words}

_YEAR = re.compile(r"\s*([0-9]{1,9})(?:\.0*)?\s*")


@dataclass(frozen=True)
class SplitPlan:
    """A split into train and test.

    rule: one of RULES, or PEOPLE. column: the column that the rule uses (`even_year`: years; `grouped`:
    groups; `column`: parts; `people`: people; the others: none). fraction: share of the labelled examples,
    or of the people, in test; seed: of random rules.
    """

    rule: str
    column: str
    fraction: float = 0.2
    seed: int = 0


def register(name: str, rule: SplitRule) -> None:
    """Add a split rule. Raises ValueError if its name is taken."""
    plugins.register(REGISTERED, RULES, name, rule)


def on_column(rule: str) -> bool:
    """Return whether a rule reads a column; unknown rules do not."""
    return rule == PEOPLE or (plugins.find(RULES, rule) and RULES[rule].on_column)


def check_column(examples: Examples, plan: SplitPlan) -> None:
    """Raise BenchError for an unknown rule, DataError if the data lacks its column."""
    rule, column = plan.rule, plan.column
    if rule != PEOPLE and not plugins.find(RULES, rule):
        raise unknown("split rule", rule, RULES, f"known: {', '.join(RULES)}")
    if on_column(rule) and not column:
        raise DataError(f"the split rule {rule} needs a column: name it with --set split_column=COLUMN")
    if column not in examples.columns and on_column(rule):
        guess = nearest(column, examples.columns)
        raise DataError(f"the data has no column {column!r}, which the split rule {rule} needs{guess}")


def check_plan(examples: Examples, plan: SplitPlan) -> None:
    """Check a split before anything is computed.

    Raises BenchError for an unknown rule, DataError if the data lacks its column, or if a rule that reads the
    sides from its column leaves train or test empty (other rules are checked when they draw).
    """
    check_column(examples, plan)
    if (sides := sides_read(examples, plan)) is not None:
        check_sides(plan, sides)


def sides_read(examples: Examples, plan: SplitPlan) -> list[bool] | None:
    """Return whether each row trains, for rules that read it from their column; None for the others."""
    if plan.rule == "even_year":
        return even_years(examples.columns[plan.column])
    if plan.rule == COLUMN:
        return [part != "test" for part in published_parts(plan.column, examples.columns[plan.column])]
    return None


def check_sides(plan: SplitPlan, train: Sequence[bool]) -> None:
    """Raise DataError if train or test has no row."""
    used = f" on column {plan.column!r}" if on_column(plan.rule) else ""
    for side, found in (("train", any(train)), ("test", not all(train))):
        if not found:
            raise DataError(f"the split rule {plan.rule}{used} leaves no {side} row; add data")


def even_years(values: Sequence[str]) -> list[bool]:
    """Return whether each cell is an even year; False for a missing or unreadable one."""
    years = (_YEAR.fullmatch(value) for value in values)
    return [year is not None and int(year[1]) % 2 == 0 for year in years]


def part_of(word: str) -> str:
    """Return the part of a published split for a word, "" for none.

    >>> [part_of(word) for word in ("Training", "valid", "test", "tests")]
    ['train', 'val', 'test', '']
    """
    return _PART_OF.get(word.strip().lower(), "")


def published_parts(column: str, values: Sequence[str]) -> list[str]:
    """Return the part of each row: train, val or test.

    Where no row is published as test, the validation part becomes the test set. Raises DataError for other
    words.
    """
    parts = [part_of(value) for value in values]
    if "" in parts:
        word = values[parts.index("")]
        count = Counter(values)[word]
        known = ", ".join(words[0] for words in PARTS.values())
        rows = f"in {count} row{'s' * (count > 1)}"
        what = f"{word[:80]!r} {rows}" if word else f"an empty cell {rows}"
        guess = nearest(word.lower(), _PART_OF)
        raise DataError(f"split column {column!r} has {what}{guess} (a row is {known}: change the column)")
    if "test" not in parts:
        parts = ["test" if part == "val" else part for part in parts]
    return parts
