"""Options that several commands share, and the errors they raise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.errors import BenchError, DataError, unknown

if TYPE_CHECKING:
    from bench.plan import Request
    from bench.spec import Value

FORMATS = ("table", "csv", "json", "md")
SAMPLES = ("tiny", "small")

Command = TypeVar("Command", bound=Callable[..., Any])


class Word(click.ParamType[str]):
    """One of a few words; an unknown one is answered with the nearest."""

    name = "word"

    def __init__(self, what: str, words: tuple[str, ...]) -> None:
        self.what, self.words = what, words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Show the words in the help."""
        return "|".join(self.words)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word or raise BenchError."""
        if value not in self.words:
            raise unknown(self.what, str(value), self.words, f"one of {', '.join(self.words)}")
        return str(value)


def _stack(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


format_option = click.option(
    "--format",
    "fmt",
    type=Word("format", FORMATS),
    default="table",
    show_default=True,
    help="How tables are written to standard output.",
)
results_option = click.option("--results", metavar="DIR", help="Results folder [BENCH_RESULTS, ./results].")
cache_option = click.option("--cache", metavar="DIR", help="Cache of pixels and features [BENCH_CACHE].")
tasks_option = click.option(
    "--tasks", metavar="DIR", help="A folder with task cards of your own [BENCH_TASKS]."
)
baselines_option = click.option(
    "--baselines", metavar="DIR", help="A folder with baselines of your own [BENCH_BASELINES]."
)

data_options = _stack(
    click.option("--task", required=True, help="The task (see `bench list tasks`)."),
    click.option(
        "--data", metavar="DIR", help="Folder with the task's data; without it the drawn sample is used."
    ),
    click.option("--sample", type=Word("sample", SAMPLES), help="Size of the drawn sample [the card's]."),
    tasks_option,
    cache_option,
)

grid_options = _stack(
    data_options,
    click.option("--backbone", multiple=True, help="Backbones, separated by commas [the card's]."),
    click.option(
        "--method",
        multiple=True,
        help="Methods, separated by commas: none,focal(gamma=2)+oversample [the card's].",
    ),
    click.option("--seed", help="Seeds: 0-2 or 0,3,5 [the card's]."),
    click.option("--stage", multiple=True, help="Only these stages of the task."),
    click.option(
        "--regime",
        help="frozen (heads on features), finetune or scratch (whole nets) [the backbone's].",
    ),
    click.option(
        "--weights", metavar="imagenet|random|PATH", help="Backbone weights [imagenet; scratch: random]."
    ),
    click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any protocol value: epochs=5; of one stage: STAGE.epochs=5; protocol=NAME: values that the "
        "card lists. An unknown KEY is answered with all of them.",
    ),
    results_option,
)


def settings_from(sets: tuple[str, ...]) -> dict[str, Value]:
    """Read the values of `--set`. Raises BenchError for a faulty one or a key given twice."""
    from bench.staged import parse_set

    settings: dict[str, Value] = {}
    for text in sets:
        key, value = parse_set(text)
        if key in settings:
            raise BenchError(f"--set {key} is given twice")
        settings[key] = value
    return settings


def request_options(
    options: dict[str, Any], backbone: str | None, weights: str | None, sets: tuple[str, ...]
) -> Request:
    """Build a request for one backbone from the values of `data_options`. Raises BenchError or DataError."""
    from bench.plan import Request

    _no_empty({**options, "backbone": backbone, "weights": weights})
    return Request(
        task=options["task"],
        data=data_folder(options["data"], options["sample"]),
        sample=options["sample"],
        backbones=() if backbone is None else (backbone,),
        weights=weights,
        settings=settings_from(sets),
    )


def _no_empty(options: dict[str, Any]) -> None:
    """Raise BenchError for an option given as an empty text: the default is had by leaving it out."""
    for name, value in options.items():
        if value == "":
            raise BenchError(f"--{name} is empty: give it a value or leave it out")


def request_from(options: dict[str, Any]) -> Request:
    """Build the request from the values of `grid_options`. Raises BenchError or DataError."""
    from bench.plan import Request

    _no_empty(options)
    return Request(
        task=options["task"],
        data=data_folder(options["data"], options["sample"]),
        sample=options["sample"],
        backbones=options["backbone"],
        methods=options["method"],
        seeds=options["seed"],
        stages=tuple(name for text in options["stage"] for name in text.split(",")),
        regime=options["regime"],
        weights=options["weights"],
        settings=settings_from(options["sets"]),
    )


def data_folder(data: str | None, sample: str | None) -> Path | None:
    """Return the data folder, absolute, or None for the drawn sample."""
    if data is None:
        return None
    if sample is not None:
        raise BenchError("--sample is for the drawn sample; leave it out together with --data")
    if not data.strip():
        raise DataError("--data: the folder's name is empty")
    return Path(data).expanduser().resolve()
