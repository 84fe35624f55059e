"""Card and data of a request's task."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.core import plugins
from bench.core.errors import BenchError, DataError, unknown
from bench.core.kind import get_kind
from bench.core.paths import user_path
from bench.core.protocol import CARD, GIVEN
from bench.data.examples import Examples
from bench.data.sources import NotInSample, open_source
from bench.data.split_rules import on_column
from bench.data.task_card import TaskCard, find_cards, load_card
from bench.runs.plan import Request

Notify = Callable[[str], None]


def find_card(request: Request, tasks: Sequence[Path], notify: Notify | None = None) -> TaskCard:
    """Return the card of the task, or a generated one for data without a card.

    notify: called with each note on such data. Raises BenchError for an unknown task, or neither task nor
    data, DataError for data without an unambiguous label.
    """
    if request.task:
        if request.label or request.kind or request.columns:
            raise BenchError(
                f"--label, --kind and --column are for data without a card; {request.task} has one: leave "
                "out --task, or edit its task.toml"
            )
        return load_card(request.task, tasks)
    if request.data is None:
        raise BenchError(
            "name a task with --task (bench list tasks), or data of your own with --data DIR (bench init DIR)"
        )
    from bench.core.paths import shipped
    from bench.data.own_card import edited_card, own_card
    from bench.data.survey import DataQuery

    query = DataQuery(request.data, request.label, request.kind, request.columns, request.follow_links)
    card, found = own_card(query, find_cards([shipped("tasks")]))
    if notify is not None:
        for note in found.notes:
            notify(f"{card.name}: {note}")
        if (other := edited_card(found, card.name, tasks)) is not None:
            notify(
                f"{other} is a card for this data and is not used; to use it: --task {card.name} --tasks "
                f"{shlex.quote(str(other.parents[1]))}"
            )
    return card


def open_task(
    request: Request, tasks: Sequence[Path], cache: Path, notify: Notify | None = None
) -> tuple[TaskCard, Examples]:
    """Read the task's card and open its data. notify: see `find_card`.

    Raises BenchError (unknown task) or DataError (bad data).
    """
    for place in request.plugins:
        plugins.load(place)
    card = find_card(request, tasks, notify)
    if request.data is None and "drawn" not in card.grids:
        raise DataError(f"task {card.name} has no sample: name its data with --data DIR")
    sample = request.sample or (card.grids["drawn"].sample if "drawn" in card.grids else "")
    asked = str(request.settings.get("source", CARD))
    if asked not in (CARD, *card.sources):
        raise unknown("source", asked, card.sources, f"{card.name} has {', '.join((CARD, *card.sources))}")
    split_column = card.split_column if on_column(card.split_rule) else ""
    needed = tuple(name for name in (card.label, split_column, card.split_group) if name)
    source = card.sources.get(asked, card.source)
    try:
        examples = open_source(source, request.data, sample, cache, needed, request.follow_links, card.layout)
    except NotInSample as lack:
        raise DataError(f"task {card.name} needs its own data, --data DIR: {lack}") from None
    reviewed = str(request.settings.get("labels", GIVEN))
    if reviewed != GIVEN:
        if "review" not in get_kind(card.kind).supports:
            raise BenchError(
                f"--set labels={reviewed}: {card.name} is {card.kind} and has no classes to review"
            )
        from bench.data.corrections import corrected

        examples = corrected(examples, card.label, user_path(reviewed))
    return card, replace(examples, task=card.name)
