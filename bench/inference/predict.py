"""Predictions of saved models for image files, with the pixels, backbone and head of the run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bench.backbones.info import JOIN, BackboneInfo
from bench.backbones.names import reads, stored_parts
from bench.backbones.registry import feature_spec, preprocess, weights_ids, weights_of, width_of
from bench.core.errors import BenchError, StoreError
from bench.core.paths import user_path
from bench.core.regular_files import Refused, read_file
from bench.data.decoding import workers
from bench.data.examples import ImageError
from bench.data.images import RESIZE_MODES, decode, resize
from bench.data.photo_tree import ENDINGS
from bench.store.head_file import SavedHead, load_head
from bench.store.model_file import SavedModel
from bench.store.read import MODEL
from bench.store.write import Stored

Extract = Callable[[np.ndarray], np.ndarray]
Scale = Callable[[Any], Any]
M = TypeVar("M", bound=SavedModel)


@dataclass(frozen=True)
class ImageAnswer:
    """A model's answer for one image. scores: (k,) float32, None if it could not be read (`why`)."""

    image: str
    scores: np.ndarray | None
    why: str = ""


def open_model(stored: Stored, weights: str | None = None, allow_code: bool = False) -> ImageModel:
    """Return the saved model of a cell.

    weights: the file that the cell was run with, if any. allow_code: whether code in a backbone's file may
    run. Raises StoreError if there is no saved model or it is another cell's, BenchError for missing or other
    weights.
    """
    head = opened(stored, load_head, "images")
    parts, given = model_weights(head.backbone, head.weights, weights, allow_code)
    width = head.filters[-1] if head.filters else width_of(parts, vars(head))
    one_net = len(parts) == 1 and parts[0].is_net
    if width not in (None, head.inputs) or not (one_net or (head.regime == "frozen" and not head.filters)):
        raise StoreError(f"{stored.folder}: its model does not fit {head.backbone}; train the cell again")
    return ImageModel(head, parts, given)


def opened(stored: Stored, load: Callable[[Path], M], what: str) -> M:
    """Return the undamaged saved model of a cell. load: reads it from the cell's folder. what: its inputs.

    Raises BenchError for a failed cell, and for one that needs more than pixels; StoreError if there is no
    model, or it is another cell's or resizes images in an unknown way.
    """
    if not stored.ok:
        raise BenchError(
            f"cell {stored.id[:8]} was not measured: it has no model ({stored.record['reason']})"
        )
    name = str(stored.record["cell"]["backbone"])
    for other in sorted(reads(name) - {"pixels"}):
        raise BenchError(f"cell {stored.id[:8]} needs {other} ({name}); {what} are not enough")
    if not stored.has(MODEL):
        raise StoreError(f"{stored.folder} has no saved model: train the cell again with --keep-model")
    stored.read(MODEL)
    head = load(stored.folder)
    if head.cell != stored.id:
        raise StoreError(
            f"{stored.folder}: its model is of cell {head.cell[:8]!r}; train again with --keep-model"
        )
    if head.resize not in RESIZE_MODES:
        raise StoreError(
            f"{stored.folder}: its model resizes images by {head.resize[:20]!r}, which is unknown"
        )
    return head


def model_weights(
    name: str, identity: str, given: str | None, allow_code: bool = False
) -> tuple[tuple[BackboneInfo, ...], str]:
    """Return the parts of a saved model's backbone, and their weights for `weights_of`.

    given: names or files, as the user wrote them. Raises BenchError for missing or other weights.
    """
    if given is not None and "sha256:" not in identity:
        raise BenchError(f"--weights: the cell was run with {identity} weights; leave it out")
    parts = stored_parts(name, identity, () if given is None else (given,), allow_code=allow_code)
    if given is None:
        own = zip(parts, identity.split(JOIN), strict=True)
        if any("sha256:" in weights and info.origin is None for info, weights in own):
            raise BenchError("the cell was run with a weights file: name it with --weights FILE")
        given = identity
    if weights_ids(parts, given) != identity:
        raise BenchError(f"--weights {given!r} is not the file that the cell was run with")
    return parts, given


@dataclass(frozen=True, eq=False)
class ImageModel:
    """A saved model with its backbone, which is built when the first image is scored."""

    head: SavedHead
    parts: tuple[BackboneInfo, ...]
    weights: str

    def read(self, path: Path) -> np.ndarray:
        """Return an image resized for the backbone, (h, w, 3) uint8. Raises ImageError."""
        return read_image(path, self.head)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 probabilities for (n, h, w, 3) uint8 images of the model's size."""
        batch = self.batch
        batches = (
            (np.arange(start, min(start + batch, len(images))), images[start : start + batch])
            for start in range(0, len(images), batch)
        )
        found = [self.head.scores(features) for _, features in self._features(batches)]
        return np.concatenate([np.empty((0, len(self.head.classes)), np.float32), *found])

    def answers(self, paths: Sequence[Path]) -> Iterator[ImageAnswer]:
        """Yield an answer for every file, in order, with a few batches of images in memory."""
        with ThreadPoolExecutor(workers()) as pool:
            for start in range(0, len(paths), 2 * self.batch):
                some = paths[start : start + 2 * self.batch]
                found = list(pool.map(self._read, some))
                good = [image for image, _ in found if image is not None]
                scores = iter(self.scores(np.stack(good)) if good else ())
                for path, (image, why) in zip(some, found, strict=True):
                    yield ImageAnswer(str(path), None if image is None else next(scores), why)

    def _read(self, path: Path) -> tuple[np.ndarray | None, str]:
        try:
            return self.read(path), ""
        except ImageError as error:
            return None, str(error)

    @property
    def batch(self) -> int:
        """Batch size, that of feature extraction."""
        from bench.backbones.engines import batch_for

        return batch_for(self.head.size)

    def _features(
        self, batches: Iterable[tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from bench.backbones.engines import run_engine

        return run_engine(self._extract, batches, self.batch)

    @cached_property
    def _extract(self) -> Extract:
        with quiet():
            extract = self._build()
            # TensorFlow searches for devices when the first operation runs.
            width = extract(np.zeros((self.batch, *self.head.size, 3), np.uint8)).shape[1]
        if width != self.head.inputs:
            raise StoreError(f"the model takes {self.head.inputs} features, but the backbone gives {width}")
        return extract

    def _build(self) -> Extract:
        from bench.backbones.determinism import make_deterministic
        from bench.backbones.engines import load_engine, unpooled
        from bench.backbones.registry import build_backbone
        from bench.training.nets.conv_head import build_conv

        head = self.head
        if head.regime == "frozen" and not head.filters:
            return frozen_features(self.parts, head, self.weights)
        make_deterministic()
        (info,) = self.parts
        scale = preprocess(info, head.preprocess)
        if head.regime != "frozen":
            net = build_backbone(info, head.size, "random", precision=head.precision)
            return saved_net(net, head.net, scale, np.uint8)
        net = build_backbone(info, head.size, self.weights, precision=head.precision)
        on_maps = unpooled(net)
        maps = load_engine(head.engine, on_maps, scale, head.size)
        conv = build_conv(on_maps.output_shape[1:], head.filters)
        features = saved_net(conv, head.net, _standardising(head), np.float32)
        return lambda images: features(maps(images))


def frozen_features(parts: Sequence[BackboneInfo], head: SavedModel, weights: str) -> Extract:
    """Return the feature extractor of a head on frozen backbones."""
    from bench.backbones.extract import Extractor, mirror, mirror_mean

    engines = [
        Extractor(
            info, own, head.preprocess, head.engine, head.size, feature_spec(info, vars(head)), head.precision
        ).load()
        for info, own in zip(parts, weights_of(parts, weights), strict=True)
    ]

    def extract(images: np.ndarray) -> np.ndarray:
        return np.concatenate([engine(images) for engine in engines], axis=1)

    return (lambda images: mirror_mean(extract(images), extract(mirror(images)))) if head.mirror else extract


@contextmanager
def quiet() -> Iterator[None]:
    """Discard what TensorFlow's libraries write directly to the process's error stream."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _standardising(head: SavedHead) -> Scale:
    """Return the standardisation of feature maps, by channel."""
    mean, scale = head.mean, head.scale
    if mean is None or scale is None:
        return lambda batch: batch
    return lambda batch: (batch - mean) / scale


def saved_net(net: Any, variables: Sequence[np.ndarray], scale: Scale, dtype: type) -> Extract:
    """Return the feature extractor of a net with all its saved variables. dtype: of its inputs."""
    import tensorflow as tf

    fill(net, variables)
    inputs = tf.TensorSpec([None, *net.input_shape[1:]], tf.as_dtype(dtype))
    # As in training, the graph is not constant-folded, so that the same image gives the same score.
    forward = tf.function(
        lambda batch: net(scale(batch), training=False), input_signature=[inputs], autograph=False
    ).get_concrete_function()
    return lambda batch: np.asarray(forward(tf.constant(batch)).numpy())


def fill(net: Any, variables: Sequence[np.ndarray]) -> None:
    """Set all variables of a net. Raises StoreError if their shapes differ."""
    if [tuple(held.shape) for held in net.variables] != [array.shape for array in variables]:
        raise StoreError("the saved net differs from the backbone of this version: train the cell again")
    for held, array in zip(net.variables, variables, strict=True):
        held.assign(array)


def read_image(path: Path, settings: SavedModel) -> np.ndarray:
    """Return an image resized for the backbone, (h, w, 3) uint8. Raises ImageError."""
    try:
        data = read_file(path)
    except Refused as why:
        raise ImageError(str(why)) from None
    return resize(decode(data), settings.size, settings.resize, settings.crop)


def image_files(named: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the given image files, those of folders sorted by name, and a message for each fault."""
    files: list[Path] = []
    problems: list[str] = []
    for text in named:
        path = user_path(text)
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
