"""What one machine does for every image of a cluster's run, on synthetic rows: memory, bytes and time.

    python -m benchmarks.scale [--counts 10000,100000,1000000] [--width 256]

Each count has a process of its own. `examples`: ids and labels in memory, and their fingerprint. `assemble`:
rows of features that arrive in blocks of 1,024 and are written with their digests, by the ordering machine.
`read`: all of them, checked, 8,192 at a time. `order`: bytes that describe the images to a process of a node.
"""

from __future__ import annotations

import argparse
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.backbones.feature_file import Rows
from bench.data.cache.rows import RowFile
from bench.data.examples import fingerprint

BLOCK, READ = 1024, 8192


def peak() -> float:
    """Return the highest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(count: int, width: int) -> None:
    """Print the row of one count."""
    before, began = peak(), time.process_time()
    items = tuple(f"{number:09d}" for number in range(count))
    labels = tuple(f"class {number % 88}" for number in range(count))
    hashes = tuple(f"{number:064x}" for number in range(count))
    fingerprint("scale", 1, {"id": items, "label": labels}, hashes)
    examples, in_memory = time.process_time() - began, peak() - before
    block = np.random.default_rng(0).standard_normal((BLOCK, width)).astype(np.float32)
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        began = time.process_time()
        rows = Rows(Path(name), (count, width), {})
        for start in range(0, count, BLOCK):
            positions = np.arange(start, min(start + BLOCK, count))
            rows.write(positions, block[: len(positions)])
        rows.finish(np.zeros(0, np.int64))
        rows.close()
        assemble = time.process_time() - began
        began = time.process_time()
        file = RowFile(Path(name, rows.layout.name), rows.layout, rows.digests)
        out = np.empty((READ, width), np.float32)
        for start in range(0, count, READ):
            positions = np.arange(start, min(start + READ, count))
            file.fill(positions, out[: len(positions)])
        read, size = time.process_time() - began, rows.layout.size
    order = len(pickle.dumps((rows.digests, np.ones(count, bool))))
    print(
        f"| {count:,} | {in_memory:.0f} | {1e6 * examples / count:.2f} | {size / 1e6:,.0f} | "
        f"{1e6 * assemble / count:.2f} | {1e6 * read / count:.2f} | {order / 1e6:.2f} | {peak():.0f} |",
        flush=True,
    )


def main() -> None:
    """Print a row for each count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="10000,100000,1000000")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        one(options.one, options.width)
        return
    columns = "examples, MiB | us | features, MB | assemble, us | read, us | request, MB | peak, MiB"
    print(f"| images | {columns} |")
    print("| --- " * 8 + "|", flush=True)
    for count in options.counts.split(","):
        command = [sys.executable, __file__, "--one", count, "--width", str(options.width)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
