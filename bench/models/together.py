"""Lanes that train side by side in one process: every core has one part of them at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from bench.models.schedule import Watch
from bench.progress import Progress

Part = TypeVar("Part")


def core_count() -> int:
    """Return how many threads may train."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_together(
    parts: Sequence[Part],
    train: Callable[[Part], Iterable[None]],
    watches: Collection[Watch],
    progress: Progress | None,
    what: str,
) -> None:
    """Train every part, the first ones first, each of its products on one thread.

    train: yields after every epoch of a part. watches: of all lanes; progress is told how many of their
    epochs are behind them. What one part raises is raised, once the others have ended their epochs.
    """
    telling, halt = Lock(), Event()

    def tell() -> None:
        with telling:
            if progress and not halt.is_set():
                progress(sum(watch.done for watch in watches), sum(watch.epochs for watch in watches), what)

    def run(part: Part) -> None:
        with np.errstate(all="ignore"):
            for _ in train(part):
                if halt.is_set():
                    return
                tell()

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(core_count()) as pool:
        futures = [pool.submit(run, part) for part in parts]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        finally:
            halt.set()
            pool.shutdown(cancel_futures=True)
