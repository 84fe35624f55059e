"""Origin of merged cells: the results folder that `bench merge` copied them from."""

from __future__ import annotations

import json
from pathlib import Path

from bench.core.regular_files import read_regular
from bench.core.sealed_json import is_sealed, sealed

ORIGIN = "merged-from.json"
"""The file in a cell's folder with its origin. A cell's record cannot list a file of this name."""


def origin_file(origin: str) -> bytes:
    """Return the content of the origin file."""
    return sealed({"from": origin})


def origin_of(folder: Path) -> str | None:
    """Return the folder that a stored cell was copied from; None if it was stored by a run, or unknown."""
    try:
        content = read_regular(folder / ORIGIN)
        origin = json.loads(content)["from"] if is_sealed(content) else None
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return origin if isinstance(origin, str) else None
