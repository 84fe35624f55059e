"""How fast features come, beside Keras's own way and beside the net alone.

    BENCH_DATA=... KERAS_HOME=... python -m benchmarks.features [--rounds 3] [--images 1500]

Each round times, interleaved and with nothing cached:
  decode     decoding every JPEG into the pixel cache
  cache      from the pixel cache to stored features, TensorFlow (and OpenVINO where it is installed)
  alone      the same engine on one batch that lies in memory, for as many images
  pipeline   keras.Model.predict over a tuned tf.data pipeline (parallel decode_jpeg and resize, prefetch)
Building nets and tracing graphs is left out on both sides. Ratios are the median of the rounds.
Without BENCH_DATA the images are drawn noise in JPEG files; without weights in KERAS_HOME they are random.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones.determinism import make_deterministic
from bench.backbones.engines import Extract, batch_for, load_engine, run_engine
from bench.backbones.feature_cache import Extraction
from bench.backbones.info import BackboneInfo
from bench.backbones.registry import build_backbone, get_backbone, preprocess
from bench.backbones.weights import imagenet_file
from bench.data.examples import Examples
from bench.data.files import DataFolder
from bench.data.pixels import Pixels, ensure_pixels
from bench.data.reader import FolderImages

SIZE = (224, 224)
PIPELINE_BATCHES = (16, 32, 64)


@dataclass
class Round:
    """Images per second of one backbone in one round."""

    decode: float = 0.0
    cache: dict[str, float] = field(default_factory=dict)
    alone: dict[str, float] = field(default_factory=dict)
    pipeline: float = 0.0

    @property
    def whole(self) -> float:
        """Decoding included, with TensorFlow."""
        return 1.0 / (1.0 / self.decode + 1.0 / self.cache["tensorflow"])


def draw_images(folder: Path, count: int) -> list[Path]:
    """Write JPEG files of smooth noise, about as large as product photos."""
    from PIL import Image

    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
        path = folder / f"{number}.jpg"
        Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC).save(path, quality=90)
        paths.append(path)
    return paths


def find_images(count: int, scratch: Path) -> list[Path]:
    """Return real images of BENCH_DATA, or drawn ones."""
    root = os.environ.get("BENCH_DATA")
    if root and (folder := Path(root) / "fashion" / "images").is_dir():
        return sorted(folder.glob("*.jpg"))[:count]
    return draw_images(scratch, count)


def examples_of(paths: list[Path]) -> Examples:
    """Return the files as a source does."""
    import hashlib

    names = tuple(path.name for path in paths)
    hashes = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    images = FolderImages(DataFolder(paths[0].parent), names, hashes)
    fingerprint = hashlib.sha256("".join(hashes).encode("ascii")).hexdigest()
    return Examples(names, {}, images, fingerprint, "benchmark")


def rate(count: int, call: Callable[[], Any]) -> float:
    """Return images per second."""
    began = time.perf_counter()
    call()
    return count / (time.perf_counter() - began)


def from_cache(pixels: Pixels, info: BackboneInfo, weights: str, engine: str, extract: Extract) -> float:
    """Compute and store the features of all images with an engine that is built already."""

    class Built(Extraction):
        _extract = staticmethod(extract)

    with tempfile.TemporaryDirectory() as cache:
        how = pixels, info, weights, "backbone", engine, Path(cache)
        return rate(len(pixels), lambda: Built(*how).rows())


def on_memory(count: int, extract: Extract, batch: np.ndarray) -> float:
    """Run an engine on one batch again and again."""
    starts = range(0, count, len(batch))
    many = ((np.arange(start, min(start + len(batch), count)), batch) for start in starts)
    return rate(count, lambda: [None for _ in run_engine(extract, many, len(batch))])


def pipeline(paths: list[Path], info: BackboneInfo, batch: int) -> Any:
    """Return the tf.data pipeline that a careful user writes."""
    import tensorflow as tf

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return preprocess(info)(tf.image.resize(image, SIZE))

    data = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    return data.map(load, tf.data.AUTOTUNE).batch(batch).prefetch(tf.data.AUTOTUNE)


def measure(name: str, paths: list[Path], rounds: int) -> list[Round]:
    """Time one backbone."""
    info = get_backbone(name)
    file = imagenet_file(info, SIZE)
    weights = "imagenet" if file is not None and file.is_file() else "random"
    net = build_backbone(info, SIZE, weights)
    engines = ("tensorflow", "openvino") if find_spec("openvino") else ("tensorflow",)
    extract = {engine: load_engine(engine, net, preprocess(info), SIZE) for engine in engines}
    examples = examples_of(paths)
    few = paths[: 4 * max(PIPELINE_BATCHES)]
    for batch in PIPELINE_BATCHES:
        net.predict(pipeline(few, info, batch), verbose=0)
    best = max(
        PIPELINE_BATCHES,
        key=lambda batch: rate(len(few), lambda: net.predict(pipeline(few, info, batch), verbose=0)),
    )
    table = []
    for number in range(rounds):
        row = Round()
        with tempfile.TemporaryDirectory() as cache:
            row.decode = rate(len(paths), partial(ensure_pixels, examples, SIZE, "squash", Path(cache)))
            row.pipeline = rate(len(paths), lambda: net.predict(pipeline(paths, info, best), verbose=0))
            pixels = ensure_pixels(examples, SIZE, "squash", Path(cache))
            sample = pixels.read(np.arange(batch_for(SIZE)))
            for engine in engines:
                row.alone[engine] = on_memory(len(paths), extract[engine], sample)
                row.cache[engine] = from_cache(pixels, info, weights, engine, extract[engine])
                after = on_memory(len(paths), extract[engine], sample)
                row.alone[engine] = 2.0 / (1.0 / row.alone[engine] + 1.0 / after)
        table.append(row)
        print(f"{name} round {number + 1}: {_line(row)}", flush=True)
    print(f"{name}: median of {rounds}; weights {weights}; predict in batches of {best}")
    _ratio("with decoding / predict over tf.data", [row.whole / row.pipeline for row in table])
    for engine in engines:
        _ratio(f"cache / net alone, {engine}", [row.cache[engine] / row.alone[engine] for row in table])
    if "openvino" in engines:
        _ratio("openvino / tensorflow", [row.cache["openvino"] / row.cache["tensorflow"] for row in table])
    return table


def _line(row: Round) -> str:
    parts = [f"decode {row.decode:.0f}", f"predict over tf.data {row.pipeline:.0f}", f"whole {row.whole:.0f}"]
    parts += [
        f"{engine}: cache {row.cache[engine]:.0f}, alone {row.alone[engine]:.0f}" for engine in row.cache
    ]
    return "; ".join(parts) + " images/s"


def _ratio(what: str, values: list[float]) -> None:
    print(
        f"  {what:40} {statistics.median(values):5.2f}x  ({min(values):.2f} to {max(values):.2f})", flush=True
    )


def main() -> None:
    """Print the rates of every round and the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--backbone", default="mobilenet_025,mobilenetv2_035")
    asked = parser.parse_args()
    make_deterministic()
    with tempfile.TemporaryDirectory() as scratch:
        paths = find_images(asked.images, Path(scratch))
        for name in asked.backbone.split(","):
            measure(name, paths, asked.rounds)


if __name__ == "__main__":
    main()
