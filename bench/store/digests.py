"""Digests of a cell's files.

They reveal a file that was damaged, edited or swapped, but do not prevent forging of a whole cell:
`bench verify` recomputes its numbers from the predictions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.core.cell import canonical_json

FILES = "files"
"""The key of result.json that holds the size and digest of every other file of the cell."""


def file_facts(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return the size in bytes and the sha256 of each file, by name."""
    contents = {path.name: path.read_bytes() for path in paths}
    return {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in sorted(contents.items())}


def fits(content: bytes, facts: Mapping[str, Any]) -> bool:
    """Return whether a file's content has the size and digest of its `file_facts`."""
    return bool(len(content) == facts["bytes"] and _sha256(content) == facts["sha256"])


def identity_digest(cell: Mapping[str, Any]) -> str:
    """Return the id computed from a record's `cell`, see `bench.core.cell.Cell.id`.

    Raises ValueError for a value that is not JSON.
    """
    identity = {key: value for key, value in cell.items() if key != "method_text"}
    return _sha256(canonical_json(identity).encode("ascii"))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
