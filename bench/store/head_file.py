"""Saved heads: the trained part of an image classifier, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones.info import POOLS, PREPROCESS
from bench.core.cell import Cell
from bench.store.model_file import SavedModel, fields_of, read_fields, read_model, write_model
from bench.training.fits import Hidden, unit_rows
from bench.training.linear_head import LinearHead, link

MODEL_VERSION = 2
"""Format of the file. Version 1 lacks the facts of `INPUT_FIELDS` and `unit`, which had their defaults."""

LINKS = ("softmax", "sigmoid")

_ARRAYS = ("kernel", "bias", "mean", "scale", "hidden_kernel", "hidden_bias", "cuts")


@dataclass(frozen=True, eq=False, kw_only=True)
class SavedHead(SavedModel):
    """A saved head.

    link: `softmax` or `sigmoid`.
    kernel: (u, k), bias: (k,), float32, the last layer.
    mean, scale: standardisation of features, (d,), or of the channels of feature maps, (c,); None for none.
    hidden_kernel: (d, u), hidden_bias: (u,), a hidden layer of ReLU units; None for none, then u = d.
    cuts: (k,), decision thresholds of attributes' probabilities, None for one half; for one class per image,
    thresholds of the prediction set, None for no sets.
    unit: whether the last layer's inputs are L2-normalised, see `bench.training.fits.unit_rows`.
    filters: of the convolutions of a head on unpooled feature maps.
    net: all variables trained below these layers, in the order of their model: the whole net of the scratch
    regime, or the convolutions of a head on feature maps; else empty.
    """

    kind: str
    classes: tuple[str, ...]
    link: str
    kernel: np.ndarray
    bias: np.ndarray
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    hidden_kernel: np.ndarray | None = None
    hidden_bias: np.ndarray | None = None
    cuts: np.ndarray | None = None
    filters: tuple[int, ...] = ()
    net: tuple[np.ndarray, ...] = ()
    unit: bool = False

    @property
    def inputs(self) -> int:
        """Number of input features."""
        return len(self.kernel if self.hidden_kernel is None else self.hidden_kernel)

    def save(self, folder: Path) -> Path:
        """Write a model into a cell's folder, whole or not at all, and return the file.

        The file holds numbers and JSON, no code. Raises StoreError for a folder that cannot be written,
        ValueError for arrays whose shapes disagree.
        """
        if fault := _fault(self):
            raise ValueError(fault)
        facts = self.facts | {
            "kind": self.kind,
            "link": self.link,
            "version": MODEL_VERSION,
            "classes": list(self.classes),
            "filters": list(self.filters),
            "unit": self.unit,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        arrays |= {f"net_{index:05d}": array for index, array in enumerate(self.net)}
        return write_model(folder, facts, arrays)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 probabilities for (n, d) float32 features.

        Features are the backbone's output or, with `filters`, the output of the convolutions on its maps.
        """
        inputs = features
        if self.mean is not None and self.scale is not None and not self.filters:
            inputs = (features - self.mean) / self.scale
        if self.hidden_kernel is not None and self.hidden_bias is not None:
            inputs = np.maximum(inputs @ self.hidden_kernel + self.hidden_bias, np.float32(0))
        if self.unit:
            inputs = unit_rows(inputs)
        return link(self.link, inputs @ self.kernel + self.bias)


def saved_head(
    cell: Cell,
    classes: Sequence[str],
    size: tuple[int, int],
    link: str,
    head: LinearHead,
    hidden: Hidden | None = None,
    mean: np.ndarray | None = None,
    scale: np.ndarray | None = None,
    filters: Sequence[int] = (),
    net: Sequence[np.ndarray] = (),
    unit: bool = False,
) -> SavedHead:
    """Return the model of a trained cell.

    size: (height, width) of its pixels. head: the last layer after posthoc steps, with its thresholds. Other
    arguments as in `SavedHead`.
    """
    return SavedHead(
        **fields_of(cell, size),
        kind=cell.kind,
        classes=tuple(classes),
        link=link,
        kernel=_float32(head.kernel),
        bias=_float32(head.bias),
        mean=None if mean is None else _float32(mean),
        scale=None if scale is None else _float32(scale),
        hidden_kernel=None if hidden is None else _float32(hidden.kernel),
        hidden_bias=None if hidden is None else _float32(hidden.bias),
        cuts=None if head.cuts is None else _float32(head.cuts),
        filters=tuple(filters),
        net=tuple(net),
        unit=unit,
    )


def _float32(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float32)


def load_head(folder: Path) -> SavedHead:
    """Read the model in a cell's folder.

    Raises StoreError (one line) if there is none, or if the file is not a saved head.
    """
    return read_model(folder, _head)


def _head(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SavedHead:
    if facts["version"] not in (1, MODEL_VERSION):
        raise ValueError(f"version {facts['version']}, this messybench reads up to {MODEL_VERSION}")
    first = facts["version"] == 1
    unit = False if first else facts["unit"]
    if type(unit) is not bool:
        raise ValueError("unit: must be true or false")
    if any(type(name) is not str for name in (facts["kind"], facts["link"], *facts["classes"])):
        raise ValueError("its classes are not names")
    net = sorted(name for name in arrays if name.startswith("net_"))
    optional: dict[str, Any] = {name: arrays.get(name) for name in _ARRAYS[2:]}
    head = SavedHead(
        **read_fields(facts, first),
        kind=facts["kind"],
        link=facts["link"],
        classes=tuple(facts["classes"]),
        filters=tuple(int(number) for number in facts["filters"]),
        kernel=arrays["kernel"],
        bias=arrays["bias"],
        **optional,
        net=tuple(arrays[name] for name in net),
        unit=unit,
    )
    if fault := _fault(head):
        raise ValueError(fault)
    return head


def _fault(head: SavedHead) -> str:
    """Describe the first inconsistency of a model; "" if it has none."""
    k = len(head.classes)
    width = head.kernel.shape[0] if head.kernel.ndim == 2 else 0
    hidden = head.hidden_kernel is not None and head.hidden_kernel.ndim == 2
    inputs = head.hidden_kernel.shape[0] if hidden and head.hidden_kernel is not None else width
    if head.filters:
        if not head.net or head.net[0].ndim != 4:
            return "it has filters, but no convolution"
        inputs = head.net[0].shape[2]
    shapes = {
        "kernel": (width, k),
        "bias": (k,),
        "mean": (inputs,),
        "scale": (inputs,),
        "hidden_kernel": (inputs, width),
        "hidden_bias": (width,),
        "cuts": (k,),
    }
    for name, shape in shapes.items():
        array = getattr(head, name)
        if array is None:
            continue
        if array.shape != shape or array.dtype != np.float32:
            return f"{name} is {array.dtype} {array.shape}, not float32 {shape}"
        if not np.isfinite(array).all():
            return f"{name} has NaN or infinite values"
    for one, other in (("mean", "scale"), ("hidden_kernel", "hidden_bias")):
        if (getattr(head, one) is None) != (getattr(head, other) is None):
            return f"it has {one} or {other} without the other"
    if not k or len(set(head.classes)) != k:
        return "its class names are missing or repeated"
    if head.link not in LINKS or head.preprocess not in ("backbone", *PREPROCESS):
        return f"link {head.link[:20]!r} or preprocess {head.preprocess[:20]!r} is unknown"
    if head.pool not in POOLS or not 0.0 < head.crop <= 1.0:
        return f"pool {head.pool[:20]!r} or crop {head.crop} is unknown"
    if any(not 0 < side < 10_000 for side in head.size):
        return f"size {head.size}"
    if any(array.dtype.kind not in "fiub" for array in head.net):
        return "its net holds an array that is not numeric"
    return ""
