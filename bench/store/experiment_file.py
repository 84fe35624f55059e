"""Experiment files: the options of a run as TOML."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bench
from bench.core.atomic_files import replacing
from bench.core.errors import BenchError, StoreError
from bench.core.regular_files import Refused, read_file
from bench.store.places import slug


def read_experiment(path: Path) -> dict[str, Any]:
    """Return the values of a file. Raises BenchError with file and line if it is not TOML."""
    try:
        return tomllib.loads(read_file(path).decode("utf-8"))
    except (Refused, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise BenchError(f"experiment {str(path)!r} cannot be read ({why})") from None


def write_experiment(path: Path, values: Mapping[str, Any]) -> None:
    """Write the values, replacing an older file whole. Raises StoreError where that fails.

    TOML is UTF-8: a path that is not cannot be written.
    """
    text = f"# messybench {bench.__version__}: run it with `bench run FILE`; options beside it win.\n"
    try:
        with replacing(path) as work:
            work.write_text(text + _toml(values), encoding="utf-8", newline="")
    except UnicodeEncodeError:
        raise StoreError(f"experiment {str(path)!r} cannot be written (a path in it is not UTF-8)") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"experiment {str(path)!r} cannot be written ({why})") from None


def store_experiment(root: Path, task: str, values: Mapping[str, Any]) -> Path | None:
    """Write the values beside the task's results, once, and return the file, named by its content.

    Returns None where a path is not UTF-8, which TOML cannot hold. Raises StoreError where writing fails.
    """
    try:
        digest = hashlib.sha256(_toml(values).encode("utf-8")).hexdigest()
    except UnicodeEncodeError:
        return None
    path = root / slug(task) / f"experiment-{digest[:8]}.toml"
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = error.strerror or str(error)
            raise StoreError(f"results folder {str(root)!r}: {why}; choose another") from None
        write_experiment(path, values)
    return path


def experiment_files(folder: Path) -> list[Path]:
    """Return the files that `store_experiment` wrote into a task's folder, sorted."""
    return sorted(folder.glob("experiment-*.toml"))


def _toml(values: Mapping[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(dict(values))
