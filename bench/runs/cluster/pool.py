"""Interface to the processes of a cluster, which Ray implements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Ref = Any
"""Handle of a value in the cluster, present or future."""


class TaskLost(Exception):
    """A task crashed its process, or lost its machine, on every try. The text is the reason."""


class Pool(Protocol):
    """Processes that run functions of `bench.runs.cluster.node`."""

    @property
    def size(self) -> int:
        """Number of concurrent tasks, if known."""
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
        """Store a value in the cluster for several tasks."""
        ...

    def submit(self, function: Callable[..., Any], *args: Any) -> Ref:
        """Submit function(node, *args); handles among args become their values."""
        ...

    def first(self, refs: Sequence[Ref]) -> Ref:
        """Wait for the first of these tasks to end, and return it."""
        ...

    def result(self, ref: Ref) -> Any:
        """Wait for a task and return its value.

        Raises the BenchError of the function, BenchError for a failure of the cluster, and TaskLost.
        """
        ...
