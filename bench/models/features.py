"""The features cache: every image through a frozen backbone once, as rows of one file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.pixels import Pixels
from bench.errors import BenchError, StoreError
from bench.models.backbone_info import BackboneInfo
from bench.models.backbones import preprocess as preprocessing
from bench.models.backbones import preprocess_mode, weights_id
from bench.spec import canonical_json

FEATURES_VERSION = 1
"""Bumped when the same image would no longer give the same features."""

Progress = Callable[[int, int, str], None]

ROWS_FILE = "features.npy"
META_FILE = "features.json"
DONE_FILE = "done.json"
SAVE_SECONDS = 15.0
"""How often an unfinished build writes down how far it has come."""


def _in_silence(done: int, total: int, what: str) -> None:
    """Tell nobody."""


def ensure_features(
    pixels: Pixels,
    info: BackboneInfo,
    weights: str,
    preprocess: str,
    engine: str,
    cache: Path,
    progress: Progress = _in_silence,
) -> np.ndarray:
    """Return the (n, d) float32 features of all images, mapped from the cache, computing them if need be.

    Rows of quarantined images are NaN. weights: `imagenet`, `random` (one fixed draw) or a path. preprocess:
    `backbone` or a mode of PREPROCESS. engine: `tensorflow` or `openvino`.
    What the cache has costs no import of TensorFlow. Its folder is there whole or not at all; two processes
    that want the same one compute it once; a killed one is continued where it stopped.
    Raises WeightsError for weights that cannot be had, StoreError when the cache cannot be written, and
    BenchError for an illegal size, a missing engine and features that are not finite.
    """
    key = {
        "version": FEATURES_VERSION,
        "pixels": pixels.key,
        "backbone": info.name,
        "weights": weights_id(info, weights),
        "preprocess": preprocess_mode(info, preprocess),
        "size": list(pixels.size),
        "engine": engine,
    }
    digest = hashlib.sha256(canonical_json(key).encode("ascii")).hexdigest()
    folder = cache / "features" / f"{info.name}-{digest[:16]}"
    shape = (len(pixels), info.features)
    features = _open(folder, shape)
    if features is not None:
        return features
    with _building(folder, len(pixels), progress):
        features = _open(folder, shape)
        if features is None:
            extract = _engine(info, weights, preprocess, engine, pixels.size, progress)
            _build(extract, pixels, info, key, folder, progress)
            features = _open(folder, shape)
    if features is None:
        raise StoreError(
            f"features cache {folder}: cannot be read back; check the disk or choose another --cache DIR"
        )
    return features


def _engine(
    info: BackboneInfo, weights: str, preprocess: str, engine: str, size: tuple[int, int], progress: Progress
) -> Callable[[np.ndarray], np.ndarray]:
    from bench import env
    from bench.models.backbones import build_backbone
    from bench.models.engines import load_engine

    progress(0, 1, f"building {info.name}")
    env.make_deterministic()
    net = build_backbone(info, size, weights)
    return load_engine(engine, net, preprocessing(info, preprocess), size)


def _open(folder: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Return what the folder holds, or None when it is not there or not whole."""
    try:
        rows: np.ndarray = np.load(folder / ROWS_FILE, mmap_mode="r", allow_pickle=False)
        whole = (folder / META_FILE).is_file()
    except (OSError, ValueError, EOFError):
        return None
    return rows if whole and rows.shape == shape and rows.dtype == np.float32 else None


@contextmanager
def _building(folder: Path, total: int, progress: Progress) -> Iterator[None]:
    """Hold the right to build the folder; every way in which the disk can fail becomes one line."""
    from filelock import FileLock, Timeout

    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress(0, total, "waiting for another process that computes the same features")
            lock.acquire()
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


def _build(
    extract: Callable[[np.ndarray], np.ndarray],
    pixels: Pixels,
    info: BackboneInfo,
    key: dict[str, Any],
    folder: Path,
    progress: Progress,
) -> None:
    """Compute into a folder beside the target, going on where a killed build stopped, then rename it."""
    part = folder.with_name(f"{folder.name}.part")
    began = time.monotonic()
    with _writing(folder):
        shutil.rmtree(folder, ignore_errors=True)
        part.mkdir(exist_ok=True)
        _check_room(part, len(pixels) * info.features * 4)
        rows = _Rows(part, (len(pixels), info.features))
        try:
            _fill(rows, extract, pixels, info, key, progress)
        except BenchError:
            shutil.rmtree(part, ignore_errors=True)
            raise
        finally:
            rows.close()
        meta = {**key, "shape": list(rows.shape), "seconds": time.monotonic() - began}
        _write_json(part / META_FILE, meta)
        (part / DONE_FILE).unlink(missing_ok=True)
        os.rename(part, folder)


def _check_room(part: Path, needed: int) -> None:
    """Raise StoreError before anything is computed when the disk cannot hold the rows anyway."""
    free = shutil.disk_usage(part).free
    if needed > free:
        raise StoreError(
            f"features cache {part.parent}: needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; "
            "make room or choose another --cache DIR"
        )


def _fill(
    rows: _Rows,
    extract: Callable[[np.ndarray], np.ndarray],
    pixels: Pixels,
    info: BackboneInfo,
    key: dict[str, Any],
    progress: Progress,
) -> None:
    from bench.models.engines import batch_for, run_engine

    batch = batch_for(pixels.size)
    good = np.flatnonzero(pixels.ok)
    what, done = f"features of {info.name}", rows.done
    saved = time.monotonic()
    progress(done, len(good), what)
    for positions, features in run_engine(extract, pixels.batches(batch, good[done:]), batch):
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            raise BenchError(
                f"{info.name} gives image {positions[~finite][0]} (counted from 0) features that are not "
                f"finite (weights {key['weights'][:15]}, preprocess {key['preprocess']}): "
                "use other weights or preprocessing"
            )
        rows.write(positions, features)
        done += len(positions)
        progress(done, len(good), what)
        if time.monotonic() - saved > SAVE_SECONDS:
            rows.save(done)
            saved = time.monotonic()
    rows.finish(np.flatnonzero(~pixels.ok))


class _Rows:
    """A .npy file of float32 rows being written in place; `done` images were written by an earlier build.

    Written, not mapped: the memory stays that of one batch.
    """

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self.folder, self.shape = folder, shape
        header = BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        self.start = header.tell()
        self.step = shape[1] * 4
        self.done = self._saved()
        self.handle = os.open(folder / ROWS_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self.handle, self.start + shape[0] * self.step)
        self._put(header.getvalue(), 0)

    def write(self, positions: np.ndarray, features: np.ndarray) -> None:
        """Put the rows of ascending positions where they belong."""
        edges = [0, *(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
        for first, last in pairwise(edges):
            run = np.ascontiguousarray(features[first:last], "<f4")
            self._put(run.tobytes(), self.start + int(positions[first]) * self.step)

    def save(self, done: int) -> None:
        """Write down that so many images are on the disk."""
        os.fsync(self.handle)
        _write_json(self.folder / DONE_FILE, {"done": done})

    def finish(self, missing: np.ndarray) -> None:
        """Mark the rows that have no image, and make sure that everything is on the disk."""
        for position in missing:
            self.write(np.array([position]), np.full((1, self.shape[1]), np.nan, np.float32))
        os.fsync(self.handle)

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)

    def _saved(self) -> int:
        try:
            if (self.folder / ROWS_FILE).stat().st_size != self.start + self.shape[0] * self.step:
                return 0
            return int(json.loads((self.folder / DONE_FILE).read_text(encoding="utf-8"))["done"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _put(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            count = os.pwrite(self.handle, view, offset)
            view, offset = view[count:], offset + count


def _write_json(path: Path, value: dict[str, Any]) -> None:
    """Write strict JSON whole or not at all."""
    fresh = path.with_name(f".{path.name}")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
