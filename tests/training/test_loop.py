"""The epoch loop with runs that train nothing: epochs and their ends, threads, progress, errors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.training.fits import Fit, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.loop import Line, Run, core_count, epochs_of, report_epochs, train_together
from bench.training.schedule import Watch


def watch(epochs: int, patience: int = 0) -> Watch:
    rows = np.arange(3)
    return Watch(Fit(rows, rows, LossSpec(), None, 0, epochs), TrainSetting(3, 0.1, patience=patience), False)


class Losses(Run):
    """Fits with given validation losses by epoch. said: what the loop asked for, in order."""

    def __init__(self, watches: Mapping[int, Watch], losses: Mapping[int, Sequence[float]]) -> None:
        self.watches, self.losses = watches, losses
        self.said: list[Any] = []

    def epoch(self, number: int, going: Mapping[int, Watch]) -> Mapping[int, Line]:
        self.said.append((number, sorted(going)))
        return {index: (1.0, self.losses[index][number - 1], 0.5) for index in going}

    def keep(self, best: Collection[int]) -> None:
        self.said.append(("keep", sorted(best)))

    def save(self) -> None:
        self.said.append("save")

    def close(self) -> None:
        self.said.append("close")


def test_every_fit_trains_until_it_stops_and_its_best_epochs_are_kept() -> None:
    run = Losses({0: watch(4), 7: watch(9, patience=1)}, {0: (3, 2, 4, 1), 7: (5, 6)})
    done = [len(run.said) for _ in epochs_of(run)]
    assert run.said == [
        *((1, [0, 7]), ("keep", [0, 7]), "save"),
        *((2, [0, 7]), ("keep", [0]), "save"),
        *((3, [0]), "save"),
        *((4, [0]), ("keep", [0]), "save"),
        "close",
    ]
    assert done == [3, 6, 8, 11], "an epoch is saved before the next one begins"
    assert [one.best_epoch for one in run.watches.values()] == [4, 1]


def test_a_run_that_goes_on_counts_from_its_history() -> None:
    begun = watch(3)
    begun.record(1.0, 2.0, 0.5)
    run = Losses({0: begun}, {0: (2, 3, 1)})
    list(epochs_of(run))
    assert [one for one in run.said if isinstance(one, tuple) and one[0] != "keep"] == [(2, [0]), (3, [0])]


def test_what_a_run_has_borrowed_is_released_after_an_error_and_where_nothing_is_left_to_do() -> None:
    run = Losses({0: watch(2)}, {0: ()})
    with pytest.raises(IndexError):
        list(epochs_of(run))
    assert run.said[-1] == "close"
    idle = Losses({0: watch(0)}, {})
    assert not list(epochs_of(idle)) and idle.said == ["close"]


def test_progress_counts_the_epochs_of_all_fits() -> None:
    told: list[tuple[int, int, str]] = []
    begun, other = watch(3), watch(4)
    begun.record(1.0, 2.0, 0.5)
    report_epochs(lambda *args: told.append(args), [begun, other], "training")
    report_epochs(None, [begun], "training")
    assert told == [(1, 7, "training")]


def test_the_cores_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 8} if process == 0 else set())
    assert core_count() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    for known, cores in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda known=known: known)
        assert core_count() == cores


def together(
    parts: Sequence[str], train: Callable[[str], Iterator[None]], threads: int | None = 1, **options: Any
) -> list[Any]:
    """Train parts; return what was told of the progress of one fit of as many epochs as parts."""
    told: list[Any] = []
    watches: list[Any] = [SimpleNamespace(done=0, epochs=len(parts))]
    train_together(parts, train, watches, lambda *args: told.append(args), "training", threads, **options)
    return told


def test_parts_are_trained_once_the_first_ones_first_and_every_epoch_is_told() -> None:
    trained: list[str] = []

    def train(part: str) -> Iterator[None]:
        trained.append(part)
        yield
        yield

    told = together("abc", train)
    assert trained == ["a", "b", "c"] and told == [(0, 3, "training")] * 6
    together("", train)
    assert trained == ["a", "b", "c"]


def test_parts_that_share_what_is_compiled_are_trained_one_after_the_other() -> None:
    """While `a1` is trained, the other thread takes `b1` and `c1`, and `a2` only once nothing else waits."""
    order: list[str] = []
    begun, last = threading.Event(), threading.Event()

    def train(part: str) -> Iterator[None]:
        order.append(part)
        if part == "a1":
            begun.set()
            assert last.wait(60)
        else:
            assert begun.wait(60)
            if part == "c1":
                last.set()
        yield

    together(["a1", "a2", "b1", "c1"], train, 2, apart=lambda part: part[0])
    assert order.index("a2") == 3 and order.index("b1") < order.index("c1")


def test_a_part_that_has_ended_holds_up_none_of_its_kind() -> None:
    order: list[str] = []

    def train(part: str) -> Iterator[None]:
        order.append(part)
        yield

    together(["a1", "a2", "b1"], train, 1, apart=lambda part: part[0])
    assert order == ["a1", "a2", "b1"]


def test_as_many_threads_as_cores_unless_it_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.training.loop.core_count", lambda: 3)
    for threads, count in ((None, 3), (2, 2), (1, 1)):
        meeting = threading.Barrier(count)

        def train(part: str, meeting: threading.Barrier = meeting) -> Iterator[None]:
            meeting.wait(60)
            yield

        together("abcdef", train, threads)
    from threadpoolctl import threadpool_info

    def alone(part: str) -> Iterator[None]:
        assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} <= {1}
        yield

    together("a", alone)


def test_an_error_is_raised_and_what_trains_beside_it_ends_with_its_epoch() -> None:
    epochs: list[str] = []
    started = threading.Event()

    def train(part: str) -> Iterator[None]:
        if part == "a":
            assert started.wait(60)
            raise OSError("the pipe is gone")
        started.set()
        while len(epochs) < 10**6:
            epochs.append(part)
            yield

    with pytest.raises(OSError, match="the pipe is gone"):
        together("ab", train, 2)
    assert len(epochs) < 10**6


def test_after_an_error_nothing_else_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread takes `b` as soon as `a` has failed; `c` still waits when the pool is shut down."""
    shut = threading.Event()
    begun: list[str] = []

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            shut.set()
            super().shutdown(wait)

    def train(part: str) -> Iterator[None]:
        begun.append(part)
        if part == "a":
            raise OSError("the pipe is gone")
        assert shut.wait(60)
        yield

    monkeypatch.setattr("bench.training.loop.ThreadPoolExecutor", Pool)
    with pytest.raises(OSError, match="the pipe is gone"):
        together("abc", train)
    assert "c" not in begun


def test_warnings_of_numbers_that_are_not_finite_are_for_the_watches(
    recwarn: pytest.WarningsRecorder,
) -> None:
    def train(part: str) -> Iterator[None]:
        assert np.isnan(np.float32(np.inf) - np.float32(np.inf))
        yield

    together("a", train)
    assert not recwarn.list
