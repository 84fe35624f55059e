"""Runs on a cluster without one: nodes are functions of this process, and what they are sent is pickled."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.runs.cluster import node as nodes
from bench.runs.cluster.node import Node, features_of, train
from bench.runs.cluster.pool import TaskLost
from bench.runs.cluster.ray_pool import RayPool, ray_pool
from bench.runs.cluster.setup import required_files, unpack_modules, versions
from bench.runs.cluster_address import Cluster, check_cluster
from bench.store.read import Stored
from tests.in_process import InProcess, content

pytest.importorskip("tensorflow")

GRID = ("run", "--task", "fashion", "--sample", "tiny", "--method", "none", "--seed", "0", "--quiet")
EPOCHS = ("--set", "epochs=1")


class Nodes:
    """A pool whose nodes have a cache of their own, if one is named, and may be lost."""

    size, gpu, name = 2, False, "driver"

    def __init__(self, cache: Path | None = None) -> None:
        self.cache, self.lost = cache, False
        self.calls: list[tuple[str, bool]] = []

    def put(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def submit(self, function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        def answer() -> Any:
            values = [pickle.loads(one) if isinstance(one, bytes) else one for one in args]
            self.calls.append((function.__name__, values[-1] is not None))
            if self.lost and function is train:
                raise TaskLost("NodeDiedError on 11 tries")
            before = os.environ.get("BENCH_CACHE")
            os.environ.pop("BENCH_CACHE", None)
            if self.cache is not None:
                os.environ["BENCH_CACHE"] = str(self.cache)
            try:
                return function(Node("node-1", pickle.loads), *values)
            finally:
                os.environ.pop("BENCH_CACHE", None)
                if before is not None:
                    os.environ["BENCH_CACHE"] = before

        return answer

    def first(self, refs: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
        return refs[-1]

    def result(self, ref: Callable[[], Any]) -> Any:
        return ref()


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcess]:
    environment = dict(os.environ)
    yield InProcess(tmp_path, monkeypatch)
    os.environ.clear()
    os.environ.update(environment)


def give(monkeypatch: pytest.MonkeyPatch, pool: Nodes) -> None:
    @contextmanager
    def given(cluster: Cluster, emit: Callable[..., None]) -> Iterator[Nodes]:
        nodes._current.token = ""
        yield pool

    monkeypatch.setattr("bench.runs.cluster.ray_pool.ray_pool", given)
    monkeypatch.setattr("bench.runs.cluster_address.find_spec", lambda name: name)


def bits(cells: Sequence[Stored]) -> dict[str, dict[str, bytes]]:
    return {stored.id: content(stored) for stored in cells}


def test_nodes_give_the_bits_of_one_machine_with_and_without_its_cache(
    inside: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.runs.cluster.blocks.BATCHES", 1)
    grid = (*GRID, "--backbone", "lenet,hog", *EPOCHS, "--stage", "top20")
    alone = bits(inside.bench(*grid, results="alone", cache="cache"))
    assert len(alone) == 2
    near = Nodes()
    give(monkeypatch, near)
    found = inside.bench(*grid, "--on", "ray", results="near", cache="cache-2")
    assert bits(found) == alone
    assert {stored.record["environment"]["node"] for stored in found} == {"driver", "node-1"}
    assert near.calls.count(("features_of", False)) > 1 and ("train", False) in near.calls
    assert not any(sent for _, sent in near.calls)
    far = Nodes(tmp_path / "elsewhere")
    give(monkeypatch, far)
    assert bits(inside.bench(*grid, "--on", "ray", results="far", cache="cache-3")) == alone
    assert ("features_of", True) in far.calls and ("train", True) in far.calls
    # What was sent is in the cache of the node, and not sent again.
    assert len(list((tmp_path / "elsewhere" / "pixels").glob("32x32*/"))) == 1


def test_a_net_that_no_node_survives_fails_alone_and_is_trained_by_the_next_run(
    inside: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Nodes()
    pool.lost = True
    give(monkeypatch, pool)
    grid = (*GRID, "--backbone", "lenet,tfidf", *EPOCHS, "--on", "ray", "--stage", "top20")
    found = {
        stored.record["cell"]["backbone"]: stored for stored in inside.bench(*grid, results="r", cache="c")
    }
    assert inside.code == 4
    assert found["tfidf"].ok and found["lenet"].record["reason"] == "NodeDiedError on 11 tries"
    pool.lost = False
    assert all(stored.ok for stored in inside.bench(*grid, results="r", cache="c"))
    assert inside.code == 0


def test_another_version_on_a_node_is_one_line(inside: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, Nodes())
    monkeypatch.setattr("bench.runs.cluster.jobs.versions", lambda: {**versions(), "keras": "2.4.0"})
    with pytest.raises(
        BenchError, match=r"node node-1 has other versions .*: keras .*, not 2\.4\.0; install"
    ):
        inside.bench(*GRID, "--backbone", "lenet", *EPOCHS, "--on", "ray", results="r", cache="c")


def test_a_node_that_would_compute_other_features_says_what_differs() -> None:
    work: Any = type("Work", (), {"token": "t"})
    rows = nodes.BlockRows(None)
    extraction: Any = type("Extraction", (), {"key": lambda *_: {"engine": "openvino", "size": [1, 1]}})()
    nodes._current.token, nodes._current.extraction, nodes._current.rows = "t", extraction, rows
    with pytest.raises(BenchError, match="node node-1 would compute other features .*: engine"):
        key = {"engine": "tensorflow", "size": [1, 1]}
        features_of(
            Node("node-1", id), work, key, np.arange(1), None, False, np.zeros((1, 1, 1, 3), np.uint8)
        )


def test_plug_ins_and_modules_are_sent_by_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_steps.py").write_text("VALUE = 3\n")
    (tmp_path / "own_nets").mkdir()
    (tmp_path / "own_nets" / "__init__.py").write_text("")
    (tmp_path / "own_nets" / "small.py").write_text("def build(): ...\n")
    monkeypatch.chdir(tmp_path)
    sent = required_files(
        [str(tmp_path / "own_steps.py")], ["own_nets.small:build", "keras.applications:ResNet50"], []
    )
    assert sorted(sent.modules) == ["own_nets/__init__.py", "own_nets/small.py", "own_steps.py"]
    there = tmp_path / "node"
    monkeypatch.setattr("sys.path", ["/nowhere"])
    monkeypatch.setattr("bench.runs.cluster.setup.plugins.load", lambda place: None)
    assert unpack_modules(sent, there) == (str(there / "own_steps.py"),)
    assert (there / "own_nets" / "small.py").is_file()


@pytest.mark.parametrize(
    ("cluster", "line"),
    [
        (Cluster("10.0.0.1"), "write ray"),
        (Cluster("http://10.0.0.1:80"), "write ray"),
        (Cluster("ray", 0), "--cpus-per-job must be above 0"),
        (Cluster("ray", 1, -1), "--gpus-per-job at least 0"),
    ],
)
def test_a_place_that_is_none_is_one_line(cluster: Cluster, line: str) -> None:
    with pytest.raises(BenchError, match=line):
        check_cluster(cluster)


def test_without_ray_a_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.runs.cluster_address.find_spec", lambda name: None)
    with pytest.raises(BenchError, match=r"pip install 'messybench\[ray\]'"):
        check_cluster(Cluster("ray"))


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_no_cluster_there_is_one_line(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.runs.cluster_address.find_spec", lambda name: name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BenchError, match="no Ray cluster answers there"), ray_pool(Cluster(address), print):
        pass


def test_what_stops_ray_is_one_line() -> None:
    ray = pytest.importorskip("ray")
    from ray import exceptions

    pool = RayPool(ray, Cluster("127.0.0.1:6379"), print)

    def full() -> None:
        raise exceptions.ObjectStoreFullError

    def gone() -> None:
        raise exceptions.RaySystemError(ValueError("no\nGCS"))  # type: ignore[no-untyped-call]

    def dead() -> None:
        raise exceptions.WorkerCrashedError

    with pytest.raises(BenchError, match="Ray's object store is full"):
        pool._call(full)
    with pytest.raises(BenchError, match="the connection to Ray is lost .* what is stored stays"):
        pool._call(gone)
    with pytest.raises(TaskLost, match="WorkerCrashedError on 21 tries"):
        pool._call(dead)
