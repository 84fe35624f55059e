"""Heads on a memory-mapped table of features larger than what they may hold: memory, and time for each row.

    python -m benchmarks.large_table [--rows 1000000] [--width 256] [--epochs 2]

Four heads (two losses x two weightings, 20 classes, batches of 128) train on all rows of a table on disk and
on 10,000 rows of it for a tenth as many steps. Memory is what the process holds of its own (RssAnon of
/proc/self/status), at its highest, without the pages of the map, which the system may drop at any time.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from bench.core.environment import quiet
from bench.training.fits import Fit, TrainSetting
from bench.training.linear_head import LossSpec

CLASSES, FEW = 20, 10_000
SETTING = TrainSetting(batch_size=128, lr=1e-3, patience=0)


def held() -> float:
    """Return GiB of memory that are the process's own."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 2**20


def fits(rows: int, epochs: int) -> list[Fit]:
    """Return the heads to train on the first so many rows."""
    weights = np.linspace(0.5, 2.0, CLASSES).astype(np.float32)
    losses = LossSpec(), LossSpec("focal", {"gamma": 2.0, "alpha": 1.0})
    return [
        Fit(np.arange(rows), np.arange(1000), loss, own, 0, epochs)
        for loss in losses
        for own in (None, weights)
    ]


def main() -> None:
    """Make the table, train on part and whole, print time and memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    asked = parser.parse_args()
    quiet()
    from bench.training.trainer import train_heads

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        table = np.lib.format.open_memmap(path, "w+", np.float32, (asked.rows, asked.width))
        for start in range(0, asked.rows, 50_000):
            table[start : start + 50_000] = rng.random(table[start : start + 50_000].shape, np.float32)
        table.flush()
        del table
        features = np.load(path, mmap_mode="r")
        y = rng.integers(0, CLASSES, asked.rows).astype(np.int32)
        train_heads(features, y, CLASSES, fits(FEW, 1), SETTING)
        highest, done = [held()], threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                highest[0] = max(highest[0], held())

        watcher = threading.Thread(target=watch)
        watcher.start()
        few_epochs = max(1, asked.epochs * asked.rows // FEW // 10)
        each = {}
        for rows, epochs in ((FEW, few_epochs), (asked.rows, asked.epochs)):
            began = time.process_time()
            train_heads(features, y, CLASSES, fits(rows, epochs), SETTING)
            each[rows] = (time.process_time() - began) / (rows * epochs) * 1e6
            print(f"{rows:,} rows x {epochs} epochs: {each[rows]:.1f} us of processor for a row", flush=True)
        done.set()
        watcher.join()
    print(f"ratio {each[asked.rows] / each[FEW]:.2f}; at most {highest[0]:.2f} GiB of its own")


if __name__ == "__main__":
    main()
