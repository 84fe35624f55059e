"""Hook of mkdocs: pages from files outside docs/ and from the code, and links right in both places."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from cli_page import page as cli_page
from methods_page import page as methods_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "baselines/README.md": "baselines.md",
    "results/README.md": "results.md",
    **{
        f"tasks/{path.name}/README.md": f"tasks/{path.name}.md" for path in sorted((ROOT / "tasks").iterdir())
    },
}
"""Files of the repository that are pages of the site too, and their place in it."""

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)(#[^)\s]*)?(?=\))")
"""The target of a relative Markdown link: the file, and the anchor in it."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose files are not below docs/."""
    for source, place in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    for place, made in (("reference/methods.md", methods_page), ("reference/cli.md", cli_page)):
        files.append(File.generated(config, place, content=made()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the places of files in the site; the first page has no list of pages beside it."""
    if page.file.src_uri == "index.md":
        page.meta["hide"] = ["navigation"]
    return relink(markdown, page.file.src_uri)


def relink(markdown: str, place: str) -> str:
    """Return the page at `place` with links of the repository turned into those of the site."""
    sources = {there: source for source, there in OUTSIDE.items()}
    source = sources.get(place, f"docs/{place}")

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        there = OUTSIDE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if there is None:
            return match[0]
        return posixpath.relpath(there, posixpath.dirname(place) or ".") + (match[2] or "")

    return LINK.sub(moved, markdown)
