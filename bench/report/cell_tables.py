"""Tables of one stored cell: its classes, beside published ones, and its whole record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.core.table import Column, Table, flat
from bench.metrics.registry import COUNTS, METRICS
from bench.report.result_tables import metric_column
from bench.store.settings import Record, cell_name, cell_title, kind_of, rehearsal_notes, rehearses

if TYPE_CHECKING:
    from bench.compare.baselines.types import Baseline, Number, PublishedResult
    from bench.core.kind import Average, Kind


def mean_over_seeds(results: Sequence[Record]) -> Record:
    """Average the cells of one setting: one record with mean metrics and class rows, None if any is None.

    Text values, and classes that another seed lacks, are those of the first seed.
    """
    first = results[0]
    rows = [{row["class"]: row for row in result["per_class"]} for result in results]
    metrics = {
        split: _means([result["metrics"].get(split, {}) for result in results], values)
        for split, values in first["metrics"].items()
    }
    per_class = [_means([own.get(row["class"], {}) for own in rows], row) for row in first["per_class"]]
    return {
        **first,
        "metrics": metrics,
        "per_class": per_class,
        "seeds": [r["cell"]["seed"] for r in results],
    }


def _means(seeds: Sequence[Mapping[str, Any]], first: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(first)
    for key, value in first.items():
        values: list[Any] = [own.get(key) for own in seeds]
        if value is None or None in values:
            out[key] = None
        elif isinstance(value, (int, float)) and len(set(values)) > 1:
            out[key] = math.fsum(values) / len(values)
    return out


def class_table(result: Record, published: Baseline | None = None, whole: bool = False) -> Table:
    """Return a row for each class, then the averages, the groups of classes and the trivial answers.

    result: a stored cell with its `per_class` rows, or the result of `mean_over_seeds`. published: a
    baseline; its first result of the cell's stage is shown beside ours. The column `row` is the type of row:
    `class`, `average`, `group`, the name of an extra split or that of a trivial answer. whole: include the
    classes (or people) that tables in a terminal leave out.
    """
    kind, cell = kind_of(result), result["cell"]
    theirs = None if rehearses(cell) else _theirs(published, cell["stage"])
    published_keys = None if theirs is None else kind.tables.published_keys(theirs, result)
    theirs = None if published_keys is None else theirs
    name, columns = kind.columns.classes[0].key, _published_columns(kind, published_keys)
    keys = [column.key.removeprefix("published_") for column in columns[1:]]
    shown = kind.tables.shown(result["per_class"], whole)
    body = [{"row": "class", **row, **_their_class(theirs, row[name], keys)} for row in shown]
    metrics = result["metrics"]
    for average in kind.columns.averages:
        named = kind.tables.below(average, result)
        ours = _picked(average, metrics.get("test", {}))
        body.append({"row": average.role, **named, **ours, **_their_average(theirs, average, keys)})
    extra = kind.tables.extra_splits
    for split in (*extra, *kind.trivial_notes):
        body += [
            {"row": split, **kind.tables.below(average, result), **_picked(average, metrics[split])}
            for average in kind.columns.averages
            if split in metrics and (average.trivial or (split in extra and average.role == "average"))
        ]
    return Table(
        cell_title(result),
        [Column("row", "row"), *kind.columns.classes, *columns],
        body,
        _class_notes(result, published, theirs),
    )


def cell_tables(
    result: Record,
    history: Sequence[Mapping[str, Any]] = (),
    whole: bool = False,
    trials: Sequence[Mapping[str, Any]] = (),
) -> tuple[Table, ...]:
    """Return everything stored of a cell except its predictions; empty tables are left out.

    A record may have the number of its `answer`, and its `origin`, the folder that it was merged from.
    history: one row per epoch. whole: see `class_table`. trials: one row per trial of a tuned cell.
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
        **({"merged from": result["origin"]} if result.get("origin") else {}),
    }
    tables = [
        _facts(f"Cell {cell_name(result)}", identity),
        _facts("Protocol", cell["protocol"]),
        _metrics(result),
        class_table(result, whole=whole) if result.get("per_class") else None,
        *(_facts(key.capitalize(), result.get(key, {})) for key in ("counts", "choices", "timings")),
        trials_table(trials) if trials else None,
        Table("History", [_epoch_column(key) for key in history[0]], history) if history else None,
        _facts("Environment", result.get("environment", {})),
    ]
    return tuple(table for table in tables if table is not None and table.rows)


def trials_table(trials: Sequence[Mapping[str, Any]]) -> Table:
    """Return a row for each trial of a tuned cell, the chosen one marked."""
    metric = next(key for key in trials[0] if key.startswith("val_")).removeprefix("val_")
    columns = [
        Column("trial", "trial", "int"),
        Column("method", "method"),
        Column("lr", "learning rate"),
        Column("l2", "weight decay"),
        Column("batch_size", "batch size", "int"),
        metric_column(metric, "val"),
        Column("chosen", "chosen", "bool"),
        *([Column("reason", "reason")] if any(row.get("reason") for row in trials) else []),
    ]
    rows = [{**row, "chosen": bool(row["chosen"])} for row in trials]
    return Table("Trials", columns, rows, ("Trial 1 is the default setting; only the chosen one is tested.",))


def _theirs(published: Baseline | None, stage: str) -> PublishedResult | None:
    found = (theirs for theirs in published.published if theirs.stage == stage) if published else iter(())
    return next(found, None)


def class_columns(kind: Kind) -> list[Column]:
    """Return every column that `class_table` can have for this kind."""
    keys = {column.key for column in kind.columns.classes}
    return [Column("row", "row"), *kind.columns.classes, *_published_columns(kind, keys)]


def _published_columns(kind: Kind, keys: set[str] | None) -> list[Column]:
    """Return the columns of a published result: its test items, and its numbers of classes."""
    if keys is None:
        return []
    shown = [column for column in kind.columns.classes[1:] if column.key in keys]
    return [
        Column("published_test", "their test", "int", group="published"),
        *(
            Column(f"published_{column.key}", f"their {column.title}", column.type, group="published")
            for column in shown
        ),
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


def _class_notes(result: Record, published: Baseline | None, theirs: PublishedResult | None) -> list[str]:
    notes = rehearsal_notes([result["cell"]])
    if unscored := result.get("counts", {}).get("not_scored"):
        notes.append(f"{unscored} test images are not scored: their class is not in train.")
    tables = kind_of(result).tables
    notes += tables.class_notes(result)
    notes += [f"{split}: {what}" for split, what in tables.extra_splits.items() if split in result["metrics"]]
    if published is not None and theirs is not None:
        label = theirs.label and f" ({theirs.label})"
        notes += [
            f"their: {published.name}{label}, {theirs.backbone}, {theirs.method}. {published.summary}.",
            "bench compare shows whether the two are comparable.",
        ]
        notes += [f"their {flag.name}: {flag.why}." for flag in (*published.flags, *theirs.flags)]
    return notes


def _facts(title: str, values: Mapping[str, Any]) -> Table:
    columns = [Column("name", "name"), Column("value", "value")]
    return Table(title, columns, [{"name": key, "value": value} for key, value in flat(values)])


def _metrics(result: Record) -> Table:
    metrics: Mapping[str, Mapping[str, Any]] = result["metrics"]
    extra = kind_of(result).tables.extra_splits if metrics else ()
    first = [name for name in ("test", "val", *extra) if name in metrics]
    splits = [*first, *(name for name in metrics if name not in first)]
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
    counts = {f"{name} ({split})": metrics[split].get(name) for name in COUNTS for split in first}
    notes = [f"{name}: {value}" for name, value in counts.items() if value is not None]
    return Table("Metrics", columns, rows, notes)


def _epoch_column(key: str) -> Column:
    return Column(key, key.replace("_", " "), "int" if key == "epoch" else "ratio")
