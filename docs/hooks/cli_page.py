"""The page of commands, from click: help, usage and options of every command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click

from bench.commands.main import cli

HEAD = """# Commands

Made from the command line itself; `bench COMMAND --help` prints the same.

| command | |
| --- | --- |
"""


def page() -> str:
    """Return the page as Markdown."""
    found = list(_commands("bench", cli, None))
    rows = [
        f"| [`{name}`](#{name.replace(' ', '-')}) | {command.get_short_help_str(limit=200)} |\n"
        for name, command, context in found
    ]
    return HEAD + "".join(rows) + "\n" + "\n".join(_section(*one) for one in found)


def _commands(
    name: str, command: click.Command, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield name, command and context of every command below a group, in the order of help."""
    context = click.Context(
        command, parent=parent, info_name=name.rpartition(" ")[2], **command.context_settings
    )
    if not isinstance(command, click.Group):
        yield name, command, context
        return
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        if found is not None and not found.hidden:
            yield from _commands(f"{name} {below}", found, context)


def _section(name: str, command: click.Command, context: click.Context) -> str:
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    # A line that begins with \b is click's sign that the lines of a paragraph stay as they are.
    text = _escaped(cleandoc(command.help or "").replace("\b\n", ""))
    lines = [f"## {name}\n", f"{text}\n", f"```text\n{usage}\n```\n", "| option | |", "| --- | --- |"]
    records = [param.get_help_record(context) for param in command.get_params(context)]
    lines += [f"| {_option(left)} | {_escaped(right)} |" for left, right in filter(None, records)]
    return "\n".join([*lines, ""])


def _option(text: str) -> str:
    return (
        f"`{text}`".replace("|", "&#124;")
        if "|" not in text
        else f"<code>{text.replace('|', '&#124;')}</code>"
    )


def _escaped(text: str) -> str:
    """Return text with the signs that Markdown would take as its own shown as they are."""
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"[\\*_<|]", lambda sign: f"&#{ord(sign[0])};", part) for part in parts[::2]]
    return "".join(parts)
