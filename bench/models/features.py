"""The features cache: every image through a frozen backbone once, as rows of one file."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.pixels import Pixels
from bench.errors import BenchError, StoreError
from bench.locks import take_lock
from bench.models.augment import Change, Recipe, load_change
from bench.models.backbone_info import AS_EVER, BackboneInfo, Reading
from bench.models.backbones import preprocess_mode, weights_id
from bench.models.extract import Extract, both_ways, feature_engine, mirror
from bench.models.rows import DONE_FILE, ROWS_FILE, Rows, write_json
from bench.progress import Progress, in_silence
from bench.spec import canonical_json

FEATURES_VERSION = 1
"""Bumped when the same image would no longer give the same features."""

Batches = Iterable[tuple[np.ndarray, np.ndarray]]

META_FILE = "features.json"
SAVE_SECONDS = 15.0
"""How often an unfinished build writes down how far it has come."""


def ensure_features(
    pixels: Pixels,
    info: BackboneInfo,
    weights: str,
    preprocess: str,
    engine: str,
    cache: Path,
    progress: Progress = in_silence,
    reading: Reading = AS_EVER,
) -> np.ndarray:
    """Return the (n, d) float32 features of all images, mapped from the cache, computing them if need be.

    Rows of quarantined images are NaN. weights: `imagenet`, `random` (one fixed draw) or a path. preprocess:
    `backbone` or a mode of PREPROCESS. engine: `tensorflow` or `openvino`. reading: what is taken from the
    net; a mean of two images' features is made anew each time, of two files of the cache.
    What the cache has costs no import of TensorFlow. Its folder is there whole or not at all; two processes
    that want the same one compute it once; a killed one is continued where it stopped.
    Raises WeightsError for weights that cannot be had, StoreError when the cache cannot be written, and
    BenchError for an illegal size, a missing engine, a layer that the net does not have and features that are
    not finite.
    """
    return Extraction(pixels, info, weights, preprocess, engine, cache, progress, reading).features()


@dataclass(frozen=True, eq=False)
class Extraction:
    """One backbone over one set of images; the fields are those of `ensure_features`.

    pooled: whether a row is the (d,) features or the (h, w, c) map before the last pooling. recipe: how
    views are made of the images. The net is built at most once, when something is not in the cache.
    """

    pixels: Pixels
    info: BackboneInfo
    weights: str
    preprocess: str
    engine: str
    cache: Path
    progress: Progress = in_silence
    reading: Reading = AS_EVER
    pooled: bool = True
    recipe: Recipe | None = None

    def features(self, view: int | None = None) -> np.ndarray:
        """Return the features that the reading asks for: `rows`, or the mean with those of the mirror."""
        rows = self.rows(view)
        return both_ways(rows, self.rows(view, mirrored=True)) if self.reading.mirror else rows

    def rows(self, view: int | None = None, mirrored: bool = False) -> np.ndarray:
        """Return (n, d) features or (n, h, w, c) maps of the images, or of the view of this number from 0.

        mirrored: of their left-right mirrors. The rest is as `ensure_features` tells.
        """
        key = self.key(view, mirrored)
        digest = hashlib.sha256(canonical_json(key).encode("ascii")).hexdigest()
        folder = self.cache / "features" / f"{self.info.name}-{digest[:16]}"
        rows = self._open(folder)
        if rows is not None:
            return rows
        with _building(folder, len(self.pixels), self.progress):
            rows = self._open(folder)
            if rows is None:
                self._build(folder, key, view, mirrored)
                rows = self._open(folder)
        if rows is None:
            raise StoreError(
                f"features cache {folder}: cannot be read back; check the disk or choose another --cache DIR"
            )
        return rows

    def key(self, view: int | None, mirrored: bool = False) -> dict[str, Any]:
        """Return everything on which the rows depend. What is as it always was is not named."""
        key = {
            "version": FEATURES_VERSION,
            "pixels": self.pixels.key,
            "backbone": self.info.name,
            "weights": self._weights_id,
            "preprocess": preprocess_mode(self.info, self.preprocess),
            "size": list(self.pixels.size),
            "engine": self.engine,
        }
        if not self.info.is_net:
            from bench.models.handmade import HANDMADE_VERSION

            key |= {"preprocess": "none", "engine": "handmade", "handmade": HANDMADE_VERSION}
        if not self.reading.plain:
            key |= {"layers": list(self.reading.layers), "pool": self.reading.pool}
            key |= {"unit": True} if self.reading.unit else {}
        if mirrored:
            key["mirrored"] = True
        if not self.pooled:
            key["pooled"] = False
        if view is not None:
            key |= {"augment": self._recipe.key, "view": view}
        return key

    @cached_property
    def _weights_id(self) -> str:
        return weights_id(self.info, self.weights)

    @cached_property
    def _extract(self) -> Extract:
        return _engine(
            self.info,
            self.weights,
            self.preprocess,
            self.engine,
            self.pixels.size,
            self.progress,
            self.reading,
            self.pooled,
        )

    @cached_property
    def _change(self) -> Change:
        return load_change(self._recipe, self.pixels.size)

    @property
    def _recipe(self) -> Recipe:
        if self.recipe is None:
            raise ValueError("views are asked for, but not how they are made")
        return self.recipe

    def _open(self, folder: Path) -> np.ndarray | None:
        """Return what the folder holds, or None when it is not there or not whole."""
        try:
            rows: np.ndarray = np.load(folder / ROWS_FILE, mmap_mode="r", allow_pickle=False)
            whole = (folder / META_FILE).is_file()
        except (OSError, ValueError, EOFError):
            return None
        fits = rows.ndim == (2 if self.pooled else 4)
        if self._width_known:
            fits = rows.shape[1:] == (self.info.features,)
        return rows if whole and fits and len(rows) == len(self.pixels) and rows.dtype == np.float32 else None

    def _build(self, folder: Path, key: dict[str, Any], view: int | None, mirrored: bool) -> None:
        """Compute into a folder beside the target, going on where a killed build stopped, then rename it."""
        part, began = folder.with_name(f"{folder.name}.part"), time.monotonic()
        extract = self._extract
        shape = (len(self.pixels), *self._row)
        with _writing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            part.mkdir(exist_ok=True)
            _check_room(part, int(np.prod(shape)) * 4)
            rows = Rows(part, shape)
            try:
                self._fill(rows, extract, key, view, mirrored)
            except BenchError:
                shutil.rmtree(part, ignore_errors=True)
                raise
            finally:
                rows.close()
            meta = {**key, "shape": list(rows.shape), "seconds": time.monotonic() - began}
            write_json(part / META_FILE, meta)
            (part / DONE_FILE).unlink(missing_ok=True)
            os.rename(part, folder)

    @property
    def _width_known(self) -> bool:
        return self.pooled and self.reading.plain

    @cached_property
    def _row(self) -> tuple[int, ...]:
        """The shape of one row; where the registry does not tell, that of a batch of black images."""
        from bench.models.engines import batch_for

        if self._width_known:
            return (self.info.features,)
        size = self.pixels.size
        return self._extract(np.zeros((batch_for(size), *size, 3), np.uint8)).shape[1:]

    def _fill(
        self, file: Rows, extract: Extract, key: dict[str, Any], view: int | None, mirrored: bool
    ) -> None:
        from bench.models.engines import batch_for, run_engine

        name, batch = self.info.name, batch_for(self.pixels.size)
        good = np.flatnonzero(self.pixels.ok)
        what = f"{'features' if self.pooled else 'feature maps'} of {name}"
        if view is not None:
            what = f"{what}, {self._recipe.name}, view {view + 1}"
        if mirrored:
            what = f"{what}, mirrored"
        done, saved = file.done, time.monotonic()
        self.progress(done, len(good), what)
        batches: Batches = self.pixels.batches(batch, good[done:])
        if view is not None:
            batches = ((rows, self._change(images, rows, view)) for rows, images in batches)
        if mirrored:
            batches = ((rows, mirror(images)) for rows, images in batches)
        for positions, features in run_engine(extract, batches, batch):
            finite = np.isfinite(features.reshape(len(features), -1)).all(axis=1)
            if not finite.all():
                raise BenchError(
                    f"{name} gives image {positions[~finite][0]} (counted from 0) features that are not "
                    f"finite (weights {key['weights'][:15]}, preprocess {key['preprocess']}): "
                    "use other weights or preprocessing"
                )
            file.write(positions, features)
            done += len(positions)
            self.progress(done, len(good), what)
            if time.monotonic() - saved > SAVE_SECONDS:
                file.save(done)
                saved = time.monotonic()
        file.finish(np.flatnonzero(~self.pixels.ok))


def _engine(
    info: BackboneInfo,
    weights: str,
    preprocess: str,
    engine: str,
    size: tuple[int, int],
    progress: Progress,
    reading: Reading,
    pooled: bool,
) -> Extract:
    progress(0, 1, f"building {info.name}")
    return feature_engine(info, weights, preprocess, engine, size, reading, pooled)


@contextmanager
def _building(folder: Path, total: int, progress: Progress) -> Iterator[None]:
    """Hold the right to build the folder; every way in which the disk can fail becomes one line."""
    what = "waiting for another process that computes the same features"
    with _writing(folder):
        lock = take_lock(folder.with_name(f"{folder.name}.lock"), lambda: progress(0, total, what))
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"features cache {folder}: cannot be written ({error.strerror or error}); "
            "make room or choose another --cache DIR"
        ) from None


def _check_room(part: Path, needed: int) -> None:
    """Raise StoreError before anything is computed when the disk cannot hold the rows anyway."""
    free = shutil.disk_usage(part).free
    if needed > free:
        raise StoreError(
            f"features cache {part.parent}: needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; "
            "make room or choose another --cache DIR"
        )
