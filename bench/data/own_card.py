"""Card for a data folder without one, as the text of a commented `task.toml`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.core.kind import get_kind
from bench.core.regular_files import Refused, read_file
from bench.data.split_rules import COLUMN
from bench.data.survey import DataQuery, Survey, survey
from bench.data.table_rows import ENDINGS
from bench.data.task_card import TaskCard, card_of_text

BACKBONES = ("mobilenet_025",)
"""The backbone of a new card: the smallest with ImageNet weights."""

SEEDS = "0-2"

NEW_CARDS = "tasks"
"""The folder in which `bench init` writes cards unless `--out` names another one."""


def own_card(query: DataQuery, taken: Collection[str]) -> tuple[TaskCard, Survey]:
    """Return the card of a data folder, the same as `bench init` writes, and the findings.

    taken: names that are in use. Raises as `survey` does.
    """
    found, name = survey(query), task_name(query.data, taken)
    return card_of_text(card_text(found, name), Path(name) / "task.toml"), found


def task_name(data: Path, taken: Collection[str]) -> str:
    """Return the name of a task for a data folder or file.

    >>> task_name(Path("/data/My photos (2)"), ()), task_name(Path("fashion"), ("fashion",))
    ('My-photos-2', 'my-fashion')
    """
    stem = data.stem if data.suffix.lower() in (*ENDINGS, ".txt") else data.name
    name = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:80] or "data"
    return f"my-{name}" if name in taken else name


def edited_card(found: Survey, name: str, folders: Sequence[Path]) -> Path | None:
    """Return the user's card of this name unless it equals the generated one, else None.

    folders: of task cards, before that of `bench init`.
    """
    text = card_text(found, name)
    for folder in (*folders, Path(NEW_CARDS)):
        path = folder / name / "task.toml"
        try:
            if read_file(path).decode("utf-8") != text:
                return path
        except (Refused, OSError, ValueError):
            continue
    return None


def card_text(found: Survey, name: str) -> str:
    """Return the text of a card for the findings."""
    kind, layout = get_kind(found.kind), found.layout
    lines = [*(f"# {note}." for note in found.notes), ""]
    lines += [
        f"name = {_text(name)}  # the name of this file's folder",
        "version = 1  # increase it with every change that makes stored results invalid",
        f"kind = {_text(found.kind)}",
        f"title = {_text(name)}",
        f"source = {_text(found.source)}",
    ]
    columns = {"label": layout.label, "titles": layout.title}
    lines += [f"{key} = {_text(column)}" for key, column in columns.items() if column]
    own = {
        "image": layout.image,
        "attributes": layout.attributes,
        "person": layout.person,
        "price": layout.price,
    }
    if any(own.values()):
        lines += ["", "# The table's columns.", "[data]"]
        lines += [f"{key} = {_text(value)}" for key, value in own.items() if value]
    lines += ["", *_split(found), "", "[[stage]]", 'name = "all"', ""]
    lines += [
        "# The grid of `bench run`; --backbone, --method and --seed override it. bench list has all names.",
        "[grid.data]",
        f"backbones = {_text(list(BACKBONES))}",
        f"methods = {_text(list(kind.first_methods))}",
        f"seeds = {_text(SEEDS)}",
    ]
    return "\n".join(lines) + "\n"


def _split(found: Survey) -> list[str]:
    """Return the lines of `[split]`."""
    own, layout = get_kind(found.kind).own_data, found.layout
    lines = ["[split]"]
    if own.unsplit:
        return [*lines, f"rule = {_text(own.rule)}", f"column = {_text(layout.label)}"]
    if layout.split:
        lines = ["# The published split; its validation set is used as it is.", *lines]
        lines += [f"rule = {_text(COLUMN)}", f"column = {_text(layout.split)}"]
        if layout.group:
            lines += [
                "# Photos that belong together: resampled together, and counted if they are in several parts."
            ]
            lines += [f"group = {_text(layout.group)}"]
    elif layout.group:
        lines = ["# Photos that belong together are on one side.", *lines]
        lines += ['rule = "grouped"', f"column = {_text(layout.group)}"]
    else:
        lines = [
            "# A fifth is the test set. Photos of one object or seller make an easy test if they are on both",
            '# sides: then use rule = "grouped" and column = the column that says so.',
            *lines,
            f"rule = {_text(own.rule)}",
        ]
    return lines


def _text(value: str | Sequence[str]) -> str:
    """Return a value as TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
