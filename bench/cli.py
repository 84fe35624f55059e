"""The command `bench`: its subcommands are imported when they are called, so that help is instant."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys

import click

import bench
from bench.errors import EXIT_FAULT, EXIT_INTERRUPTED, EXIT_USAGE, BenchError, nearest

COMMANDS = {
    "run": "Train what is missing of a grid, then print its tables.",
    "plan": "Show the grid without running it, and why a combination cannot run.",
    "results": "Print a row for every stored cell.",
    "show": "Print one stored cell whole.",
    "confusion": "Print a cell's classification report and confusion matrix, or draw it.",
    "listings": "Score a stored cell on whole listings, not single photos.",
    "compare": "Compare stored results with a baseline, or any two of them.",
    "leaderboard": "Rank backbones and methods, with intervals and costs.",
    "report": "Write one page with tables and plots of all stored results.",
    "export": "Write every stored number as one tidy table, or as MLflow runs.",
    "reproduce": "Run stored cells again and compare what they answer.",
    "predict": "Say what a kept model sees in images of your own.",
    "explain": "Show which parts of an image a kept model's answer rests on.",
    "baseline": "Pin a run's own result as a baseline.",
    "data": "Check, describe or draw a data folder.",
    "fewshot": "Say how well a few images teach a frozen backbone new classes.",
    "clean": "Find labels that are probably wrong, as a table to review.",
    "list": "List tasks, backbones, methods, metrics or baselines.",
}
"""Every subcommand, in the order of help; `bench.commands.<name>_` holds its click command `command`."""


class LazyGroup(click.Group):
    """Knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the named command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"bench.commands.{cmd_name}_").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where one is not known."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise BenchError(
                f"unknown command {args[0]!r}{nearest(args[0], COMMANDS)} (bench --help lists them)"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `bench run --task fashion`: it draws its own sample and needs no data.",
)
@click.version_option(bench.__version__, prog_name="messybench")
def cli() -> None:
    """Which backbone and which remedy help when image labels are imbalanced, missing or wrong?

    Results go to ./results (--results, BENCH_RESULTS), features to the cache (--cache, BENCH_CACHE).
    """


def main() -> None:
    """Run the command; an error a user caused is one line on standard error."""
    if sys.stdout is None:
        # Whatever is opened next would get its number, and what is printed would land there.
        _complain("standard output is closed: nothing can be printed")
        sys.exit(EXIT_USAGE)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Class names are of all alphabets, terminals are not.
        sys.stdout.reconfigure(errors="replace")
    try:
        code = cli.main(standalone_mode=False)
        click.echo(nl=False)
    except BenchError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        _complain(_option_hint(error))
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted; what is stored stays, the same command goes on from there")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has closed.
        _drop_output()
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and _is_of_output(error):
            _complain(f"standard output cannot be written ({error.strerror or error})")
            _drop_output()
            sys.exit(EXIT_USAGE)
        if os.environ.get("BENCH_DEBUG"):
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        _complain(f"a fault of messybench, please report it ({what}); BENCH_DEBUG=1 shows where it happened")
        sys.exit(EXIT_FAULT)
    sys.exit(code if isinstance(code, int) else 0)


def _is_of_output(error: OSError) -> bool:
    """Say whether writing to standard output raised it: all of that is done by click's `echo`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("click.")


def _drop_output() -> None:
    """Keep Python from complaining again when it flushes what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _option_hint(error: click.ClickException) -> str:
    """Return the error's text with the nearest option or choice named."""
    text = " ".join(error.format_message().split())
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        known = [name for param in error.ctx.command.params for name in param.opts]
        return f"unknown option {error.option_name}{nearest(error.option_name, known)}"
    if isinstance(error, click.UsageError) and error.ctx is not None:
        group = error.ctx.command
        if isinstance(group, click.Group) and (unknown := re.match("No such command '(.*?)'", text)):
            known = group.list_commands(error.ctx)
            guess = nearest(unknown[1], known)
            there = ", ".join(known)
            return (
                f"unknown command '{unknown[1]}' of bench {error.ctx.info_name}{guess} (there are: {there})"
            )
    return text


def _complain(text: str) -> None:
    click.echo(f"bench: {text}", err=True)
