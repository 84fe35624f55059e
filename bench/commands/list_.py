"""`bench list`: what is registered."""

from __future__ import annotations

from collections.abc import Callable

import click

from bench.commands.options import Word, baselines_option, format_option, tasks_option
from bench.report.table import Column, Table

WHAT = ("tasks", "backbones", "methods", "metrics", "baselines")


@click.command()
@click.argument("what", type=Word("list", WHAT))
@format_option
@tasks_option
@baselines_option
def command(what: str, fmt: str, tasks: str | None, baselines: str | None) -> None:
    """List tasks, backbones, methods, metrics or baselines."""
    from bench.report.render import render

    tables: dict[str, Callable[[], Table]] = {
        "tasks": lambda: task_table(tasks),
        "backbones": backbone_table,
        "methods": method_table,
        "metrics": metric_table,
        "baselines": lambda: baseline_table(baselines),
    }
    click.echo(render(tables[what](), fmt))


def task_table(tasks: str | None) -> Table:
    """Return the known task cards."""
    from bench.cards import find_cards, read_card
    from bench.paths import search_path

    cards = [read_card(path) for path in find_cards(search_path("tasks", tasks)).values()]
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
    return Table(
        "Tasks", [Column(name, name, "int" if name == "version" else "text") for name in names], rows
    )


def backbone_table() -> Table:
    """Return the registered backbones."""
    from bench.models.backbones import BACKBONES

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
    names = ("backbone", "family", "input", "preprocess", "regime", "weights", "summary")
    notes = ("Join with +, for example mobilenet_025+hog: frozen features stand side by side.",)
    return Table("Backbones", [Column(name, name) for name in names], rows, notes)


def method_table() -> Table:
    """Return the registered method steps with their arguments at their defaults."""
    import bench.methods.steps  # noqa: F401  (fills the registry)
    from bench.methods.registry import STEPS

    rows = [
        {
            "method": "none",
            "stage": "",
            "arguments": "",
            "summary": "The plain loss on the rows as they are; unknown labels are masked (also: mask).",
            "paper": "",
        }
    ]
    for info in STEPS.values():
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
    names = ("method", "stage", "arguments", "summary", "paper")
    notes = ("Compose with +, for example oversample+class_weight or focal(gamma=1)+undersample.",)
    return Table("Methods", [Column(name, name) for name in names], rows, notes)


def metric_table() -> Table:
    """Return the registered metrics."""
    from bench.metrics.registry import METRICS

    rows = [
        {"metric": info.name, "title": info.title, "better": info.direction, "summary": info.summary}
        for info in METRICS.values()
    ]
    names = ("metric", "title", "better", "summary")
    return Table("Metrics", [Column(name, name) for name in names], rows)


def baseline_table(baselines: str | None) -> Table:
    """Return the baselines of every task."""
    from bench.baselines import list_baselines
    from bench.paths import search_path

    rows = list_baselines(search_path("baselines", baselines))
    names = ("task", "baseline", "type", "flags", "summary")
    return Table("Baselines", [Column(name, name) for name in names], rows)
