"""A large file of features: how long until it is planned, and until its first head is trained.

    python -m benchmarks.feature_file [--images 100000] [--width 768] [--profile 30]

Features of 20 classes, sizes falling as 1/rank, in one .npz file. 68% of the images train, 12% validate,
the rest test; the head is `none` with the default protocol: weight decay chosen on validation, then a
second training on both. Times are of the processor, all threads together, and of the clock. Images are
not looked at here: a run looks at those of new data once, whatever the backbone, to find copies.
--profile: lines of a profile of the first training.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.core.environment import quiet

CLASSES = 20


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print the seconds of the block."""
    clock, processor = time.perf_counter(), time.process_time()
    yield
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    print(f"{what}: {processor:.2f} s of processor, {clock:.2f} s", flush=True)


def main() -> None:
    """Write the file, then read it, standardise its rows and train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--profile", type=int, default=0)
    asked = parser.parse_args()
    quiet()
    from bench.backbones.external import external_backbone
    from bench.backbones.inputs import PrecomputedFeatures
    from bench.backbones.vectors import features_for, rows_for
    from bench.core.cell import Cell, DataId
    from bench.core.progress import no_progress
    from bench.core.protocol import REGIME_DEFAULTS, resolve
    from bench.data.splits import StageSplit
    from bench.methods.grammar import parse_method
    from bench.runs.trainers import HeadTrainer

    rng = np.random.default_rng(0)
    shares = 1.0 / np.arange(1, CLASSES + 1)
    truth = rng.choice(CLASSES, asked.images, p=shares / shares.sum()).astype(np.int32)
    rows = 0.1 * rng.normal(size=(CLASSES, asked.width)).astype(np.float32)[truth]
    rows += rng.standard_normal(rows.shape, np.float32)
    items = [f"{number:08d}" for number in range(asked.images)]
    train, val, test = np.split(
        rng.permutation(asked.images), [int(0.68 * asked.images), int(0.8 * asked.images)]
    )
    for part in (train, val, test):
        part.sort()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npz"
        np.savez(path, ids=np.array(items), features=rows)
        with timed("plan: identity"):
            info = external_backbone(str(path))
        with timed("plan: read, check, match"):
            rows_for(info, items)
        with timed("worker: features"):
            features = features_for(info, items)
    names = tuple(f"class {number}" for number in range(CLASSES))
    split = StageSplit(names, truth, train, val, test, unseen=0, leaked=None)
    setting = dict(resolve(REGIME_DEFAULTS["frozen"]))
    with timed("worker: TensorFlow"):
        import tensorflow  # noqa: F401
    with timed("worker: standardise"):
        trainer = HeadTrainer(PrecomputedFeatures(features), split, setting, no_progress)
    profile = cProfile.Profile()
    protocol, data = tuple(sorted(setting.items())), DataId("made", "0" * 64)
    own = "made", 1, "multiclass", "all", "frozen", "vectors", "none", parse_method("none"), 0, protocol
    cell = Cell(*own, data)
    with timed("worker: first training"):
        if asked.profile:
            profile.enable()
        ((found, _),) = trainer.fit([(cell, split)])
        profile.disable()
    print(f"best epoch {found.best_epoch}")
    with timed("worker: second training"):
        ((found, _),) = trainer.fit([(cell, split.refit())], [found])
    with timed("worker: scores of test images"):
        assert found.embed is not None
        scores = found.embed(test)
    print(scores.shape)
    if asked.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(asked.profile)


if __name__ == "__main__":
    main()
