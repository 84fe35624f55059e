"""Messages on standard error, made safe for terminals."""

from __future__ import annotations

import click

from bench.core.safe_text import visible


def notice(text: str) -> str:
    r"""Return a message with its prefix; characters that a terminal would act on are escaped.

    >>> print(notice("unknown task 'a\x1b[2J'"))
    bench: unknown task 'a\x1b[2J'
    """
    return f"bench: {visible(text)}"


def say(text: str) -> None:
    """Write a line to standard error."""
    click.echo(notice(text), err=True)
