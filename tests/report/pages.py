"""Reports made and read by the tests: what a page is made of, and stored cells with hostile names."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from bench.commands.main import cli

EVIL = "<script>alert(1)</script>"
NAMES = (EVIL, "$x^2$ & co", "日本語シャツ", "red \x1b[31m", '" onload="x', "x" * 90, "{{ 7 * 7 }}", "&amp;")


class Seen(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "source", "input", "link", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]


def report(root: Path, out: Path, *more: str) -> Any:
    args = ["report", "--results", str(root), "--out", str(out), *more]
    return CliRunner().invoke(cli, args, standalone_mode=False)
