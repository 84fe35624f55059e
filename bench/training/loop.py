"""The epoch loop of heads, nets and embeddings, and several loops in parallel."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from bench.core.progress import Progress
from bench.training.schedule import Watch

Part = TypeVar("Part")

Line = tuple[float, float, float]
"""Training loss, validation loss and score of an epoch; the last two are NaN without validation rows."""


class Run(ABC):
    """Fits that train together, and their watches by index: a group of heads, one net, or one embedding."""

    watches: Mapping[int, Watch]

    @abstractmethod
    def epoch(self, number: int, going: Mapping[int, Watch]) -> Mapping[int, Line]:
        """Train an epoch, counted from 1, with the rates and decays of the watches that have not stopped."""

    @abstractmethod
    def keep(self, best: Collection[int]) -> None:
        """Keep a copy of the current weights of these fits, the best so far."""

    def save(self) -> None:  # noqa: B027 - few runs have a checkpoint
        """Write a checkpoint, if the run has a file for it."""

    def close(self) -> None:  # noqa: B027 - or borrow anything
        """Release what the run has borrowed."""


def epochs_of(run: Run) -> Iterator[None]:
    """Train until every fit has stopped; yield after each epoch."""
    try:
        while going := {index: watch for index, watch in run.watches.items() if not watch.stopped}:
            number = 1 + max(len(watch.history) for watch in going.values())
            lines = run.epoch(number, going)
            if best := [index for index, watch in going.items() if watch.record(*lines[index])]:
                run.keep(best)
            run.save()
            yield
    finally:
        run.close()


def report_epochs(progress: Progress | None, watches: Collection[Watch], what: str) -> None:
    """Call progress with the epochs done, the epochs at most, and `what`."""
    if progress:
        progress(sum(watch.done for watch in watches), sum(watch.epochs for watch in watches), what)


def core_count() -> int:
    """Return the number of cores of this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_together(
    parts: Sequence[Part],
    train: Callable[[Part], Iterable[None]],
    watches: Collection[Watch],
    progress: Progress | None,
    what: str,
    threads: int | None = None,
    apart: Callable[[Part], Hashable] = id,
) -> None:
    """Train every part, the first ones first, each on one thread.

    train: yields after every epoch of a part. watches: of all fits, whose epochs progress counts. apart: key
    of parts that had better train one after the other, since the next uses what the last has compiled. An
    error in one part is raised once the others have ended their epochs.
    """
    lock, halt = Lock(), Event()
    waiting, busy = list(parts), list[Hashable]()

    def run() -> None:
        with lock:
            part = next((one for one in waiting if apart(one) not in busy), waiting[0])
            waiting.remove(part)
            busy.append(apart(part))
        with np.errstate(all="ignore"):
            for _ in train(part):
                with lock:
                    if halt.is_set():
                        return
                    report_epochs(progress, watches, what)
        with lock:
            busy.remove(apart(part))

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads or core_count()) as pool:
        futures = [pool.submit(run) for _ in parts]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        finally:
            halt.set()
            pool.shutdown(cancel_futures=True)
