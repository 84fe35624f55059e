"""The argument FILE.toml of commands that plan a grid, and their option `--save`."""

from __future__ import annotations

from typing import Any

import click

from bench.commands.experiment import options_from, set_defaults, values_from
from bench.commands.options import experiment_params
from bench.core.errors import BenchError
from bench.core.paths import user_path


def _read(ctx: click.Context, param: click.Parameter, name: str | None) -> None:
    """Use a file's options as defaults of the command line. Raises BenchError."""
    if name is None or ctx.resilient_parsing:
        return
    from bench.store.experiment_file import read_experiment

    path = user_path(name)
    if path.suffix != ".toml":
        raise BenchError(f"{name!r} is not an experiment file (.toml); name a task with --task")
    set_defaults(
        ctx, options_from(read_experiment(path), experiment_params(), name, path.parent.absolute()), name
    )


experiment_argument = click.argument(
    "experiment", required=False, is_eager=True, expose_value=False, callback=_read, metavar="[FILE.toml]"
)

save_option = click.option("--save", metavar="FILE.toml", help="Write these options as an experiment file.")


def experiment_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the values by key of a command's options."""
    return values_from(options, experiment_params())


def save_experiment(name: str | None, options: dict[str, Any]) -> None:
    """Write a command's options, and those given only in FILE.toml, to a file if one is named.

    Raises BenchError or StoreError.
    """
    if name is None:
        return
    from bench.commands.notices import say
    from bench.store.experiment_file import write_experiment

    path = user_path(name)
    if path.suffix != ".toml":
        raise BenchError(f"--save {name}: an experiment file ends in .toml")
    below = click.get_current_context().default_map or {}
    write_experiment(path, experiment_of({**below, **options}))
    say(f"wrote {path}")
