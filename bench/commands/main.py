"""The command `bench`, which imports subcommands lazily, for instant help."""

from __future__ import annotations

import importlib
import io
import os
import re
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

import click

import bench
from bench.commands.notices import say
from bench.core import plugins
from bench.core.errors import (
    EXIT_FAULT,
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    EXIT_USAGE,
    BenchError,
    Stopped,
    nearest,
)
from bench.core.logged_warnings import send_warnings
from bench.core.paths import keep_library_files

GROUPS = {
    "Explore": {
        "list": "List tasks, backbones, methods, metrics, settings or baselines.",
        "init": "Inspect a data folder and write a task card for it.",
        "data": "Check, describe, generate or fetch a data folder.",
        "fetch-weights": "Download weights in advance, for machines without a network.",
        "plan": "Show the cells of a grid, and what cannot run, without running it.",
        "help": "Explain a command, a method, a setting, a metric or a backbone.",
    },
    "Train": {
        "run": "Train the missing cells of a grid, then print the rankings.",
    },
    "Evaluate": {
        "results": "Print a row for every stored cell.",
        "show": "Print all details of a stored cell, class by class.",
        "compare": "Compare stored results with a baseline, or any two of them.",
        "leaderboard": "Rank backbones and methods, with intervals and costs.",
        "report": "Write one page with tables and plots of all stored results.",
        "confusion": "Print or draw a cell's confusion matrix.",
        "listings": "Score a stored cell on whole listings, not single photos.",
    },
    "Use models": {
        "predict": "Predict labels for new images with a saved model.",
        "explain": "Show which parts of an image an answer depends on.",
        "export-model": "Write a saved model as one graph, for serving.",
        "clean": "Write a table of labels that are probably wrong, for review.",
        "fewshot": "Evaluate few-shot classification on frozen features.",
        "export": "Write every stored number as one tidy table, or as MLflow runs.",
    },
    "Maintain": {
        "baseline": "Pin stored cells as a baseline.",
        "verify": "Check stored cells against their digests and their predictions.",
        "reproduce": "Run stored cells again and compare their predictions.",
        "merge": "Merge results of several machines into one folder.",
        "cache": "List, verify or prune cached pixels and features.",
        "completion": "Print the completion script for bash, zsh or fish.",
    },
}
"""Subcommands in the order of work; each is the function `command` of `bench.commands.<name>_`, `_` for
each hyphen."""

COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the named command."""
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        command: click.Command = importlib.import_module(f"bench.commands.{module}_").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, then report plug-ins that could not be loaded, with their exit code."""
        try:
            code = super().invoke(ctx)
        finally:
            for fault in plugins.faults:
                say(fault)
        return EXIT_SOME_FAILED if plugins.faults and not code else code

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for an unknown one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise BenchError(
                f"unknown command {args[0]!r}{nearest(args[0], COMMANDS)} (bench --help lists them)"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list without importing any command."""
        widest = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{widest}}", text) for name, text in commands.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `bench run --task fashion`: it uses a synthetic sample and needs no data.",
)
@click.version_option(bench.__version__, prog_name="messybench")
def cli() -> None:
    """Which backbone and which remedy help when image labels are imbalanced, missing or wrong?

    Results go to ./results (--results, BENCH_RESULTS), features to the cache (--cache, BENCH_CACHE).
    """


def main() -> None:
    """Run the command; a user's error is one line on standard error."""
    if sys.stdout is None:
        # The next file to be opened would get its descriptor, and receive the output.
        say("standard output is closed: nothing can be printed")
        sys.exit(EXIT_USAGE)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Class names may have letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="replace")
    send_warnings(say)
    _stop_on_signals()
    keep_library_files()
    try:
        code = cli.main(standalone_mode=False)
        click.echo(nl=False)
    except BenchError as error:
        say(str(error))
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        say(_option_hint(error))
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; stored cells are kept, and the same command resumes")
        sys.exit(EXIT_INTERRUPTED)
    except Stopped as stop:
        # After SIGHUP there may be no terminal to write to.
        with suppress(OSError):
            name = signal.Signals(stop.number).name
            say(f"stopped by {name}; stored cells are kept, and the same command resumes")
        sys.exit(128 + stop.number)
    except BrokenPipeError:
        # The reader (head, less) has closed.
        _drop_output()
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and _is_of_output(error):
            say(f"standard output cannot be written ({error.strerror or error})")
            _drop_output()
            sys.exit(EXIT_USAGE)
        if os.environ.get("BENCH_DEBUG"):
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        say(f"a bug in messybench, please report it ({what}); BENCH_DEBUG=1 shows the traceback")
        sys.exit(EXIT_FAULT)
    sys.exit(code if isinstance(code, int) else 0)


def _stop_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does, unless they are ignored (nohup)."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


def _is_of_output(error: OSError) -> bool:
    """Return whether writing to standard output raised the error; only click's `echo` writes there."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("click.")


def _drop_output() -> None:
    """Discard unwritten output, so that Python's final flush does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _option_hint(error: click.ClickException) -> str:
    """Return the error's text with the nearest option or choice."""
    text = " ".join(error.format_message().split())
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        known = [name for param in error.ctx.command.params for name in param.opts]
        return f"unknown option {error.option_name}{nearest(error.option_name, known)}"
    if isinstance(error, click.UsageError) and error.ctx is not None:
        group = error.ctx.command
        if isinstance(group, click.Group) and (unknown := re.match("No such command '(.*?)'", text)):
            known = group.list_commands(error.ctx)
            guess = nearest(unknown[1], known)
            names = ", ".join(known)
            return f"unknown command '{unknown[1]}' of bench {error.ctx.info_name}{guess} (known: {names})"
    return text
