"""Reader of files with meta-train and meta-test classes."""

from __future__ import annotations

import tomllib
from pathlib import Path

from bench.core.errors import BenchError, DataError, nearest
from bench.core.regular_files import Refused, open_file, read_file
from bench.data.files import DataFolder
from bench.data.tables import read_csv

TRAIN, TEST = "meta_train", "meta_test"


def read_classes(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the classes by `meta_test` and, if the file has them, `meta_train`.

    A .toml file has two lists of these names; a .csv file has the columns `class` and `part`, where `part` is
    one of these names. Raises BenchError for anything else, a repeated class, or no meta-test class.
    """
    if path.suffix.lower() not in (".toml", ".csv"):
        raise BenchError(f"--classes {path}: the name must end in .toml or .csv")
    try:
        open_file(path).close()
    except Refused as why:
        raise BenchError(f"--classes {path}: {why}") from None
    lists = _from_toml(path) if path.suffix.lower() == ".toml" else _from_csv(path)
    seen: set[str] = set()
    for name in (name for names in lists.values() for name in names):
        if name in seen:
            raise BenchError(f"{path}: class {name[:80]!r} is repeated")
        seen.add(name)
    if not lists.get(TEST):
        raise BenchError(f"{path}: has no {TEST} class")
    return lists


def _from_toml(path: Path) -> dict[str, tuple[str, ...]]:
    try:
        raw = tomllib.loads(read_file(path).decode("utf-8"))
    except (Refused, ValueError, RecursionError) as error:
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
