"""Feature extraction on a cluster, in blocks of images."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.backbones.engines import batch_for
from bench.backbones.feature_cache import Extraction
from bench.core.errors import BenchError
from bench.runs.cluster.node import MISSING, FeaturePass, Setup, features_of, remote_pixels
from bench.runs.cluster.pool import Pool, Ref, TaskLost

BATCHES = 8
"""Batches per block: a few seconds on one core, and at most some 20 MB of images."""

AHEAD = 3
"""Blocks in flight per process: one running, the others queued."""


class Blocks:
    """Feature extraction by a pool of processes; a `bench.backbones.feature_cache.RemoteExtractor`.

    Processes read the images from the cache by path. Once one of them cannot, images are sent.
    """

    def __init__(self, pool: Pool, setup: Setup) -> None:
        self.pool, self.setup, self.sending = pool, setup, False

    @property
    def gpu(self) -> bool:
        """Whether passes run on GPUs."""
        return self.pool.gpu

    def outputs(
        self, extraction: Extraction, positions: np.ndarray, view: int | None, mirrored: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (positions, rows), block by block in the order of the positions.

        Blocks are whole batches: the same batches as on one machine. Raises BenchError for a block that
        crashes every process.
        """
        key, pixels = extraction.key(view, mirrored), extraction.pixels
        work = self.pool.put(
            FeaturePass(uuid.uuid4().hex, self.setup, extraction.sent(), remote_pixels(pixels))
        )

        def submit(rows: np.ndarray) -> Ref:
            images = self.pool.put(pixels.read(rows)) if self.sending else None
            return self.pool.submit(features_of, work, key, rows, view, mirrored, images)

        step = batch_for(pixels.size) * BATCHES
        left = deque(positions[start : start + step] for start in range(0, len(positions), step))
        running: deque[tuple[np.ndarray, Ref]] = deque()
        while left or running:
            while left and len(running) < AHEAD * self.pool.size:
                rows = left.popleft()
                running.append((rows, submit(rows)))
            rows, ref = running.popleft()
            found = self._result(ref, rows)
            if isinstance(found, str) and found == MISSING:
                self.sending = True
                running.appendleft((rows, submit(rows)))
            else:
                yield rows, found

    def _result(self, ref: Ref, rows: np.ndarray) -> Any:
        try:
            return self.pool.result(ref)
        except TaskLost as why:
            raise BenchError(
                f"images {rows[0]} to {rows[-1]} (counted from 0) crash every process that reads them: {why}"
            ) from None
