"""Option types with a fixed choice of words, and completion of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from bench.core.errors import unknown

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def completing(
    names: Callable[[], Iterable[str]],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a completion of comma-separated names."""

    def complete(context: click.Context, param: click.Parameter, typed: str) -> list[str]:
        before, comma, start = typed.rpartition(",")
        return [f"{before}{comma}{name}" for name in names() if name.startswith(start)]

    return complete


def task_names() -> Iterable[str]:
    """Return the names of all tasks."""
    from bench.core.paths import search_path
    from bench.data.task_card import find_cards

    return find_cards(search_path("tasks", None))


def backbone_names() -> Iterable[str]:
    """Return the built-in backbones."""
    from bench.backbones.registry import BACKBONES

    return BACKBONES


def method_names() -> Iterable[str]:
    """Return the steps of methods, and `none`."""
    import bench.methods.steps  # noqa: F401  (fills the registry)
    from bench.methods.registry import STEPS

    return ("none", *STEPS)


def setting_names() -> Iterable[str]:
    """Return the protocol keys, as `--set` takes them."""
    from bench.core.protocol import KEYS

    return (f"{name}=" for name in KEYS)


class Word(click.ParamType[str]):
    """One of a few words; the error for an unknown one suggests the nearest."""

    name = "word"

    def __init__(self, what: str, words: tuple[str, ...]) -> None:
        self.what, self.words = what, words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Show the words in the help."""
        return "|".join(self.words)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the words."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word or raise BenchError."""
        if value not in self.words:
            raise unknown(self.what, str(value), self.words, f"one of {', '.join(self.words)}")
        return str(value)
