"""`bench help NAME`: a command, a method, a setting, a metric or a backbone explained."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from bench.commands.output import NARROWEST, view_of_output
from bench.core.errors import BenchError, unknown
from bench.core.safe_text import visible
from bench.core.table import Column, Table

if TYPE_CHECKING:
    from bench.core.cell import Value
    from bench.methods.registry import StepInfo
    from bench.report.terminal import Terminal


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]")
@click.pass_context
def command(context: click.Context, names: tuple[str, ...]) -> None:
    """Explain a command, a method, a setting (a key of --set), a metric or a backbone.

    For a method: when it helps, its arguments, its paper, and an example. All meanings of an ambiguous name
    are explained.
    """
    from bench.commands.main import COMMANDS

    root = context.find_root()
    if not names:
        click.echo(root.get_help())
        return
    name = " ".join(names)
    found = [text for text in (_command(root, names), *(part(name) for part in _EXPLAINED)) if text]
    if not found:
        raise unknown("name", name, _known(COMMANDS), "bench list shows all names")
    click.echo("\n\n".join(found))


def _command(root: click.Context, names: tuple[str, ...]) -> str:
    """Return the help of a command, or of one of a group; empty if there is none."""
    from bench.commands.main import COMMANDS

    if names[0] not in COMMANDS:
        return ""
    here, group = root, root.command
    for name in names:
        found = group.get_command(here, name) if isinstance(group, click.Group) else None
        if found is None:
            return ""
        here, group = click.Context(found, info_name=name, parent=here), found
    return here.get_help()


def _method(name: str) -> str:
    import bench.methods.steps  # noqa: F401  (fills the registry)
    from bench.methods.registry import STEPS

    info = STEPS.get(name)
    if info is None:
        return ""
    facts = [
        f"Method {name}: {info.summary}.",
        f"Helps when {info.helps}." if info.helps else "",
        f"Tasks: {', '.join(info.kinds)}. Regimes: {', '.join(info.regimes)}. Paper: {info.paper}.",
    ]
    parts = [_wrapped([line for line in facts if line])]
    if info.params:
        parts.append(_fitted(_arguments(info)))
    parts.append(f"Example:\n  {example(info)}")
    return "\n\n".join(parts)


def _arguments(info: StepInfo) -> Table:
    from bench.report.settings_table import shown_value

    rows = [
        {
            "argument": param.name,
            "default": shown_value(param.default),
            "values": ", ".join(param.choices),
            "meaning": param.help,
        }
        for param in info.params
    ]
    columns = [Column(name, name, rank=0) for name in ("argument", "default", "meaning")]
    return Table("", [*columns, Column("values", "or" if _numbers(info) else "values")], rows)


def _numbers(info: StepInfo) -> bool:
    return all(param.type in (int, float) for param in info.params)


def example(info: StepInfo) -> str:
    """Return a command that runs a step beside the plain method, on the first task whose kind can use it."""
    task, plain = _task_for(info)
    base = f"bench run --task {task}"
    if "frozen" not in info.regimes:
        base += " --regime scratch --backbone lenet"
    elif info.backbones:
        base += f" --backbone {info.backbones[0]}"
    elif "titles" in info.reads:
        base += " --backbone mobilenet_025+tfidf"
    elif info.regimes == ("frozen",) or info.beside or info.needs_features(_defaults(info)):
        base += " --backbone mobilenet_025"
    method = "+".join([*_companions(info), info.name])
    return f"{base} --method {shlex.quote(','.join(dict.fromkeys((plain, method))))}"


def _task_for(info: StepInfo) -> tuple[str, str]:
    """Return a task that can use a step, and the plain method of its kind."""
    from bench.core.kind import get_kind
    from bench.core.paths import search_path
    from bench.data.task_card import find_cards, read_card

    for path in find_cards(search_path("tasks", None)).values():
        with suppress(BenchError):
            card = read_card(path)
            kind = get_kind(card.kind)
            if kind.steps_of in info.kinds:
                return card.name, kind.plain_method
    return "TASK", "none"


def _companions(info: StepInfo) -> list[str]:
    """Return another step that a step needs in a method."""
    from bench.methods.registry import STEPS

    needed = [*info.requires, *info.beside.get("frozen", ())]
    for other in STEPS.values():
        if other.is_a(_defaults(other)) & set(needed):
            return [other.name]
    return []


def _defaults(info: StepInfo) -> dict[str, Value]:
    return {param.name: param.default for param in info.params}


_BESIDE = {
    "noise": "--set noise_rate=0.2",
    "hide": "--set hide_rate=0.3",
    "hide_by": "--set hide=column --set hide_rate=0.3",
    "rehearse_by": "--set rehearse=STAGE",
    "tune_seed": "--tune 16",
    "tuner": "--tune 16",
}
"""Options without which a protocol key has no effect."""


def _setting(name: str) -> str:
    from bench.core.protocol import KEYS
    from bench.report.settings_table import settings_table, shown_value, values_of

    if name not in KEYS:
        return ""
    [row] = [row for row in settings_table().rows if row["key"] == name]
    lines = [
        f"Setting {name} ({row['group']}): {row['meaning']}.",
        f"Default: {row['default'] or 'empty'}. Values: {values_of(KEYS[name])}.",
    ]
    others = [word for word in KEYS[name].choices if word != KEYS[name].default]
    value = others[0] if others else shown_value(KEYS[name].default) or "VALUE"
    beside = f"{_BESIDE[name]} " if name in _BESIDE else ""
    return f"{_wrapped(lines)}\n\nExample:\n  bench run --task fashion {beside}--set {name}={value}"


def _metric(name: str) -> str:
    from bench.metrics.registry import METRICS

    info = METRICS.get(name)
    if info is None:
        return ""
    bounds = [f"{end:g}" if end is not None else "no bound" for end in (info.low, info.high)]
    lines = [
        f"Metric {name} ({info.title}): {info.summary}.",
        f"Better: {info.direction}. From {bounds[0]} to {bounds[1]}. Tasks: {', '.join(info.kinds)}.",
    ]
    return _wrapped(lines)


def _backbone(name: str) -> str:
    from bench.backbones.registry import BACKBONES

    info = BACKBONES.get(name)
    if info is None:
        return ""
    size = "x".join(map(str, info.input_size))
    lines = [
        f"Backbone {name}: {info.summary}.",
        f"Input: {size}. Weights: {', '.join(info.weights)}. Usual regime: {info.regime}.",
    ]
    return f"{_wrapped(lines)}\n\nExample:\n  bench run --task fashion --backbone {name}"


def _view() -> Terminal:
    """Return the view of help: as wide as the terminal, else NARROWEST columns."""
    from bench.report.terminal import Terminal

    return view_of_output() or Terminal(NARROWEST)


def _wrapped(lines: Sequence[str]) -> str:
    from bench.report.terminal import wrapped

    return wrapped([visible(line) for line in lines], _view().width)


def _fitted(table: Table) -> str:
    from bench.report.terminal import fitted

    return fitted(table, _view())


_EXPLAINED: tuple[Callable[[str], str], ...] = (_method, _setting, _metric, _backbone)


def _known(commands: dict[str, str]) -> Iterator[str]:
    from bench.backbones.registry import BACKBONES
    from bench.core.protocol import KEYS
    from bench.methods.registry import STEPS
    from bench.metrics.registry import METRICS

    for names in (commands, STEPS, KEYS, METRICS, BACKBONES):
        yield from names
