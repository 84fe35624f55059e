"""`bench list`: registered tasks, backbones, methods, metrics and baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import click

from bench.commands.loading import report_problems
from bench.commands.options import baselines_option, format_option, plugin_option, tasks_option
from bench.commands.output import show_table, show_tables
from bench.commands.words import Word
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError
from bench.core.kind import get_kind
from bench.core.plugins import load, load_known, loaded, owner_of
from bench.core.table import Column, Table

WHAT = ("tasks", "backbones", "methods", "metrics", "settings", "baselines", "plugins")


@click.command()
@click.argument("what", type=Word("list", WHAT))
@format_option
@click.option("--kind", metavar="KIND", help="Only methods or metrics for this kind of task.")
@click.option("--task", help="Settings with the values of this task's card.")
@plugin_option
@tasks_option
@baselines_option
def command(
    what: str,
    fmt: str,
    kind: str | None,
    task: str | None,
    plugins: tuple[str, ...],
    tasks: str | None,
    baselines: str | None,
) -> int:
    """List tasks, backbones, methods, metrics, settings (the keys of --set), baselines or plug-ins.

    `bench help NAME` says more about one of them. Exit code 4: a task card or a baseline could not be read;
    the others are listed.
    """
    for place in plugins:
        load(place)
    load_known()
    if kind is not None and what not in ("methods", "metrics"):
        raise BenchError(f"--kind is for methods and metrics, not {what}: leave it out")
    if task is not None and what != "settings":
        raise BenchError(f"--task is for settings, not {what}: leave it out")
    if kind is not None:
        get_kind(kind)
    problems: list[str] = []
    tables: dict[str, Callable[[], Table]] = {
        "tasks": lambda: task_table(tasks, problems),
        "backbones": backbone_table,
        "methods": lambda: method_table(kind),
        "metrics": lambda: metric_table(kind),
        "settings": lambda: settings_of(task, tasks),
        "baselines": lambda: baseline_table(baselines, problems),
        "plugins": plugin_table,
    }
    if what == "settings" and fmt == "table":
        from bench.report.settings_table import by_group

        show_tables(by_group(tables[what]()), fmt)
    else:
        show_table(with_origins(tables[what](), what), fmt)
    report_problems(problems)
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def with_origins(table: Table, what: str) -> Table:
    """Add a column with the plug-in that each row comes from, if any does."""
    sorts = {"backbones": "backbone", "methods": "step", "metrics": "metric"}
    if what not in sorts:
        return table
    key = table.columns[0].key
    owners = [owner_of(sorts[what], str(row[key])) for row in table.rows]
    if not any(owners):
        return table
    rows = [
        {**row, "from": "messybench" if owner is None else str(owner)}
        for row, owner in zip(table.rows, owners, strict=True)
    ]
    return replace(table, columns=[*table.columns, Column("from", "from")], rows=rows)


def plugin_table() -> Table:
    """Return the plug-ins and what they register."""
    rows = [
        {
            "plugin": owner.name,
            "version": owner.version or None,
            "source": owner.source,
            "place": owner.place or "installed",
            "registers": ", ".join(f"{what} {name}" for what, name in things),
        }
        for owner, things in loaded().items()
    ]
    names = ("plugin", "version", "source", "place", "registers")
    return Table("Plug-ins", [Column(name, name) for name in names], rows)


def task_table(tasks: str | None, problems: list[str]) -> Table:
    """Return the known task cards; faults are added to `problems`."""
    from bench.core.paths import search_path
    from bench.data.task_card import find_cards, read_card

    cards = []
    for path in find_cards(search_path("tasks", tasks)).values():
        try:
            cards.append(read_card(path))
        except BenchError as error:
            problems.append(str(error))
    rows = [
        {
            "task": card.name,
            "version": card.version,
            "kind": card.kind,
            "source": card.source,
            "stages": ", ".join(stage.name for stage in card.stages),
            "title": card.title,
        }
        for card in cards
    ]
    names = ("task", "version", "kind", "source", "stages", "title")
    ranks = {"task": 0, "title": 0, "source": 2, "version": 3}
    columns = [
        Column(name, name, "int" if name == "version" else "text", rank=ranks.get(name, 1)) for name in names
    ]
    return Table("Tasks", columns, rows)


def backbone_table() -> Table:
    """Return the registered backbones."""
    from bench.backbones.registry import BACKBONES

    rows = [
        {
            "backbone": info.name,
            "family": info.family,
            "input": "x".join(map(str, info.input_size)),
            "preprocess": info.preprocess,
            "regime": info.regime,
            "weights": ", ".join(info.weights),
            "summary": info.summary,
        }
        for info in BACKBONES.values()
    ]
    ranks = {"backbone": 0, "preprocess": 3, "regime": 2, "weights": 2}
    names = ("backbone", "family", "input", "preprocess", "regime", "weights", "summary")
    columns = [Column(name, name, rank=ranks.get(name, 1)) for name in names]
    notes = ("Join with +, for example mobilenet_025+hog: frozen features are concatenated.",)
    return Table("Backbones", columns, rows, notes)


def settings_of(task: str | None, tasks: str | None) -> Table:
    """Return the protocol keys, with the values of a task's card if one is named."""
    from bench.core.paths import search_path
    from bench.data.task_card import load_card
    from bench.report.settings_table import settings_table

    return settings_table(None if task is None else load_card(task, search_path("tasks", tasks)))


def method_table(kind: str | None = None) -> Table:
    """Return the registered method steps with their default arguments. kind: only those it can use."""
    import bench.methods.steps  # noqa: F401  (fills the registry)
    from bench.methods.registry import STEPS

    rows = [
        {
            "method": "none",
            "stage": "",
            "arguments": "",
            "summary": "No remedy: plain loss, all rows; unknown labels are masked (also: mask).",
            "paper": "",
        }
    ]
    for info in STEPS.values():
        if kind is not None and get_kind(kind).steps_of not in info.kinds:
            continue
        arguments = ", ".join(f"{param.name}={param.default}" for param in info.params)
        stage = info.stage_of({param.name: param.default for param in info.params})
        rows.append(
            {
                "method": info.name,
                "stage": stage,
                "arguments": arguments,
                "summary": info.summary,
                "paper": info.paper,
            }
        )
    ranks = {"method": 0, "summary": 0, "arguments": 2, "paper": 3}
    names = ("method", "stage", "arguments", "summary", "paper")
    notes = (
        "Compose with +, for example oversample+class_weight or focal(gamma=1)+undersample.",
        "`bench help METHOD` says when one helps, and what its arguments mean.",
    )
    return Table("Methods", [Column(name, name, rank=ranks.get(name, 1)) for name in names], rows, notes)


def metric_table(kind: str | None = None) -> Table:
    """Return the registered metrics. kind: only those of its tasks."""
    from bench.metrics.registry import METRICS

    rows = [
        {"metric": info.name, "title": info.title, "better": info.direction, "summary": info.summary}
        for info in METRICS.values()
        if kind is None or kind in info.kinds
    ]
    names = ("metric", "title", "better", "summary")
    return Table("Metrics", [Column(name, name) for name in names], rows)


def baseline_table(baselines: str | None, problems: list[str]) -> Table:
    """Return the baselines of every task; faults are added to `problems`."""
    from bench.compare.baselines.find import list_baselines
    from bench.core.paths import search_path

    rows, faults = list_baselines(search_path("baselines", baselines))
    problems += faults
    names = ("task", "baseline", "type", "flags", "summary")
    return Table("Baselines", [Column(name, name) for name in names], rows)
