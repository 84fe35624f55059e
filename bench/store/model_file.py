"""Saved models: one file format for every kind of task, plain arrays and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from bench.core.array_files import UNREADABLE, read_arrays, write_arrays
from bench.core.cell import Cell
from bench.core.errors import BenchError, StoreError
from bench.core.protocol import KEYS, check
from bench.store.read import MODEL

FACTS = "facts"
"""The array with all other fields, as JSON."""

TEXTS = ("cell", "regime", "backbone", "weights", "preprocess", "engine", "resize")

ENGINES = ("tensorflow", "openvino")

INPUT_FIELDS: Mapping[str, Any] = {
    key: KEYS[key].default for key in ("crop", "layers", "pool", "unit_fields", "mirror", "precision")
}
"""Protocol keys of image preprocessing, with their values for files of version 1."""

ADDED_FIELDS = {"precision": KEYS["precision"].default}
"""Fields added without a new version, with their values for older files."""

T = TypeVar("T")


class SavableModel(Protocol):
    """A model with a method that writes it."""

    def save(self, folder: Path) -> Path:
        """Write it into a cell's folder, whole or not at all, and return the file."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class SavedModel:
    """The image preprocessing of a saved model. Weights of a frozen backbone are named, not stored.

    cell: the cell's full id. weights: as in `bench.core.cell.Cell`. preprocess, engine, resize, crop, layers,
    pool, unit_fields, mirror, precision: as in the protocol. size: (height, width) of the resized images, for
    every member of a joined backbone.
    """

    cell: str
    regime: str
    backbone: str
    weights: str
    preprocess: str
    engine: str
    resize: str
    size: tuple[int, int]
    crop: float = 1.0
    layers: str = ""
    pool: str = "average"
    unit_fields: bool = False
    mirror: bool = False
    precision: str = "float32"

    @property
    def facts(self) -> dict[str, Any]:
        """The fields that are stored as JSON."""
        return {name: getattr(self, name) for name in (*TEXTS, *INPUT_FIELDS)} | {"size": list(self.size)}


def fields_of(cell: Cell, size: tuple[int, int]) -> dict[str, Any]:
    """Return the fields of `SavedModel` for a trained cell. size: (height, width) of its pixels."""
    setting = cell.setting
    return {
        "cell": cell.id,
        "regime": cell.regime,
        "backbone": cell.backbone,
        "weights": cell.weights,
        "size": size,
        **{key: str(setting[key]) for key in ("preprocess", "engine", "resize")},
        **{key: setting.get(key, default) for key, default in INPUT_FIELDS.items()},
    }


def read_fields(facts: Mapping[str, Any], first_version: bool = False) -> dict[str, Any]:
    """Return the fields of `SavedModel` from a file's facts. Raises one of UNREADABLE, or BenchError.

    first_version: the facts lack the keys of INPUT_FIELDS.
    """
    texts = {name: facts[name] for name in TEXTS}
    if any(type(value) is not str for value in texts.values()):
        raise ValueError("its facts are not text")
    height, width = (int(side) for side in facts["size"])
    if not (0 < height < 10_000 and 0 < width < 10_000):
        raise ValueError(f"size {facts['size']}")
    if texts["engine"] not in ENGINES:
        raise ValueError(f"engine {texts['engine'][:20]!r}")
    stated = INPUT_FIELDS if first_version else {**ADDED_FIELDS, **facts}
    inputs = {name: check(name, stated[name], "its facts") for name in INPUT_FIELDS}
    return {**texts, **inputs, "size": (height, width)}


def write_model(folder: Path, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a model into a cell's folder, whole or not at all, and return the file.

    The file holds numbers and JSON, no code. Raises StoreError for a folder that cannot be written.
    """
    text = json.dumps(facts, ensure_ascii=True, allow_nan=False).encode("ascii")
    return write_arrays(folder / MODEL, {FACTS: np.frombuffer(text, np.uint8), **arrays})


def read_model(folder: Path, read: Callable[[Mapping[str, Any], dict[str, np.ndarray]], T]) -> T:
    """Read the model in a cell's folder; `read` builds it from its facts and arrays.

    Raises StoreError (one line) if there is none, and if `read` raises BenchError or one of UNREADABLE.
    """
    path = folder / MODEL
    try:
        arrays = read_arrays(path)
        return read(json.loads(arrays.pop(FACTS).tobytes().decode("ascii")), arrays)
    except FileNotFoundError:
        raise StoreError(f"{folder} has no saved model: train the cell again with --keep-model") from None
    except (*UNREADABLE, BenchError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StoreError(f"{path}: not a saved model ({why}); train again with --keep-model") from None
