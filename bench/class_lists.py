"""A file that says which classes teach (meta-train) and which are asked about in episodes (meta-test)."""

from __future__ import annotations

import tomllib
from pathlib import Path

from bench.data.files import DataFolder
from bench.data.tables import read_csv
from bench.errors import BenchError, DataError, nearest

TRAIN, TEST = "meta_train", "meta_test"


def read_classes(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the class lists, by `meta_test` and, where the file says them, `meta_train`.

    A .toml file has two lists of these names, a .csv file the columns `class` and `part`, whose cells are one
    of these names. Raises BenchError for anything else, a class named twice, and no meta-test class.
    """
    if path.suffix.lower() not in (".toml", ".csv"):
        raise BenchError(f"--classes {path}: the name must end in .toml or .csv")
    if not path.is_file():
        raise BenchError(f"--classes {path}: there is no such file")
    lists = _from_toml(path) if path.suffix.lower() == ".toml" else _from_csv(path)
    seen: set[str] = set()
    for name in (name for names in lists.values() for name in names):
        if name in seen:
            raise BenchError(f"{path}: class {name[:80]!r} is named twice")
        seen.add(name)
    if not lists.get(TEST):
        raise BenchError(f"{path}: names no {TEST} class")
    return lists


def _from_toml(path: Path) -> dict[str, tuple[str, ...]]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BenchError(f"{path}: not a readable list of classes: {error}") from None
    for key, names in raw.items():
        if key not in (TRAIN, TEST):
            raise BenchError(f"{path}: unknown key {key[:80]!r}{nearest(key, (TRAIN, TEST))}")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BenchError(f"{path}: {key} must be a list of class names in quotes")
    return {key: tuple(names) for key, names in raw.items()}


def _from_csv(path: Path) -> dict[str, tuple[str, ...]]:
    table = read_csv(DataFolder(path.parent), path.name, ("class", "part"), ",;\t", "cp1252")
    fault = next((problem for problem in table.problems if problem.fatal), None)
    if fault is not None:
        raise DataError(f"{path}: {fault.where}: {fault.why}")
    lists: dict[str, tuple[str, ...]] = {}
    for line, name, part in zip(table.lines, table.column("class"), table.column("part"), strict=True):
        if part not in (TRAIN, TEST):
            raise DataError(f"{path} line {line}: part {part[:80]!r} is neither {TRAIN} nor {TEST}")
        lists[part] = (*lists.get(part, ()), name)
    return lists
