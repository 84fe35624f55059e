"""Keras models as backbones: saved as `.keras` files that depend on their content alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from bench.core.atomic_files import replacing
from bench.core.errors import BenchError, StoreError, in_one_line

FOLDER = "models"
"""Folder of saved models in the cache."""

_METADATA = "metadata.json"
_WHEN = (1980, 1, 1, 0, 0, 0)


def is_model(value: object) -> bool:
    """Return whether a value is a Keras model. Imports nothing: a caller with a model has imported Keras."""
    bases = type(value).__mro__
    return any(base.__name__ == "Model" and base.__module__.partition(".")[0] == "keras" for base in bases)


def saved_model(model: Any, cache: Path) -> Path:
    """Return the file of a model in the cache; write it if it is missing.

    Equal models give equal files: timestamps are left out, so that a model's cells are found again. Raises
    BenchError for a model that Keras cannot save, StoreError for a cache that cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="bench-model-") as name:
        path = Path(name) / "model.keras"
        try:
            model.save(path)
        except Exception as error:
            raise BenchError(
                f"the backbone {model.name!r} cannot be saved ({in_one_line(error)[:300]})"
            ) from None
        with zipfile.ZipFile(path) as archive:
            parts = {part: archive.read(part) for part in sorted(archive.namelist())}
    metadata = json.loads(parts[_METADATA])
    parts[_METADATA] = json.dumps({**metadata, "date_saved": ""}, sort_keys=True).encode("ascii")
    digest = hashlib.sha256()
    for part, content in parts.items():
        digest.update(f"{part} {len(content)}\n".encode())
        digest.update(content)
    title = re.sub(r"[^A-Za-z0-9_-]", "_", str(model.name))[:50]
    target = cache / FOLDER / digest.hexdigest()[:16] / f"{title}.keras"
    if not target.exists():
        _write(target, parts)
    return target


def _write(target: Path, parts: dict[str, bytes]) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as work, zipfile.ZipFile(work, "w", zipfile.ZIP_STORED) as archive:
            for part, content in parts.items():
                archive.writestr(zipfile.ZipInfo(part, _WHEN), content)
    except OSError as error:
        why = error.strerror or os.fspath(target)
        raise StoreError(
            f"cache folder {str(target.parent)!r}: {why}; choose another with cache=DIR"
        ) from None
