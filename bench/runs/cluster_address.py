"""Place of a run as the user names it; imports nothing of Ray."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from bench.core.errors import BenchError

LOCAL, CLIENT = "ray", "ray://"


@dataclass(frozen=True)
class Cluster:
    """Place of a run: `ray`, `ray://HOST:PORT` or `HOST:PORT`, and what a task reserves."""

    address: str
    cpus: float = 1
    gpus: float = 0


def check_cluster(cluster: Cluster) -> None:
    """Raise BenchError for an address that cannot be one, or without Ray. Imports nothing heavy."""
    if cluster.address != LOCAL:
        _, _, port = cluster.address.removeprefix(CLIENT).rpartition(":")
        if not port.isdecimal() or "/" in cluster.address.removeprefix(CLIENT):
            raise BenchError(
                f"--on {cluster.address!r}: write ray (this machine), HOST:PORT (from a machine of the "
                "cluster) or ray://HOST:PORT (from outside)"
            )
    if cluster.cpus <= 0 or cluster.gpus < 0:
        raise BenchError("--cpus-per-job must be above 0 and --gpus-per-job at least 0")
    if find_spec("ray") is None:
        raise BenchError("--on needs Ray, which is not installed: pip install 'messybench[ray]'")
