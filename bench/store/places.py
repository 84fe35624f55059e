"""Folder names of cells and of their further answers."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_FURTHER = re.compile(r"(s[0-9]+-[0-9a-f]{8})\.([2-9]|[1-9][0-9]{1,5})")
"""Folder name of a further answer of a cell, beside that of the first."""


@cache
def slug(text: str) -> str:
    """Return the text as a portable folder name, which never leads to a parent folder.

    >>> slug("focal(gamma=2)+oversample"), slug("..")
    ('focal_gamma=2_+oversample', '__')
    """
    name = re.sub(r"[^A-Za-z0-9_.+=-]", "_", text)[:80]
    return name if name.strip(".") else "_" * len(name)


def cell_path(task: str, backbone: str, method: str, seed: int, full_id: str) -> tuple[str, ...]:
    """Return the path of a cell's folder inside the results folder, as parts."""
    return slug(task), slug(backbone), slug(method), f"s{seed}-{full_id[:8]}"


def answer_folder(first: Path, number: int) -> Path:
    """Return the folder of a cell's n-th answer, from 1. first: the folder of the first.

    >>> answer_folder(Path("s0-3fa9c1d2"), 2).name
    's0-3fa9c1d2.2'
    """
    return first if number == 1 else first.with_name(f"{first.name}.{number}")


def answer_number(folder: Path) -> int:
    """Return the number of a folder's answer: 1, or the suffix of its name."""
    match = _FURTHER.fullmatch(folder.name)
    return int(match[2]) if match else 1


def first_answer_folder(folder: Path) -> Path:
    """Return the folder of the first answer of a folder's cell."""
    match = _FURTHER.fullmatch(folder.name)
    return folder.with_name(match[1]) if match else folder
