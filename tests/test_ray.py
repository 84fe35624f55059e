"""Ray itself: runs on nodes of this machine, some of them killed, beside runs without it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from bench.store.write import Store
from tests.clusters import bits, machines, start, stored, wait_for

pytest.importorskip("tensorflow")
pytest.importorskip("ray")

PLUGIN = Path(__file__).parent / "plugins" / "toy" / "toy_remedies.py"
GRID = (
    *("--task", "fashion", "--sample", "tiny", "--stage", "top20", "--seed", "0", "--set", "epochs=1"),
    *("--backbone", "hog,lenet", "--method", "none,toy_brier", "--plugin", str(PLUGIN)),
)
FACES = (
    *("--task", "faces", "--sample", "tiny", "--seed", "0", "--set", "epochs=1", "--method", "none"),
    *("--backbone", "lenet", "--regime", "frozen", "--weights", "random"),
)


def ended(running: subprocess.Popen[bytes], log: Path) -> None:
    assert running.wait(timeout=600) == 0, log.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_run_survives_the_deaths_of_nodes_and_of_its_driver(tmp_path: Path) -> None:
    """A plug-in is sent to nodes that do not have it; two drivers end what the first one began."""
    log = tmp_path / "log"
    ended(start(GRID, tmp_path / "alone", tmp_path / "cache", log), log)
    with machines() as found:
        found.add()
        found.add(tmp_path / "elsewhere")
        args = (*GRID, "--on", found.address)
        first = start(args, tmp_path / "results", tmp_path / "cache-2", log)
        # The heads are stored: a node dies that trains a net, and another machine takes its place.
        wait_for(2, tmp_path / "results", first)
        found.kill()
        found.add(tmp_path / "elsewhere-2")
        [worker] = subprocess.run(
            ["pgrep", "-P", str(first.pid)], capture_output=True, check=True, text=True
        ).stdout.split()[:1]
        os.kill(int(worker), signal.SIGKILL)
        first.kill()
        first.wait()
        assert stored(tmp_path / "results") < 4
        drivers = [start(args, tmp_path / "results", tmp_path / "cache-2", log) for _ in range(2)]
        for driver in drivers:
            ended(driver, log)
    said = log.read_text(encoding="utf-8")
    assert "another run is writing to" in said and "0 of 4 cells to train" in said, said
    assert bits(tmp_path / "results") == bits(tmp_path / "alone")
    nodes = {stored.record["environment"]["node"] for stored in Store(tmp_path / "results").load()[0]}
    assert len(nodes) > 1 and all(name.startswith("127.0.0.1 (") for name in nodes)


@pytest.mark.slow
def test_a_local_ray_gives_the_bits_of_this_machine_and_leaves_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ended(start(FACES, tmp_path / "alone", tmp_path / "cache", log), log)
    where = ("--on", "ray", "--cpus-per-job", "0.5", "--gpus-per-job", "0")
    ended(start((*FACES, *where), tmp_path / "results", tmp_path / "cache-2", log), log)
    assert bits(tmp_path / "results") == bits(tmp_path / "alone")
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True, text=True).stdout
    assert str(tmp_path) not in listed
