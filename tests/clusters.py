"""A cluster of Ray on this machine: nodes of one CPU each, on 127.0.0.1 alone, that can be killed."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.store.write import Store
from tests.in_process import content

Bits = dict[str, dict[str, bytes]]


class Machines:
    """Nodes of a cluster. The head does no work: the driver is there, and would end with it."""

    def __init__(self, ray_cluster: Any, folder: Path) -> None:
        self.cluster, self.folder, self.nodes = ray_cluster, folder, list[Any]()
        self.cluster.add_node(num_cpus=0, **self._options())

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return str(self.cluster.address)

    def add(self, cache: Path | None = None) -> None:
        """Start a node. cache: a cache of its own; None for the driver's, which it finds by its path."""
        before = os.environ.pop("BENCH_CACHE", None)
        if cache is not None:
            os.environ["BENCH_CACHE"] = str(cache)
        try:
            self.nodes.append(self.cluster.add_node(num_cpus=1, **self._options()))
        finally:
            os.environ.pop("BENCH_CACHE", None)
            if before is not None:
                os.environ["BENCH_CACHE"] = before

    def kill(self, dice: random.Random | None = None) -> None:
        """Kill all processes of a node at once: the oldest one, or any."""
        node = self.nodes.pop(dice.randrange(len(self.nodes)) if dice else 0)
        self.cluster.remove_node(node, allow_graceful=False)

    def _options(self) -> dict[str, Any]:
        return {
            "node_ip_address": "127.0.0.1",
            "include_dashboard": False,
            "object_store_memory": 80 * 2**20,
            "temp_dir": str(self.folder),
        }


@contextmanager
def machines() -> Iterator[Machines]:
    """Start the head of a cluster, and end all of its processes afterwards."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ |= {"RAY_worker_niceness": "0"}
    from ray._common.utils import get_ray_address_file
    from ray.cluster_utils import Cluster

    # Ray writes the address of a test's cluster there, and does not make the folder.
    Path(get_ray_address_file(None)).parent.mkdir(parents=True, exist_ok=True)
    # Names of sockets have at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    found = Cluster()
    try:
        yield Machines(found, folder)
    finally:
        found.shutdown()  # type: ignore[no-untyped-call]
        shutil.rmtree(folder, ignore_errors=True)


def start(args: Sequence[str], results: Path, cache: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start `bench run`; what it says is added to a file."""
    command = [sys.executable, "-m", "bench", "run", *args, "--quiet"]
    with log.open("ab") as file:
        return subprocess.Popen(
            [*command, "--results", str(results), "--cache", str(cache)], stdout=file, stderr=file
        )


def stored(results: Path) -> int:
    """Return how many cells are stored."""
    return len(Store(results).load()[0])


def wait_for(cells: int, results: Path, running: subprocess.Popen[bytes], seconds: float = 300) -> None:
    """Wait until so many cells are stored. Raises AssertionError if the command ends before."""
    end = time.monotonic() + seconds
    while stored(results) < cells:
        assert running.poll() is None and time.monotonic() < end, f"{stored(results)} of {cells} cells"
        time.sleep(0.1)


def bits(results: Path) -> Bits:
    """Return what is stored of each cell and is its own. Raises AssertionError for a failed one."""
    cells, problems = Store(results).load()
    assert not problems
    return {stored.id: content(stored) for stored in cells}
