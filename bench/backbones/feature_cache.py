"""Feature cache: the outputs of a frozen backbone on all images, as rows of one file."""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.backbones.extract import Extract, Extractor, mirror, mirror_mean
from bench.backbones.feature_file import DONE_FILE, Rows
from bench.backbones.info import PLAIN_FEATURES, BackboneInfo, FeatureSpec
from bench.backbones.precision import FLOAT32
from bench.backbones.registry import preprocess_mode, weights_id
from bench.core.cell import canonical_json
from bench.core.devices import gpus
from bench.core.errors import BenchError
from bench.core.progress import Progress, no_progress
from bench.data.augmentation import Change, Recipe, load_change
from bench.data.cache.folders import RowFolder
from bench.data.cache.rows import Array, CheckedRows, RowFile
from bench.data.pixels import Pixels

FEATURES_VERSION = 1
"""Bumped when the features of the same image change."""

Batches = Iterable[tuple[np.ndarray, np.ndarray]]

META_FILE = "features.json"
SAVE_SECONDS = 15.0
"""Interval between saves of an unfinished build."""


class RemoteExtractor(Protocol):
    """Forward passes of a backbone in other processes, or on other machines."""

    @property
    def gpu(self) -> bool:
        """Whether passes run on GPUs."""
        ...

    def outputs(
        self, extraction: Extraction, positions: np.ndarray, view: int | None, mirrored: bool
    ) -> Batches:
        """Yield what `Extraction.outputs` yields, in the same order and with the same bits."""
        ...


@dataclass(frozen=True, eq=False)
class Extraction:
    """Features of a set of images from one frozen backbone, computed once and cached.

    weights: `imagenet`, `random` (one fixed draw) or a path. preprocess: `backbone` or a mode of PREPROCESS.
    engine: `tensorflow` or `openvino`. spec: the outputs that are features. precision: dtype policy, see
    `bench.backbones.precision.dtype_policy`. pooled: whether a row is the (d,) features or the (h, w, c) map
    before the last pooling. recipe: augmentation of views. remote: runs the net in other processes; None:
    in this one. graph: the net, if another process has built it.

    Rows are float32, NaN for quarantined images. Cached rows need no TensorFlow; the net is built at most
    once. A cache folder is complete or absent; concurrent processes compute it once; a killed build resumes.
    Damaged rows are recomputed, with a message. Raises WeightsError for unavailable weights, StoreError when
    the cache cannot be written, and BenchError for an illegal size, a missing engine, an unknown layer and
    features that are not finite.
    """

    pixels: Pixels
    info: BackboneInfo
    weights: str
    preprocess: str
    engine: str
    cache: Path
    progress: Progress = no_progress
    spec: FeatureSpec = PLAIN_FEATURES
    precision: str = FLOAT32
    pooled: bool = True
    recipe: Recipe | None = None
    remote: RemoteExtractor | None = None
    graph: bytes | None = None

    def features(self, view: int | None = None) -> Array:
        """Return the features of `spec`: `rows`, or their mean with those of the mirror images.

        The cache holds both files, not the mean.
        """
        rows = self.rows(view)
        if not self.spec.mirror:
            return rows
        return mirror_mean(np.asarray(rows), np.asarray(self.rows(view, mirrored=True)))

    def views(self, count: int) -> tuple[Array, ...]:
        """Return the features of `count` augmented views of every image, (n, d) each.

        Each view has its own cache folder, so that a larger count reuses those present.
        """
        return tuple(self.features(number) for number in range(count))

    def rows(self, view: int | None = None, mirrored: bool = False) -> CheckedRows:
        """Return (n, d) features or (n, h, w, c) maps of the images, or of one augmented view.

        view: its number from 0. mirrored: whether images are flipped left to right.
        """
        # A net is large: it must not live as long as the rows.
        fresh = replace(self)

        def again(bad: RowFile, why: str) -> RowFile:
            return replace(fresh)._ensure(view, mirrored, bad, why)

        return CheckedRows(self._ensure(view, mirrored), again)

    def _ensure(self, view: int | None, mirrored: bool, bad: RowFile | None = None, why: str = "") -> RowFile:
        key = self.key(view, mirrored)
        digest = hashlib.sha256(canonical_json(key).encode("ascii")).hexdigest()
        path = self.cache / "features" / f"{self.info.name}-{digest[:16]}"
        folder = RowFolder(path, "features cache", META_FILE, key)
        what = "waiting for another process that computes the same features"
        opened = folder.ensure(
            lambda: self._build(folder, view, mirrored),
            lambda: self.progress(0, len(self.pixels), what),
            bad,
            why,
        )
        return opened.file

    def key(self, view: int | None, mirrored: bool = False) -> dict[str, Any]:
        """Return the cache key: everything that determines the rows, without values at their defaults."""
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
            from bench.backbones.handcrafted import HANDCRAFTED_VERSION

            key |= {"preprocess": "none", "engine": "handcrafted", "handcrafted": HANDCRAFTED_VERSION}
        elif self.engine == "tensorflow":
            # OpenVINO's device and precision are always the same.
            key |= {"precision": self.precision} if self.precision != FLOAT32 else {}
            key |= {"device": "gpu"} if (self.remote.gpu if self.remote else gpus()) else {}
        if not self.spec.plain:
            key |= {"layers": list(self.spec.layers), "pool": self.spec.pool}
            key |= {"unit": True} if self.spec.unit else {}
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
        if self.graph is not None:
            from bench.backbones.engines import load_graph

            return load_graph(self.graph, self.info.name)
        return self._extractor().load()

    @cached_property
    def _graph(self) -> bytes | None:
        return self._extractor().graph()

    def _extractor(self) -> Extractor:
        self.progress(0, 1, f"building {self.info.name}")
        how = self.info, self.weights, self.preprocess, self.engine, self.pixels.size
        return Extractor(*how, self.spec, self.precision, self.pooled)

    def sent(self) -> Extraction:
        """Return a copy for another process: without images, and with the net's graph if OpenVINO runs it."""
        bare = replace(self, progress=no_progress, remote=None, cache=Path(), graph=self._graph)
        return replace(bare, pixels=None)  # type: ignore[arg-type]

    @cached_property
    def _change(self) -> Change:
        return load_change(self._recipe, self.pixels.size)

    @property
    def _recipe(self) -> Recipe:
        if self.recipe is None:
            raise ValueError("views need a recipe")
        return self.recipe

    def _build(self, folder: RowFolder, view: int | None, mirrored: bool) -> None:
        """Compute into a folder beside the target, resuming a killed build, then rename it."""
        part, began = folder.path.with_name(f"{folder.path.name}.part"), time.monotonic()
        if self.remote is None:
            # Raise before anything is written.
            _ = self._extract
        shape = (len(self.pixels), *self._row)
        shutil.rmtree(folder.path, ignore_errors=True)
        part.mkdir(exist_ok=True)
        folder.check_room(math.prod(shape) * 4)
        rows = Rows(part, shape, folder.key)
        try:
            self._fill(rows, folder.key, view, mirrored)
        except BenchError:
            shutil.rmtree(part, ignore_errors=True)
            raise
        finally:
            rows.close()
        (part / DONE_FILE).unlink(missing_ok=True)
        facts = {"origin": dict(self.pixels.origin), "seconds": time.monotonic() - began}
        folder.seal(part, facts, rows.layout, rows.digests)

    @property
    def _width_known(self) -> bool:
        return self.pooled and self.spec.plain and self.info.features > 0

    @cached_property
    def _row(self) -> tuple[int, ...]:
        """The shape of one row, from the registry or from a batch of black images."""
        from bench.backbones.engines import batch_for

        if self._width_known:
            return (self.info.features,)
        size = self.pixels.size
        some = np.flatnonzero(self.pixels.ok)[:1]
        if self.remote is not None and len(some):
            return next(iter(self.remote.outputs(self, some, None, False)))[1].shape[1:]
        return self._extract(np.zeros((batch_for(size), *size, 3), np.uint8)).shape[1:]

    def outputs(self, positions: np.ndarray, view: int | None, mirrored: bool) -> Batches:
        """Run the backbone here on the images at (m,) positions; yield (positions, rows) in order."""
        from bench.backbones.engines import batch_for, run_engine

        batch = batch_for(self.pixels.size)
        batches: Batches = self.pixels.batches(batch, positions)
        if view is not None:
            batches = ((rows, self._change(images, rows, view)) for rows, images in batches)
        if mirrored:
            batches = ((rows, mirror(images)) for rows, images in batches)
        return run_engine(self._extract, batches, batch)

    def _fill(self, file: Rows, key: Mapping[str, Any], view: int | None, mirrored: bool) -> None:
        name = self.info.name
        good = np.flatnonzero(self.pixels.ok)
        what = f"{'features' if self.pooled else 'feature maps'} of {name}"
        if view is not None:
            what = f"{what}, {self._recipe.name}, view {view + 1}"
        if mirrored:
            what = f"{what}, mirrored"
        done, saved = file.done, time.monotonic()
        self.progress(done, len(good), what)
        if self.remote is None:
            outputs: Batches = self.outputs(good[done:], view, mirrored)
        else:
            outputs = self.remote.outputs(self, good[done:], view, mirrored)
        for positions, features in outputs:
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
