"""Interface to the processes of a cluster, which Ray implements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Ref = Any
"""Handle of a value that is in the cluster, or that a task will put there."""


class TaskLost(Exception):
    """A task has killed its process, or lost its machine, every time it was tried. The text says why."""


class Pool(Protocol):
    """Processes that run functions of `bench.runs.cluster.node`.

    size: number of tasks at a time, as far as known. gpu: whether a task has a GPU. name: this machine's.
    """

    @property
    def size(self) -> int:
        """Number of tasks that run at a time, as far as known."""
        ...

    @property
    def gpu(self) -> bool:
        """Whether a task has a GPU."""
        ...

    @property
    def name(self) -> str:
        """Name of this machine."""
        ...

    def put(self, value: Any) -> Ref:
        """Send a value once for several tasks."""
        ...

    def submit(self, function: Callable[..., Any], *args: Any) -> Ref:
        """Start function(name of the machine, *args) somewhere; handles among args become their values."""
        ...

    def first(self, refs: Sequence[Ref]) -> Ref:
        """Wait until one of these tasks has ended, and return it."""
        ...

    def result(self, ref: Ref) -> Any:
        """Wait for a task and return its value.

        Raises the BenchError of the function, BenchError for what stops the cluster, and TaskLost.
        """
        ...
