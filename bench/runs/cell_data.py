"""Data columns of stored cells, by item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, DataError, unknown
from bench.data.examples import Examples
from bench.data.sources import sample_size
from bench.data.task_card import find_cards
from bench.runs.open_task import open_task
from bench.runs.plan import Request
from bench.store.experiment_file import experiment_files, read_experiment
from bench.store.places import slug


class DataMismatch(BenchError):
    """The given data is not that of a cell."""


@dataclass(frozen=True)
class DataLocation:
    """Paths to data.

    data: a folder or table, None for synthetic samples. tasks: folders of task cards. results: the results
    folder; its experiments hold the options of data without a card.
    """

    data: Path | None
    tasks: Sequence[Path]
    cache: Path
    results: Path
    follow_links: bool = False


def examples_of(cell: Mapping[str, Any], place: DataLocation) -> Examples:
    """Return the examples that a cell was run on.

    cell: its identity in a record. Raises BenchError if the data is missing or different.
    """
    protocol = cell["protocol"]
    settings = {"source": protocol["source"]} if "source" in protocol else {}
    size = None if place.data is not None else sample_size(str(cell["data"]["source"]))
    if place.data is None and size is None:
        raise DataMismatch("columns of the data are not stored with a cell: name the data with --data DIR")
    # Reviewed labels change the fingerprint, but not the photos and the other columns.
    wanted = None if protocol.get("labels") == "reviewed" else cell["data"]["fingerprint"]
    fault: BenchError | None = None
    for request in _requests(str(cell["task"]), place, settings, size):
        try:
            examples = open_task(request, place.tasks, place.cache)[1]
        except BenchError as error:
            fault = fault or error
            continue
        if wanted in (None, examples.fingerprint):
            return examples
    if fault is not None:
        raise fault
    where = f"--data {str(place.data)!r}" if place.data is not None else f"the synthetic sample {size}"
    raise DataMismatch(
        f"{where}: not the data that this cell was run on ({cell['data']['source']} "
        f"{cell['data']['fingerprint'][:8]}); name that with --data DIR"
    )


def _requests(
    task: str, place: DataLocation, settings: Mapping[str, Any], size: str | None
) -> Iterable[Request]:
    """Yield the requests that may have read the data of a cell of this task."""
    if task in find_cards(place.tasks):
        yield Request(task, place.data, size, settings=settings, follow_links=place.follow_links)
        return
    if place.data is None:
        raise BenchError(f"the card of task {task} is not found: name its folder with --tasks DIR")
    ways = list(_without_card(place.results / slug(task)))
    if not ways:
        raise BenchError(
            f"task {task} has no card, and no experiment beside its results says how its data was read: name "
            "the folder of its card with --tasks DIR"
        )
    for label, kind, columns in ways:
        yield Request(
            "",
            place.data,
            settings=settings,
            follow_links=place.follow_links,
            label=label,
            kind=kind,
            columns=dict(columns),
        )


CardlessOptions = tuple[tuple[str, ...], str | None, tuple[tuple[str, str], ...]]
"""Labels, kind and columns by role, of data without a card."""


def _without_card(folder: Path) -> Iterable[CardlessOptions]:
    """Return the distinct options of the experiments stored in a folder."""
    ways: dict[CardlessOptions, None] = {}
    for path in experiment_files(folder):
        try:
            values = read_experiment(path)
        except BenchError:
            continue
        label, kind, columns = values.get("label", []), values.get("kind"), values.get("columns", {})
        sound = isinstance(label, list) and isinstance(columns, dict) and isinstance(kind, str | None)
        if sound and "task" not in values:
            names = tuple(name.strip() for text in label for name in str(text).split(","))
            ways[names, kind, tuple((str(role), str(name)) for role, name in columns.items())] = None
    return ways


def column_of(examples: Examples, column: str) -> dict[str, str]:
    """Return the value of each item in a column, "" if missing.

    Raises BenchError, with the nearest name, for an unknown column, DataError for an empty one.
    """
    if column not in examples.columns:
        names = list(examples.columns)
        shown = ", ".join(names)
        has = f"the data has: {shown[:300]}{'…' * (len(shown) > 300)}" if names else "the data has none"
        raise unknown("column", column, names, has)
    cells = examples.columns[column]
    if not any(cells):
        raise DataError(f"column {column!r} of the data is empty")
    return dict(zip(examples.items, cells, strict=True))


class ColumnValues:
    """Values of a data column by cell; each data set is opened once."""

    def __init__(self, column: str, place: DataLocation) -> None:
        self.column, self._place = column, place
        self._known: dict[tuple[Any, ...], dict[str, str]] = {}

    def of(self, cell: Mapping[str, Any]) -> dict[str, str]:
        """Return the value of each item of a cell. Raises the errors of `examples_of` and `column_of`."""
        data, protocol = cell["data"], cell["protocol"]
        key = cell["task"], data["source"], data["fingerprint"], protocol.get("source")
        if key not in self._known:
            self._known[key] = column_of(examples_of(cell, self._place), self.column)
        return self._known[key]
