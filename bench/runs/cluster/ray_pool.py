"""Pool of processes on Ray: connection, tasks, one-line errors."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.core.environment import THREADS
from bench.core.errors import BenchError, in_one_line
from bench.core.processor import usable_cores
from bench.runs.cluster.node import Node
from bench.runs.cluster.pool import Ref, TaskLost
from bench.runs.cluster.setup import check_versions, versions
from bench.runs.cluster_address import CLIENT, LOCAL, Cluster, check_cluster

RETRIES = 20
"""Retries of a task whose process or machine died."""

_MAX_FOLDER = 43
"""Maximum length of the folder of Ray's sockets, whose paths may have 107 characters."""

_POLL_SECONDS = 20.0
"""Interval between checks that a suitable node is alive."""


@contextmanager
def ray_pool(cluster: Cluster, emit: Callable[..., None]) -> Iterator[RayPool]:
    """Start Ray on this machine, or connect to a cluster, and check its nodes.

    A local Ray listens on 127.0.0.1 alone and ends with this process. Raises BenchError if there is no
    cluster, no node with the resources of a task, or one with different versions.
    """
    check_cluster(cluster)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if cluster.address == LOCAL or _is_loopback(cluster.address):
        # Read when Ray is imported; it restricts this machine's address to 127.0.0.1.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if cluster.address == LOCAL:
        # A token of this run, in no file, keeps out other users of this machine.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        # Ray's default niceness slows workers down; a run without Ray has none.
        os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    # Ray's default, /tmp/ray, is shared by every Ray on this machine.
    folder = Path(tempfile.mkdtemp(prefix="r"))
    if len(str(folder)) > _MAX_FOLDER:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="bench-ray-", dir="/tmp"))
    # As many threads as here: some sums depend on the number.
    threads = {THREADS: str(os.cpu_count() or 1)}
    threads["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(usable_cores()))
    options: dict[str, Any] = {"address": cluster.address}
    if cluster.address == LOCAL:
        options = {"address": "local", "num_cpus": usable_cores(), "include_dashboard": False}
        options |= {"_node_ip_address": "127.0.0.1", "_temp_dir": str(folder)}
    try:
        try:
            ray.init(
                **options, runtime_env={"env_vars": threads}, log_to_driver=False, logging_level=logging.ERROR
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise BenchError(
                f"--on {cluster.address}: {in_one_line(error)[:300]} (a cluster with a token needs "
                "RAY_AUTH_MODE=token and the same token here)"
            ) from None
        pool = RayPool(ray, cluster, emit)
        pool.check()
        yield pool
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _is_loopback(address: str) -> bool:
    """Return whether an address is on the loopback interface.

    Raises BenchError if nothing listens there; Ray would retry for minutes.
    """
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as found:
            return str(found.getpeername()[0]).startswith("127.")
    except (OSError, OverflowError) as error:
        raise BenchError(
            f"--on {address}: no Ray cluster answers there ({getattr(error, 'strerror', None) or error}); "
            "start one with ray start --head"
        ) from None


class RayPool:
    """Tasks of Ray; a `bench.runs.cluster.pool.Pool`."""

    def __init__(self, ray: Any, cluster: Cluster, emit: Callable[..., None]) -> None:
        self.ray, self.cluster, self.emit = ray, cluster, emit
        reserved = {"num_cpus": cluster.cpus, "num_gpus": cluster.gpus, "max_retries": RETRIES}
        self.task = ray.remote(**reserved)(_on_node)
        self.waited = False

    @property
    def gpu(self) -> bool:
        """Whether a task has a GPU."""
        return self.cluster.gpus > 0

    @property
    def name(self) -> str:
        """Name of this machine."""
        return (
            f"driver of {self.cluster.address}" if self.cluster.address.startswith(CLIENT) else _node_name()
        )

    @property
    def size(self) -> int:
        """Number of concurrent tasks."""
        return max(1, sum(self._room(node) for node in self._alive()))

    def check(self) -> None:
        """Raise BenchError if no node can run a task, or one has different versions."""
        able = [node for node in self._alive() if self._room(node)]
        if not able:
            raise BenchError(f"--on {self.cluster.address}: no node has {self._asked()}")
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        refs = []
        for node in able:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)
            probe = self.task.options(num_cpus=0, num_gpus=0, scheduling_strategy=there)
            refs.append(probe.remote(_check, versions()))
        for ref in refs:
            self.result(ref)
        kinds = ", ".join(sorted({str(self.result(ref)) for ref in refs}))
        if "," in kinds:
            self.emit(
                "notice", text=f"nodes differ in their processors ({kinds}): so do last digits of results"
            )

    def put(self, value: Any) -> Ref:
        """Store a value in the cluster for several tasks."""
        return self._call(self.ray.put, value)

    def submit(self, function: Callable[..., Any], *args: Any) -> Ref:
        """Submit a function."""
        return self._call(self.task.remote, function, *args)

    def first(self, refs: Sequence[Ref]) -> Ref:
        """Wait for the first of these tasks to end, and return it."""
        while True:
            done, _ = self._call(self.ray.wait, list(refs), num_returns=1, timeout=_POLL_SECONDS)
            if done:
                self.waited = False
                return done[0]
            if not self.waited and not any(self._room(node) for node in self._alive()):
                self.waited = True
                self.emit("notice", text=f"no node with {self._asked()} is alive; waiting for one")

    def result(self, ref: Ref) -> Any:
        """Wait for a task and return its value."""
        value, error = self._call(self.ray.get, self.first([ref]))
        if error is not None:
            raise error
        return value

    def _call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function of Ray and translate its errors."""
        from ray import exceptions

        try:
            return function(*args, **options)
        except (exceptions.ObjectStoreFullError, exceptions.OutOfDiskError):
            raise BenchError(
                "Ray's object store is full: give its nodes more (ray start --object-store-memory) or a "
                "cache that all of them reach (--cache DIR)"
            ) from None
        except exceptions.RayTaskError as error:
            raise BenchError(f"a node cannot run its task: {in_one_line(error.cause)[:300]}") from None
        except (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
        ) as error:
            raise TaskLost(f"{type(error).__name__} on {RETRIES + 1} tries") from None
        except (exceptions.RayError, ConnectionError) as error:
            raise BenchError(
                f"--on {self.cluster.address}: the connection to Ray is lost ({in_one_line(error)[:200]}); "
                "give the same command again: what is stored stays"
            ) from None

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self._call(self.ray.nodes) if node["Alive"]]

    def _room(self, node: dict[str, Any]) -> int:
        """Return the number of concurrent tasks of a node."""
        has = node["Resources"]
        room = has.get("CPU", 0) / self.cluster.cpus
        return int(min(room, has.get("GPU", 0) / self.cluster.gpus) if self.cluster.gpus else room)

    def _asked(self) -> str:
        gpus = f" and {self.cluster.gpus:g} GPUs" if self.cluster.gpus else ""
        return f"{self.cluster.cpus:g} CPUs{gpus} (--cpus-per-job, --gpus-per-job)"


def _node_name() -> str:
    import ray

    address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return f"{address} ({ray.get_runtime_context().get_node_id()[:8]})"


def _on_node(function: Callable[..., Any], *args: Any) -> tuple[Any, BenchError | None]:
    """Run a function on a node; return its BenchError, because Ray would wrap a raised one."""
    import ray

    try:
        return function(Node(_node_name(), ray.get), *args), None
    except BenchError as error:
        return None, error


def _check(node: Node, expected: dict[str, str]) -> str:
    """Check the versions of a node, and return its processor."""
    from bench.core.processor import processor

    check_versions(node.name, expected)
    return str(processor().get("processor", ""))
