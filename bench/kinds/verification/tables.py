"""Tables of results of pairs of photos: people stand where other kinds have classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bench.core.kind import Average
from bench.core.predictions import Predictions
from bench.core.table import Table
from bench.kinds.verification.notes import pair_notes, rests_on, supervision

PEOPLE = 20
"""Of the people on test pairs, those with most wrong answers that a table shows."""


published_note = (
    "Intervals are 95%: of the published number Wilson's, or Student's where a standard error over folds "
    "is published; of the difference, that and ours over resampled people, added in squares."
)
paired_note = (
    "Intervals are 95% of the paired bootstrap over the people on the pairs (over seeds too where there "
    "are several); p is Student's: pairs share people, so McNemar's test has no place."
)


extra_splits: Mapping[str, str] = MappingProxyType({})


def extra_tables(records: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return nothing."""
    return []


def extra_tables_of(stored: Any) -> list[Table]:
    """Return nothing."""
    return []


def shown(rows: Sequence[Mapping[str, Any]], whole: bool) -> Sequence[Mapping[str, Any]]:
    """Return the PEOPLE that stand first, or all."""
    return rows if whole else rows[:PEOPLE]


def published_keys(published: Any, result: Mapping[str, Any]) -> set[str] | None:
    """Return None: people are in no published table."""
    return None


def below(average: Average, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many people and pairs there are. A pair of two people is in the rows of both."""
    test = result["metrics"].get("test", {})
    return {
        "class": f"{average.name} ({len(result['per_class']):,} people)",
        "test_support": test.get("n"),
        "same": test.get("positives"),
        "different": test.get("negatives"),
    }


def class_notes(result: Mapping[str, Any]) -> list[str]:
    """Return notes on people not shown, test pairs and supervision."""
    rest = result["per_class"][PEOPLE:]
    wrong = sum(bool(row.get("errors")) for row in rest)
    lines = []
    if rest:
        lines.append(
            f"{len(rest):,} more people, {wrong:,} of them with a wrong answer: --format csv lists all."
        )
    lines.append(
        "mistaken for: who was most surely mistaken for this person. A pair of two people is in both rows."
    )
    lines += [line for line in (rests_on(result), supervision([result])) if line]
    return lines


def notes(settings: Sequence[Any], metric: str) -> list[str]:
    """Return a line each about test pairs, supervision of methods, and how seeds differ."""
    return pair_notes(settings, metric)


def head_parameters(features: int, classes: int) -> int:
    """Return 0: the comparison may be a rule without weights, or a net."""
    return 0


def answers(pred: Predictions) -> dict[str, Any]:
    """Return the photos, who is on them, whether it is one person, the answer, score, cut and fold."""
    from bench.kinds.verification.metrics import answers, facts

    pairs = facts(pred)
    return {
        "photo_a": [photos[0] for photos in pairs.photos],
        "photo_b": [photos[1] for photos in pairs.photos],
        "person_a": pred.groups,
        "person_b": pairs.partners,
        "same": pred.truth.astype(bool),
        "predicted": answers(pred),
        "score": pred.scores[:, 0],
        "cut": pairs.cuts,
        "fold": pairs.folds,
    }
