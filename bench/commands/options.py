"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from bench.commands.experiment import given_without, merge_settings, refuse_code, tune_below
from bench.commands.output import COLUMNS, WIDE
from bench.commands.words import Word, backbone_names, completing, method_names, setting_names, task_names
from bench.core.errors import BenchError
from bench.core.kind import KINDS

FORMATS = ("table", "csv", "json", "md")
SAMPLES = ("tiny", "small")

Command = TypeVar("Command", bound=Callable[..., Any])


def _stack(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _wide(context: click.Context, param: click.Parameter, wide: bool) -> None:
    context.meta[WIDE] = wide


def _columns(context: click.Context, param: click.Parameter, text: str | None) -> None:
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and not names:
        raise BenchError("--columns is empty: name columns, separated by commas, or leave it out")
    context.meta[COLUMNS] = names


format_option = _stack(
    click.option(
        "--format",
        "fmt",
        type=Word("format", FORMATS),
        default="table",
        show_default=True,
        help="Format of tables on standard output.",
    ),
    click.option(
        "--wide",
        is_flag=True,
        expose_value=False,
        callback=_wide,
        help="Show all columns, whatever the width of the terminal.",
    ),
    click.option(
        "--columns",
        "shown_columns",
        metavar="NAME,...",
        expose_value=False,
        callback=_columns,
        help="Show only these columns (names as in CSV).",
    ),
)
results_option = click.option("--results", metavar="DIR", help="Results folder [BENCH_RESULTS, ./results].")
cache_option = click.option("--cache", metavar="DIR", help="Cache of pixels and features [BENCH_CACHE].")
tasks_option = click.option("--tasks", metavar="DIR", help="Folder with your own task cards [BENCH_TASKS].")
baselines_option = click.option(
    "--baselines", metavar="DIR", help="Folder with your own baselines [BENCH_BASELINES]."
)

follow_links_option = click.option(
    "--follow-links", is_flag=True, help="Follow links that lead out of the data folder."
)


by_option = click.option(
    "--by", metavar="COLUMN", help="Show metrics by subgroup: by the values of this column of the data."
)
by_options = _stack(
    by_option,
    click.option(
        "--data",
        metavar="DIR",
        help="With --by: the data folder or table of the cells [their synthetic sample].",
    ),
    follow_links_option,
    tasks_option,
    cache_option,
)
"""Options of commands that read a column of stored cells' data; such commands take `results`, too."""

data_options = _stack(
    click.option(
        "--task",
        shell_complete=completing(task_names),
        help="The task (see `bench list tasks`) [made from --data].",
    ),
    click.option(
        "--data",
        metavar="DIR",
        callback=given_without("sample"),
        help="Folder or table with the task's data [the task's synthetic sample].",
    ),
    click.option("--label", multiple=True, metavar="COLUMN", help="Without --task: column of the label."),
    click.option("--kind", metavar="KIND", help=f"Without --task: {', '.join(KINDS)}."),
    click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="ROLE=COLUMN",
        help="Without --task: column of the image, split, group, title or price.",
    ),
    follow_links_option,
    click.option(
        "--sample",
        type=Word("sample", SAMPLES),
        callback=given_without("data"),
        help="Size of the synthetic sample [the card's].",
    ),
    tasks_option,
    cache_option,
)

plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    help="Load your own backbones, methods, ...: FILE.py or package.module [BENCH_PLUGINS].",
)

allow_code_option = click.option(
    "--allow-code",
    is_flag=True,
    callback=refuse_code,
    help="Run code that you trust: Lambda layers, and code named in FILE.toml or a task card.",
)

weights_option = click.option(
    "--weights", metavar="imagenet|random|PATH", help="Backbone weights [imagenet]."
)

weights_file_option = click.option(
    "--weights", metavar="FILE", help="The weights file that the cell was run with, if any."
)

set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="A protocol value: --set input_size=96, --set split=stratified.",
)

cell_options = _stack(
    click.option("--data", metavar="DIR", help="Data folder [that of the cell's run]."),
    follow_links_option,
    allow_code_option,
    plugin_option,
    click.option("--labels", metavar="FILE", help="Table of reviewed labels [that of the cell's run]."),
    weights_file_option,
    tasks_option,
)
"""Options of commands that run a stored cell's model on its data again; see `local_paths`."""

grid_options = _stack(
    data_options,
    plugin_option,
    click.option(
        "--backbone",
        multiple=True,
        shell_complete=completing(backbone_names),
        help="Backbones, separated by commas: names, or your own models and features: net.keras, "
        "net.onnx, package.module:function, features.npz, features.parquet [the card's].",
    ),
    click.option(
        "--method",
        multiple=True,
        shell_complete=completing(method_names),
        help="Methods, separated by commas: none,focal(gamma=2)+oversample [the card's].",
    ),
    click.option("--seed", help="Seeds: 0-2 or 0,3,5 [the card's]."),
    click.option("--stage", multiple=True, help="Only these stages of the task."),
    click.option(
        "--regime",
        help="frozen (heads on features), finetune or scratch (whole nets) [the backbone's default].",
    ),
    click.option(
        "--weights", metavar="imagenet|random|PATH", help="Backbone weights [imagenet; scratch: random]."
    ),
    allow_code_option,
    click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=completing(setting_names),
        callback=merge_settings,
        help="A protocol value: epochs=5; for one stage: STAGE.epochs=5; protocol=NAME: a named set of "
        "values of the card. `bench list settings` lists all keys.",
    ),
    click.option(
        "--tune",
        type=int,
        metavar="N",
        callback=tune_below,
        help="Tune every method with N trials, the default first; test the best on validation [1].",
    ),
    click.option(
        "--shard", metavar="I/N", help="Run only shard I of N of the grid, for N machines [all of it]."
    ),
    results_option,
)
"""Options that describe a grid. An experiment file has a key for each; see `bench.commands.experiment`."""

run_options = _stack(
    grid_options,
    baselines_option,
    click.option("--keep-model", is_flag=True, help="Save models for `bench predict`, and loss curves."),
    click.option("--tensorboard", metavar="DIR", help="Write losses by epoch as TensorBoard logs."),
)
"""Options of `bench run` that an experiment file has keys for."""


cluster_options = _stack(
    click.option(
        "--on",
        metavar="ray|HOST:PORT",
        help="Run on Ray. ray: start it here; HOST:PORT: from a machine of the cluster; ray://HOST:PORT: "
        "from outside.",
    ),
    click.option("--cpus-per-job", type=float, default=1, help="CPUs that each Ray task reserves [1]."),
    click.option("--gpus-per-job", type=float, default=0, help="GPUs that each Ray task reserves [0]."),
)
"""Options of `bench run` without a key: an untrusted file must not send data to another machine."""


def experiment_params() -> list[click.Parameter]:
    """Return the parameters of `run_options`, in their order."""
    return click.command("run")(run_options(lambda: None)).params
