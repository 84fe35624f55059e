"""A kept model at work on image files: the same pixels, the same backbone, the same head as in the run."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.decoding import workers
from bench.data.examples import ImageError
from bench.data.files import MAX_FILE_BYTES
from bench.data.images import RESIZE_MODES, decode, resize
from bench.errors import BenchError, StoreError
from bench.keep import KeptHead, load_head
from bench.models.backbones import parts_of, preprocess, reading_of, weights_of, width_of
from bench.store import Stored

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What is taken for an image in a folder that is named; a file named itself may end in anything."""

Extract = Callable[[np.ndarray], np.ndarray]
Scale = Callable[[Any], Any]


@dataclass(frozen=True)
class Reading:
    """What of a kept model says how images become features; the fields are those of `KeptHead`."""

    backbone: str
    weights: str
    preprocess: str
    engine: str
    resize: str
    size: tuple[int, int]
    crop: float
    layers: str
    pool: str
    unit_fields: bool
    mirror: bool

    @classmethod
    def of(cls, head: object) -> Reading:
        """Return what a kept model says of it."""
        return cls(**{field.name: getattr(head, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Answer:
    """What the model says of one image. scores: (k,) float32, or None where it could not be read (`why`)."""

    image: str
    scores: np.ndarray | None
    why: str = ""


def open_model(stored: Stored, weights: str | None = None) -> Predictor:
    """Return the model that was kept of a cell.

    weights: the file that a cell with weights of its own was run with. Raises StoreError where no model was
    kept or it is another cell's, BenchError for missing or other weights.
    """
    check_measured(stored)
    if any(info.reads == "titles" for info in parts_of(str(stored.record["cell"]["backbone"]))):
        raise BenchError(
            f"cell {stored.id[:8]} reads titles ({stored.record['cell']['backbone']}): "
            "images alone do not suffice"
        )
    head = load_head(stored.folder)
    check_kept(stored, head.cell, head.resize)
    parts = parts_of(head.backbone)
    width = head.filters[-1] if head.filters else width_of(parts, vars(head))
    one_net = len(parts) == 1 and parts[0].is_net
    if width not in (None, head.inputs) or not (one_net or (head.regime == "frozen" and not head.filters)):
        raise StoreError(f"{stored.folder}: its model does not fit {head.backbone}; train the cell again")
    return Predictor(head, weights_for(Reading.of(head), weights))


def check_measured(stored: Stored) -> None:
    """Raise BenchError for a cell that failed: it has no model."""
    if not stored.ok:
        raise BenchError(
            f"cell {stored.id[:8]} was not measured: it has no model ({stored.record['reason']})"
        )


def check_kept(stored: Stored, cell: str, mode: str) -> None:
    """Raise StoreError for a model of another cell than the one it lies beside, or with an unknown resize."""
    if cell != stored.id:
        raise StoreError(f"{stored.folder}: its model is of cell {cell[:8]!r}; train again with --keep-model")
    if mode not in RESIZE_MODES:
        raise StoreError(f"{stored.folder}: its model resizes images by {mode[:20]!r}, which is unknown")


def weights_for(head: Reading, given: str | None) -> str:
    """Return what the backbone is built with: words, or the path of a file, as `weights_of` takes it."""
    if "sha256:" not in head.weights:
        if given is not None:
            raise BenchError(f"--weights: the cell was run with {head.weights} weights; leave it out")
        return head.weights
    if given is None:
        raise BenchError("the cell was run with a weights file of its own: name it with --weights FILE")
    from bench.models.backbones import weights_ids

    if weights_ids(parts_of(head.backbone), given) != head.weights:
        raise BenchError(f"--weights {given!r} is not the file that the cell was run with")
    return given


@dataclass(frozen=True, eq=False)
class Predictor:
    """A kept model with its backbone, which is built when the first image is scored."""

    head: KeptHead
    weights: str

    def read(self, path: Path) -> np.ndarray:
        """Return an image as the backbone sees it, (h, w, 3) uint8. Raises ImageError (a few words)."""
        return read_image(path, Reading.of(self.head))

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 probabilities for (n, h, w, 3) uint8 images of the model's size."""
        batch = self.batch
        parts = (
            (np.arange(start, min(start + batch, len(images))), images[start : start + batch])
            for start in range(0, len(images), batch)
        )
        found = [self.head.scores(features) for _, features in self._features(parts)]
        return np.concatenate([np.empty((0, len(self.head.classes)), np.float32), *found])

    def answers(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """Yield an answer for every file, in order, a few batches of images in memory at a time."""
        with ThreadPoolExecutor(workers()) as pool:
            for start in range(0, len(paths), 2 * self.batch):
                part = paths[start : start + 2 * self.batch]
                found = list(pool.map(self._read, part))
                good = [image for image, _ in found if image is not None]
                scores = iter(self.scores(np.stack(good)) if good else ())
                for path, (image, why) in zip(part, found, strict=True):
                    yield Answer(str(path), None if image is None else next(scores), why)

    def _read(self, path: Path) -> tuple[np.ndarray | None, str]:
        try:
            return self.read(path), ""
        except ImageError as error:
            return None, str(error)

    @property
    def batch(self) -> int:
        """How many images are scored at a time; the one that features are extracted with."""
        from bench.models.engines import batch_for

        return batch_for(self.head.size)

    def _features(
        self, parts: Iterable[tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from bench.models.engines import run_engine

        return run_engine(self._extract, parts, self.batch)

    @cached_property
    def _extract(self) -> Extract:
        with quiet():
            extract = self._build()
            # TensorFlow looks for devices when the first operation runs.
            width = extract(np.zeros((self.batch, *self.head.size, 3), np.uint8)).shape[1]
        if width != self.head.inputs:
            raise StoreError(f"the model takes {self.head.inputs} features, and {width} are read here")
        return extract

    def _build(self) -> Extract:
        from bench import env
        from bench.models.backbones import build_backbone
        from bench.models.conv import build_conv
        from bench.models.engines import load_engine, unpooled

        head = self.head
        if head.regime == "frozen" and not head.filters:
            return frozen_features(Reading.of(head), self.weights)
        env.make_deterministic()
        (info,) = parts_of(head.backbone)
        scale = preprocess(info, head.preprocess)
        if head.regime != "frozen":
            return kept_net(build_backbone(info, head.size, "random"), head.net, scale, np.uint8)
        net = build_backbone(info, head.size, self.weights)
        on_maps = unpooled(net)
        maps = load_engine(head.engine, on_maps, scale, head.size)
        conv = build_conv(on_maps.output_shape[1:], head.filters)
        features = kept_net(conv, head.net, _standardising(head), np.float32)
        return lambda images: features(maps(images))


def frozen_features(head: Reading, weights: str) -> Extract:
    """Return what computes the features that a head on frozen backbones was trained on."""
    from bench.models.extract import both_ways, feature_engine, mirror

    parts = parts_of(head.backbone)
    engines = [
        feature_engine(info, own, head.preprocess, head.engine, head.size, reading_of(info, vars(head)))
        for info, own in zip(parts, weights_of(parts, weights), strict=True)
    ]

    def extract(images: np.ndarray) -> np.ndarray:
        return np.concatenate([engine(images) for engine in engines], axis=1)

    return (lambda images: both_ways(extract(images), extract(mirror(images)))) if head.mirror else extract


@contextmanager
def quiet() -> Iterator[None]:
    """Let what TensorFlow's libraries write past Python, to the process's error stream, go nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _standardising(head: KeptHead) -> Scale:
    """Return what maps are standardised with, channel by channel."""
    mean, scale = head.mean, head.scale
    if mean is None or scale is None:
        return lambda batch: batch
    return lambda batch: (batch - mean) / scale


def kept_net(net: Any, variables: Sequence[np.ndarray], scale: Scale, dtype: type) -> Extract:
    """Return what computes the features of a net whose every variable was kept, from inputs of a dtype."""
    import tensorflow as tf

    _fill(net, variables)
    inputs = tf.TensorSpec([None, *net.input_shape[1:]], tf.as_dtype(dtype))
    # As in training the graph is not folded, so that the same image gives the same score.
    forward = tf.function(
        lambda batch: net(scale(batch), training=False), input_signature=[inputs], autograph=False
    ).get_concrete_function()
    return lambda batch: np.asarray(forward(tf.constant(batch)).numpy())


def _fill(net: Any, variables: Sequence[np.ndarray]) -> None:
    """Set every variable of a net. Raises StoreError for those of another one."""
    if [tuple(held.shape) for held in net.variables] != [array.shape for array in variables]:
        raise StoreError("the kept net is not the backbone that this version builds: train the cell again")
    for held, array in zip(net.variables, variables, strict=True):
        held.assign(array)


def read_image(path: Path, reading: Reading) -> np.ndarray:
    """Return an image as the backbone sees it, (h, w, 3) uint8. Raises ImageError (a few words)."""
    return resize(decode(_bytes(path)), reading.size, reading.resize, reading.crop)


def image_files(named: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the image files that were named, those of a folder in order of name, and a line per fault."""
    files: list[Path] = []
    problems: list[str] = []
    for text in named:
        path = Path(text).expanduser()
        if not path.is_dir():
            files.append(path)
            continue
        try:
            inside = sorted(entry.name for entry in os.scandir(path) if entry.is_file())
        except OSError as error:
            problems.append(f"{text}: {error.strerror or error}")
            continue
        found = [path / name for name in inside if name.lower().endswith(ENDINGS) and name[0] != "."]
        if not found:
            problems.append(f"{text}: the folder has no image files ({', '.join(ENDINGS)})")
        files += found
    return files, problems


def _bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises ImageError for what is not a regular file of a sensible size."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("not a file")
            if status.st_size > MAX_FILE_BYTES:
                raise ImageError(f"larger than {MAX_FILE_BYTES // 2**20} MiB")
            return file.read()
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except (OSError, ValueError) as error:
        raise ImageError(getattr(error, "strerror", None) or "cannot be read") from None
