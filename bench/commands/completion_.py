"""`bench completion SHELL`: shell completion script for commands and options."""

from __future__ import annotations

import click

from bench.commands.words import Word

SHELLS = {
    "bash": 'eval "$(bench completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(bench completion zsh)"  # in ~/.zshrc',
    "fish": "bench completion fish > ~/.config/fish/completions/bench.fish",
}
"""Line that installs the script in each shell."""


@click.command(epilog=f"\b\n{chr(10).join(SHELLS.values())}")
@click.argument("shell", type=Word("shell", tuple(SHELLS)))
def command(shell: str) -> None:
    """Print the script that completes commands, options and their values in bash, zsh or fish."""
    from click.shell_completion import get_completion_class

    from bench.commands.main import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "bench", "_BENCH_COMPLETE").source())
