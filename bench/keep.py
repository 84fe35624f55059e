"""Keeps a trained cell's model beside its results, as plain arrays, and its loss curve as a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.arrays import UNREADABLE, read_arrays, write_arrays
from bench.errors import StoreError
from bench.methods.links import link
from bench.methods.registry import LinearHead
from bench.models.backbone_info import POOLS, PREPROCESS
from bench.models.backbones import parts_of
from bench.models.lanes import Hidden, unit_rows
from bench.protocol import KEYS, image_size
from bench.spec import Cell, Value
from bench.stored import MODEL

LOSS_CURVE = "loss_curve.png"

MODEL_VERSION = 2
"""Of the arrays and the facts in a model file."""

LATER: Mapping[str, Any] = {
    key: KEYS[key].default for key in ("crop", "layers", "pool", "unit_fields", "mirror")
}
"""Facts that files of version 1 do not have: everything was as by default."""

LINKS = ("softmax", "sigmoid")

_ARRAYS = ("kernel", "bias", "mean", "scale", "hidden_kernel", "hidden_bias", "cuts")
_FACTS = "facts"

_TEXTS = ("cell", "kind", "regime", "backbone", "weights", "preprocess", "engine", "resize", "link")


class Kept(Protocol):
    """A model that can be kept."""

    def save(self, folder: Path) -> Path:
        """Write it into a cell's folder, whole or not at all, and return the file."""
        ...


@dataclass(frozen=True, eq=False)
class KeptHead:
    """All that turns images into a cell's scores; of a frozen backbone the weights are named, not kept.

    cell: the cell's full id. weights: as in `bench.spec.Cell`. preprocess, engine, resize: as in the
    protocol, and so are crop, layers, pool, unit_fields and mirror. size: (height, width) that images are
    brought to, for every part of a joined backbone. link: `softmax` or `sigmoid`.
    kernel: (u, k), bias: (k,), float32, the last layer. mean, scale: (d,), what features are standardised
    with, or (c,), what maps are, channel by channel; None for nothing. hidden_kernel: (d, u), hidden_bias:
    (u,), a layer of relu units below the last one, or None (u is d then). cuts: (k,), the probability from
    which an attribute is a yes; None for one half.
    unit: whether the last layer takes rows of length one, see `bench.models.lanes.unit_rows`.
    filters: of the convolutions that a head on unpooled feature maps begins with.
    net: every variable, in its model's order, of what was trained below the last layer besides: the whole
    net of the scratch regime, the convolutions of a head on maps; else empty.
    """

    cell: str
    kind: str
    classes: tuple[str, ...]
    regime: str
    backbone: str
    weights: str
    preprocess: str
    engine: str
    resize: str
    size: tuple[int, int]
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
    crop: float = 1.0
    layers: str = ""
    pool: str = "average"
    unit_fields: bool = False
    mirror: bool = False
    unit: bool = False

    @property
    def inputs(self) -> int:
        """How many features it takes."""
        return len(self.kernel if self.hidden_kernel is None else self.hidden_kernel)

    def save(self, folder: Path) -> Path:
        """Write a model into a cell's folder, whole or not at all, and return the file.

        It holds numbers and JSON, nothing that runs when it is read. Raises StoreError for a folder that
        cannot be written, ValueError for arrays that do not fit together.
        """
        if fault := _fault(self):
            raise ValueError(fault)
        facts: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS}
        facts |= {name: getattr(self, name) for name in LATER}
        facts |= {
            "version": MODEL_VERSION,
            "classes": list(self.classes),
            "size": list(self.size),
            "filters": list(self.filters),
            "unit": self.unit,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        arrays |= {f"net_{place:05d}": array for place, array in enumerate(self.net)}
        text = json.dumps(facts, ensure_ascii=True, allow_nan=False).encode("ascii")
        return write_arrays(folder / MODEL, {_FACTS: np.frombuffer(text, np.uint8), **arrays})

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 probabilities for (n, d) float32 features.

        They are what the backbone gives, or, with `filters`, what the convolutions on its maps give.
        """
        inputs = features
        if self.mean is not None and self.scale is not None and not self.filters:
            inputs = (features - self.mean) / self.scale
        if self.hidden_kernel is not None and self.hidden_bias is not None:
            inputs = np.maximum(inputs @ self.hidden_kernel + self.hidden_bias, np.float32(0))
        if self.unit:
            inputs = unit_rows(inputs)
        return link(self.link, inputs @ self.kernel + self.bias)


def kept(
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
) -> KeptHead:
    """Return the model of a trained cell: what its identity says, and what training gave.

    size: (height, width) of its pixels. head: the last layer after posthoc steps, with its cuts. The others
    as in `KeptHead`.
    """
    setting = cell.setting
    return KeptHead(
        cell=cell.id,
        kind=cell.kind,
        classes=tuple(classes),
        regime=cell.regime,
        backbone=cell.backbone,
        weights=cell.weights,
        preprocess=str(setting["preprocess"]),
        engine=str(setting["engine"]),
        resize=str(setting["resize"]),
        size=size,
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
        **{key: setting.get(key, default) for key, default in LATER.items()},
    )


def not_kept(backbone: str, setting: Mapping[str, Value]) -> str | None:
    """Return why no one model on this backbone could answer for image files, or None, under a protocol."""
    parts = parts_of(backbone)
    if setting.get("pairs") == "view2":
        return "pairs=view2 trains a model for each fold; run pairs=view1 or pairs=made for one to keep"
    for info in parts:
        if info.reads != "pixels":
            return f"{backbone} reads {info.reads}, which image files do not have"
    sizes = {image_size(setting["input_size"], info.input_size): info.name for info in parts}
    if len(sizes) > 1:
        taken = " and ".join(f"{name} images of {high}x{wide}" for (high, wide), name in sizes.items())
        return f"{taken} are two sizes, and a model reads an image once: add --set input_size=N"
    return None


def _float32(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float32)


def load_head(folder: Path) -> KeptHead:
    """Read the model in a cell's folder.

    Raises StoreError (one line) where none was kept, and for a file that is not one of ours.
    """
    path = folder / MODEL
    try:
        arrays = read_arrays(path)
        head = _head(json.loads(arrays.pop(_FACTS).tobytes().decode("ascii")), arrays)
        fault = _fault(head)
    except FileNotFoundError:
        raise StoreError(f"{folder} keeps no model: train the cell again with --keep-model") from None
    except UNREADABLE as error:
        fault = f"{type(error).__name__}: {error}"
    if fault:
        why = " ".join(fault.split())[:200]
        raise StoreError(f"{path}: not a kept model ({why}); train again with --keep-model")
    return head


def _head(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> KeptHead:
    if facts["version"] not in (1, MODEL_VERSION):
        raise ValueError(f"version {facts['version']}, this messybench reads up to {MODEL_VERSION}")
    later = LATER if facts["version"] == 1 else {name: facts[name] for name in LATER}
    if any(type(later[name]) is not type(default) for name, default in LATER.items()):
        raise ValueError(f"its {', '.join(LATER)} are not what they should be")
    unit = False if facts["version"] == 1 else facts["unit"]
    if type(unit) is not bool:
        raise ValueError("whether its rows have length one is not told")
    if any(type(facts[name]) is not str for name in _TEXTS):
        raise ValueError("its facts are not text")
    if any(type(name) is not str for name in facts["classes"]):
        raise ValueError("its classes are not names")
    height, width = (int(side) for side in facts["size"])
    net = sorted(name for name in arrays if name.startswith("net_"))
    texts: dict[str, Any] = {name: facts[name] for name in _TEXTS}
    optional: dict[str, Any] = {name: arrays.get(name) for name in _ARRAYS[2:]}
    return KeptHead(
        **texts,
        classes=tuple(facts["classes"]),
        size=(height, width),
        filters=tuple(int(number) for number in facts["filters"]),
        kernel=arrays["kernel"],
        bias=arrays["bias"],
        **optional,
        net=tuple(arrays[name] for name in net),
        unit=unit,
        **later,
    )


def _fault(head: KeptHead) -> str:
    """Say what about a model does not fit together, or nothing."""
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
            return f"{name} has values that are no numbers"
    for one, other in (("mean", "scale"), ("hidden_kernel", "hidden_bias")):
        if (getattr(head, one) is None) != (getattr(head, other) is None):
            return f"it has {one} or {other} without the other"
    if not k or len(set(head.classes)) != k:
        return "its classes are not different names"
    if head.link not in LINKS or head.preprocess not in ("backbone", *PREPROCESS):
        return f"link {head.link[:20]!r} or preprocess {head.preprocess[:20]!r} is unknown"
    if head.pool not in POOLS or not 0.0 < head.crop <= 1.0:
        return f"pool {head.pool[:20]!r} or crop {head.crop} is unknown"
    if any(not 0 < side < 10_000 for side in head.size):
        return f"size {head.size}"
    if any(array.dtype.kind not in "fiub" for array in head.net):
        return "its net holds something else than numbers"
    return ""


def loss_curve(history: Sequence[Mapping[str, Any]], title: str = "") -> bytes:
    """Return a PNG of training and validation loss by epoch.

    history: rows with `loss` and `val_loss` (None where there was no validation), one for each epoch. Raises
    ValueError for none.
    """
    from bench.report.findings import loss_curve as lines_of
    from bench.report.plots import losses
    from bench.report.theme import LIGHT, drawn

    curve = lines_of(title, [history])
    if curve is None:
        raise ValueError("there is no epoch to draw")
    return drawn(losses([curve]), LIGHT, ("png",))["png"]


def save_loss_curve(folder: Path, history: Sequence[Mapping[str, Any]], title: str = "") -> Path:
    """Draw the loss curve into a cell's folder and return the file. Raises StoreError where it cannot."""
    path = folder / LOSS_CURVE
    try:
        path.write_bytes(loss_curve(history, title))
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path
