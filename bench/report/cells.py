"""What the tables of one stored cell hold: its classes beside the published ones, and the cell whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.comparison import counted
from bench.kinds.base import PAIRS, Average
from bench.metrics.registry import COUNTS, METRICS
from bench.report.pairs import rests_on, told
from bench.report.settings import Record, cell_title, kind_of, rehearsal_notes, rehearses
from bench.report.table import Column, Table, flat

if TYPE_CHECKING:
    from bench.baselines import Baseline, Number, PublishedResult
    from bench.kinds.base import Kind

IMPUTED = "imputed"
"""The part of results that scores what a method filled in for labels hidden from it."""


PEOPLE = 20
"""Of the people on test pairs, those with most wrong answers that a table shows."""


def class_table(result: Record, published: Baseline | None = None, whole: bool = False) -> Table:
    """Return a row for each class, then the averages, the groups of classes and the trivial answers.

    result: a stored cell with its `per_class` rows. published: a baseline; of its results the first of the
    cell's stage stands beside ours. The column `row` tells classes from what stands below them: `class`,
    `average`, `group`, `imputed`, or the name of a trivial answer. whole: show all people of test pairs, not
    the PEOPLE with most wrong answers alone.
    """
    kind, cell = kind_of(result), result["cell"]
    people = cell["kind"] == PAIRS
    theirs = _theirs(published, cell["stage"])
    if rehearses(cell):
        published = theirs = None
    # A file without a line of names calls its attributes what any other such file calls its own; people are
    # in no published table.
    if people or (cell["kind"] == "multilabel" and theirs and set(theirs.classes) != set(result["classes"])):
        published = theirs = None
    name, columns = kind.class_columns[0].key, _published_columns(kind, theirs)
    keys = [column.key.removeprefix("published_") for column in columns[1:]]
    shown = result["per_class"] if whole or not people else result["per_class"][:PEOPLE]
    body = [{"row": "class", **row, **_their_class(theirs, row[name], keys)} for row in shown]
    metrics = result["metrics"]
    for average in kind.averages:
        whose = _whose(average, result, kind)
        ours = _picked(average, metrics.get("test", {}))
        body.append({"row": average.role, **whose, **ours, **_their_average(theirs, average, keys)})
    for part in (IMPUTED, *kind.trivial_names):
        body += [
            {"row": part, **_whose(average, result, kind), **_picked(average, metrics[part])}
            for average in kind.averages
            if part in metrics and (average.trivial or (part == IMPUTED and average.role == "average"))
        ]
    return Table(
        cell_title(result),
        [Column("row", "row"), *kind.class_columns, *columns],
        body,
        _class_notes(result, published, theirs),
    )


def cell_tables(
    result: Record, history: Sequence[Mapping[str, Any]] = (), whole: bool = False
) -> tuple[Table, ...]:
    """Return all that is stored of a cell but its predictions: identity, protocol, metrics, classes, record.

    history: one row per epoch. whole: see `class_table`. Tables that would be empty are left out.
    """
    cell = result["cell"]
    identity = {
        "id": result["id"],
        **{key: cell[key] for key in ("task", "task_version", "stage", "regime", "backbone", "weights")},
        "method": cell["method_text"],
        "seed": cell["seed"],
        "data": f"{cell['data']['source']} {cell['data']['fingerprint']}",
        "status": result["status"],
        "reason": result.get("reason"),
        "command": result.get("command"),
    }
    tables = [
        _facts(f"Cell {result['id'][:8]}", identity),
        _facts("Protocol", cell["protocol"]),
        _metrics(result["metrics"]),
        class_table(result, whole=whole) if result.get("per_class") else None,
        *(_facts(key.capitalize(), result.get(key, {})) for key in ("counts", "choices", "timings")),
        Table("History", [_epoch_column(key) for key in history[0]], history) if history else None,
        _facts("Environment", result.get("environment", {})),
    ]
    return tuple(table for table in tables if table is not None and table.rows)


def _theirs(published: Baseline | None, stage: str) -> PublishedResult | None:
    found = (theirs for theirs in published.published if theirs.stage == stage) if published else iter(())
    return next(found, None)


def _published_columns(kind: Kind, theirs: PublishedResult | None) -> list[Column]:
    """Return the columns of a published result: its test items, and what it tells of the classes."""
    if theirs is None:
        return []
    if kind.name == "multiclass":
        told = {"top1", "top5"}
    else:
        told = {key for numbers in theirs.classes.values() for key in numbers}
        told |= {key for row in kind.averages for key, name in row.columns.items() if name in theirs.metrics}
    shown = [column for column in kind.class_columns[1:] if column.key in told]
    return [
        Column("published_test", "their test", "int"),
        *(Column(f"published_{column.key}", f"their {column.title}", column.kind) for column in shown),
    ]


def _their_class(theirs: PublishedResult | None, name: str, keys: Iterable[str]) -> dict[str, Any]:
    if theirs is None:
        return {}
    numbers = theirs.classes.get(name, {})
    return {
        "published_test": theirs.support.get(name),
        **{f"published_{key}": _value(numbers.get(key)) for key in keys},
    }


def _their_average(theirs: PublishedResult | None, average: Average, keys: Iterable[str]) -> dict[str, Any]:
    if theirs is None:
        return {}
    shown = (key for key in keys if key in average.columns)
    return {f"published_{key}": _value(theirs.metrics.get(average.columns[key])) for key in shown}


def _value(number: Number | None) -> float | None:
    return None if number is None else number.value


def _picked(average: Average, metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {column: metrics.get(metric) for column, metric in average.columns.items()}


def _whose(average: Average, result: Record, kind: Kind) -> dict[str, Any]:
    """Return name and supports of a row below: over all classes, or over those of a group."""
    if kind.name == PAIRS:
        # A pair of two people is in the rows of both.
        test = result["metrics"].get("test", {})
        counts = {
            "test_support": test.get("n"),
            "same": test.get("positives"),
            "different": test.get("negatives"),
        }
        return {"class": f"{average.name} ({len(result['per_class']):,} people)", **counts}
    rows = result["per_class"]
    rows = [row for row in rows if average.role != "group" or row.get("group") == average.name]
    scored = sum(bool(row.get("test_support")) for row in rows)
    totals = {key: sum(row[key] for row in rows if row.get(key)) for key in ("train_support", "test_support")}
    first = kind.class_columns[0]
    return {first.key: f"{average.name} ({counted(scored, first.title)})", **totals}


def _class_notes(result: Record, published: Baseline | None, theirs: PublishedResult | None) -> list[str]:
    notes = rehearsal_notes([result["cell"]])
    if unscored := result.get("counts", {}).get("not_scored"):
        notes.append(f"{unscored} test images are not scored: train has no image of their class.")
    if kind_of(result).name == PAIRS:
        notes += _people_notes(result)
    many = kind_of(result).name == "multilabel"
    if any(not row.get("test_support") for row in result["per_class"]):
        whose = "Attributes without an observed test cell" if many else "Classes without a test image"
        notes.append(f"{whose} are in no average.")
    if IMPUTED in result["metrics"]:
        notes.append("imputed: what the method filled in for hidden labels of train, scored by the truth.")
    if published is not None and theirs is not None:
        label = f" ({theirs.label})" if theirs.label else ""
        notes += [
            f"their: {published.name}{label}, {theirs.backbone}, {theirs.method}. {published.summary}.",
            "bench compare says how far theirs and ours can be compared.",
        ]
        notes += [f"their {flag.name}: {flag.why}." for flag in (*published.flags, *theirs.flags)]
    return notes


def _people_notes(result: Record) -> list[str]:
    rows = result["per_class"]
    rest, wrong = rows[PEOPLE:], sum(bool(row.get("errors")) for row in rows[PEOPLE:])
    notes = (
        [f"{len(rest):,} more people, {wrong:,} of them with a wrong answer: --format csv lists all."]
        if rest
        else []
    )
    notes.append(
        "taken for: who was most surely taken for this person. A pair of two people is in both rows."
    )
    return [*notes, *(line for line in (rests_on(result), told([result])) if line)]


def _facts(title: str, values: Mapping[str, Any]) -> Table:
    columns = [Column("name", "name"), Column("value", "value")]
    return Table(title, columns, [{"name": key, "value": value} for key, value in flat(values)])


def _metrics(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    parts = [name for name in ("test", "val", IMPUTED) if name in metrics]
    splits = [*parts, *(name for name in metrics if name not in parts)]
    columns = [
        Column("metric", "metric"),
        *(Column(split, split, "ratio") for split in splits),
        Column("better", "better"),
        Column("meaning", "meaning"),
    ]
    rows: list[dict[str, Any]] = [
        {
            "metric": info.name,
            **{split: metrics[split].get(info.name) for split in splits},
            "better": info.direction,
            "meaning": info.summary,
        }
        for info in METRICS.values()
        if any(info.name in metrics[split] for split in splits)
    ]
    counts = {f"{name} ({split})": metrics[split].get(name) for name in COUNTS for split in parts}
    notes = [f"{name}: {value}" for name, value in counts.items() if value is not None]
    return Table("Metrics", columns, rows, notes)


def _epoch_column(key: str) -> Column:
    return Column(key, key.replace("_", " "), "int" if key == "epoch" else "ratio")
